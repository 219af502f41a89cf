// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/jit/run_ahead.h"

#include <algorithm>

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
          leaves_(lowered.tail_calls()) {
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
        if (count >= kLeastPackets && run_ahead_mode() != RunAhead::off) own.prepare(packets, count, context);
        const Entry& program = own.program_->entry;
        program.run_burst(&program, packets, count, context);
    }

    /// The first pass that has something to fetch; kAheadPasses if none has.
    [[nodiscard]] u32 first_pass() const noexcept {
        u32 first = leaves_ ? 0 : kAheadPasses;
        for (const AheadSite& site : *sites_)
            if (site.depth < first && ahead_pays(*site.map)) first = site.depth;
        return first;
    }

    void prepare(XdpBuff* packets, u32 count, RunContext* context) const noexcept {
        const u32 first = first_pass();
        if (first == kAheadPasses || (leaves_ && sits_out())) return;
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
        if (leaves_ && !fetched) bursts_off_.store(kBurstsOff, std::memory_order_relaxed);
    }

    [[nodiscard]] bool sits_out() const noexcept {
        const u32 off = bursts_off_.load(std::memory_order_relaxed);
        if (off != 0) bursts_off_.store(off - 1, std::memory_order_relaxed);
        return off != 0 && run_ahead_mode() == RunAhead::automatic;
    }

    std::unique_ptr<Executable> program_;
    std::unique_ptr<Executable> slice_;
    std::shared_ptr<const std::vector<AheadSite>> sites_;
    bool leaves_;                            ///< by tail calls: what they lead to is not known
    mutable std::atomic<u32> bursts_off_{0}; ///< of all workers: an estimate, written by any
};

} // namespace

std::unique_ptr<Executable> run_ahead(std::unique_ptr<Executable> program, std::unique_ptr<Executable> slice,
                                      const LoweredProgram& lowered) {
    return std::make_unique<AheadExecutable>(std::move(program), std::move(slice), lowered);
}

} // namespace xdplane
