// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/jit/run_ahead.h"

#include <algorithm>
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

class AheadExecutable final : public Executable {
public:
    AheadExecutable(std::unique_ptr<Executable> program, std::unique_ptr<Executable> slice,
                    const LoweredProgram& lowered)
        : program_(std::move(program)),
          slice_(std::move(slice)),
          sites_(lowered.ahead_sites()),
          leaves_(lowered.tail_calls()),
          cpus_(num_possible_cpus()) {
        entry = program_->entry;
        entry.run_burst = run_burst; // `run` stays: compiled code does not look at the Entry
        entry.engine_data = this;
        entry.ahead_entry = slice_->entry.tail_entry;
    }

private:
    static const AheadExecutable& self(const Entry* entry) noexcept {
        return *static_cast<const AheadExecutable*>(entry->engine_data);
    }
    static void run_burst(const Entry* entry, XdpBuff* packets, u32 count, RunContext* context) noexcept {
        const AheadExecutable& own = self(entry);
        const Entry& program = own.program_->entry;
        const RunAhead mode = run_ahead_mode();
        const u32 first = count >= kLeastPackets && mode != RunAhead::off ? own.first_pass() : kAheadPasses;
        if (first == kAheadPasses || t_run.cpu >= own.cpus_.size())
            return program.run_burst(&program, packets, count, context);
        Cpu& cpu = own.cpus_[t_run.cpu];
        if (mode == RunAhead::on) {
            own.prepare(first, packets, count, context);
            return program.run_burst(&program, packets, count, context);
        }
        if (cpu.bursts_off != 0) {
            --cpu.bursts_off;
            return program.run_burst(&program, packets, count, context);
        }
        const bool trying = cpu.trial.trying();
        const u64 begin = trying ? cpu_ticks() : 0;
        if (cpu.trial.ahead() && !own.prepare(first, packets, count, context) && own.leaves_)
            cpu.bursts_off = kBurstsOff;
        program.run_burst(&program, packets, count, context);
        if (trying) cpu.trial.measured(cpu_ticks() - begin, count);
        cpu.trial.next();
    }

    /// The first pass that has something to fetch; kAheadPasses if none has.
    [[nodiscard]] u32 first_pass() const noexcept {
        u32 first = leaves_ ? 0 : kAheadPasses;
        for (const AheadSite& site : *sites_)
            if (site.depth < first && ahead_pays(*site.map)) first = site.depth;
        return first;
    }

    /// Returns whether there was something to fetch.
    bool prepare(u32 first, XdpBuff* packets, u32 count, RunContext* context) const noexcept {
        Ahead ahead;
        bool fetched = false;
        t_run.ahead = &ahead; // where ahead_visit() looks, whatever context the caller has
        u32 pass = first;
        do {
            ahead.begin(pass);
            // Leaves its own results in the verdicts, which the program then overwrites.
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
    std::unique_ptr<Executable> slice_;
    std::shared_ptr<const std::vector<AheadSite>> sites_;
    bool leaves_; ///< by tail calls: what they lead to is not known
    mutable std::vector<Cpu> cpus_;
};

} // namespace

std::unique_ptr<Executable> run_ahead(std::unique_ptr<Executable> program, std::unique_ptr<Executable> slice,
                                      const LoweredProgram& lowered) {
    return std::make_unique<AheadExecutable>(std::move(program), std::move(slice), lowered);
}

} // namespace xdplane
