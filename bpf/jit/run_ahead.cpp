// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/jit/run_ahead.h"

#include <algorithm>
#include <array>
#include <vector>

#include "bpf/base/ticks.h"
#include "bpf/jit/ahead_trial.h"
#include "bpf/maps/run_ahead.h"

namespace xdplane {
namespace {

/// Fewer misses than this overlap without help.
constexpr u32 kLeastPackets = 8;
/// After a burst whose passes found nothing to fetch, the next ones go without them: a slice that leaves by
/// tail calls does not know where they end.
constexpr u32 kBurstsOff = 64;

using Sites = std::shared_ptr<const std::vector<AheadSite>>;

/// The slice's, which its code points at; without one, the maps that the first half notes keys for.
Sites sites_of(const LoweredProgram& lowered) {
    if (lowered.slice() != nullptr) return lowered.slice()->ahead_sites();
    auto sites = std::make_shared<std::vector<AheadSite>>();
    for (const Map* map : lowered.split()->maps) sites->push_back({map, 0, false, false});
    return sites;
}

class AheadExecutable final : public Executable {
public:
    AheadExecutable(AheadParts parts, const LoweredProgram& lowered)
        : program_(std::move(parts.program)),
          run_split_(parts.run_split),
          slice_(std::move(parts.slice)),
          sites_(sites_of(lowered)),
          leaves_(slice_ != nullptr && lowered.slice()->tail_calls()),
          cpus_(num_possible_cpus()) {
        entry = program_->entry;
        entry.run_burst = run_burst; // `run` stays: compiled code does not look at the Entry
        entry.engine_data = this;
        if (slice_ != nullptr) entry.ahead_entry = slice_->entry.tail_entry;
    }

private:
    static const AheadExecutable& self(const Entry* entry) noexcept {
        return *static_cast<const AheadExecutable*>(entry->engine_data);
    }
    static void run_burst(const Entry* entry, XdpBuff* packets, u32 count, RunContext* context) noexcept {
        const AheadExecutable& own = self(entry);
        const Entry& program = own.program_->entry;
        const RunAhead mode = run_ahead_mode();
        const Passes passes = count >= kLeastPackets && mode != RunAhead::off ? own.passes() : Passes{};
        if (passes.first == kAheadPasses || t_run.cpu >= own.cpus_.size())
            return program.run_burst(&program, packets, count, context);
        Cpu& cpu = own.cpus_[t_run.cpu];
        if (mode == RunAhead::on) {
            own.run_ahead(passes, packets, count, context);
            return;
        }
        if (cpu.bursts_off != 0) {
            --cpu.bursts_off;
            return program.run_burst(&program, packets, count, context);
        }
        const bool trying = cpu.trial.trying();
        const u64 begin = trying ? cpu_ticks() : 0;
        if (!cpu.trial.ahead())
            program.run_burst(&program, packets, count, context);
        else if (!own.run_ahead(passes, packets, count, context) && own.leaves_)
            cpu.bursts_off = kBurstsOff;
        if (trying) cpu.trial.measured(cpu_ticks() - begin, count);
        cpu.trial.next();
    }

    /// Depths of lookups for which there is something to fetch.
    struct Passes {
        u32 first = kAheadPasses; ///< none
        u32 last = 0;
    };
    [[nodiscard]] Passes passes() const noexcept {
        if (leaves_) return {0, kAheadPasses - 1};
        Passes found;
        for (const AheadSite& site : *sites_) {
            if (site.depth >= found.first && site.depth <= found.last) continue;
            if (!ahead_pays(*site.map)) continue;
            found.first = std::min(found.first, site.depth);
            found.last = std::max(found.last, site.depth);
        }
        return found;
    }

    /// The burst. Returns whether there was something to fetch.
    bool run_ahead(Passes passes, XdpBuff* packets, u32 count, RunContext* context) const noexcept {
        const Entry& program = program_->entry;
        if (run_split_ == nullptr || passes.first != 0) {
            const bool fetched = prepare(passes.first, packets, count, context);
            program.run_burst(&program, packets, count, context);
            return fetched;
        }
        while (count != 0) {
            const u32 some = std::min(count, kBurst);
            Between later(*this, packets, some, context);
            run_split_(&program, packets, some, context, passes.last == 0 ? nullptr : &later);
            packets += some;
            count -= some;
        }
        return true;
    }

    /// Lookups behind the first ones.
    struct Between : BetweenHalves {
        Between(const AheadExecutable& own_, XdpBuff* packets_, u32 count_, RunContext* context_) noexcept
            : own(own_), packets(packets_), count(count_), context(context_) {
            run = [](BetweenHalves* self) noexcept {
                const Between& at = *static_cast<Between*>(self);
                std::array<u32, kBurst> verdicts; // the first half's own
                for (u32 i = 0; i < at.count; ++i) verdicts[i] = at.packets[i].verdict;
                at.own.prepare(1, at.packets, at.count, at.context);
                for (u32 i = 0; i < at.count; ++i) at.packets[i].verdict = verdicts[i];
            };
        }
        const AheadExecutable& own;
        XdpBuff* packets;
        u32 count;
        RunContext* context;
    };

    /// Returns whether there was something to fetch.
    bool prepare(u32 first, XdpBuff* packets, u32 count, RunContext* context) const noexcept {
        Ahead ahead;
        bool fetched = false;
        t_run.ahead = &ahead; // where ahead_visit() looks, whatever context the caller has
        u32 pass = first;
        do {
            ahead.begin(pass);
            // Leaves its own results in the verdicts.
            slice_->entry.run_burst(&slice_->entry, packets, std::min(count, kBurst), context);
            fetched |= ahead.fetch();
        } while (ahead.more && ++pass < kAheadPasses);
        t_run.ahead = nullptr;
        return fetched;
    }

    /// What the worker of one CPU knows. Written by it alone.
    struct Cpu {
        AheadTrial trial;
        u32 bursts_off = 0;
    };

    std::unique_ptr<Executable> program_;
    RunSplit* run_split_;               ///< null: the program is not cut in two
    std::unique_ptr<Executable> slice_; ///< null: there are no lookups that it could find
    Sites sites_;
    bool leaves_; ///< by tail calls: what they lead to is not known
    mutable std::vector<Cpu> cpus_;
};

} // namespace

std::unique_ptr<Executable> run_ahead(AheadParts parts, const LoweredProgram& lowered) {
    return std::make_unique<AheadExecutable>(std::move(parts), lowered);
}

} // namespace xdplane
