// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <chrono>
#include <span>
#include <string>
#include <vector>

#include "dataplane/inline.h"

namespace xdplane {

/// Notices workers that hang: their round counter stands still. One that has nothing to do counts rounds,
/// too. Control thread.
class WorkerWatch {
public:
    using Clock = std::chrono::steady_clock;

    /// `patience`: how long one round may take.
    explicit WorkerWatch(Clock::duration patience) : patience_(patience) {}

    /// Looks at them all. Returns a line for each that hangs since the last look, or goes on again.
    [[nodiscard]] std::vector<std::string> look(std::span<const WorkerReport> workers, Clock::time_point now);
    /// None hangs, as of the last look.
    [[nodiscard]] bool all_move() const;
    /// "worker 1 (CPU 3) hangs, worker 2 ..."; empty if none does.
    [[nodiscard]] std::string summary() const;

private:
    struct Seen {
        u32 cpu = 0;
        u64 rounds = 0;
        Clock::time_point moved;
        bool hangs = false;
    };
    Clock::duration patience_;
    std::vector<Seen> seen_; ///< by worker
};

} // namespace xdplane
