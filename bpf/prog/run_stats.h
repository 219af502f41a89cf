// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <atomic>

#include "bpf/base/types.h"

/// Run-time statistics of programs, as BPF_ENABLE_STATS switches them on: bpf_prog_info::run_cnt and
/// run_time_ns.
namespace xdplane {

/// What one program has counted while the switch was on. Written by any thread that runs it, read by anyone.
struct RunStats {
    std::atomic<u64> runs{0};
    std::atomic<u64> ticks{0}; ///< cpu_ticks()

    void add(u64 more_runs, u64 more_ticks) noexcept {
        runs.fetch_add(more_runs, std::memory_order_relaxed);
        ticks.fetch_add(more_ticks, std::memory_order_relaxed);
    }
};

/// Statistics are on for as long as one of these lives. Any thread.
class RunStatsSwitch {
public:
    RunStatsSwitch() { users_.fetch_add(1, std::memory_order_relaxed); }
    ~RunStatsSwitch() { users_.fetch_sub(1, std::memory_order_relaxed); }
    RunStatsSwitch(const RunStatsSwitch&) = delete;
    RunStatsSwitch& operator=(const RunStatsSwitch&) = delete;

    /// For the data path: asked once per burst.
    [[nodiscard]] static bool on() noexcept { return users_.load(std::memory_order_relaxed) != 0; }

private:
    static inline std::atomic<u32> users_{0};
};

} // namespace xdplane
