// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "bpf/base/reclaimer.h"
#include "bpf/run/run_context.h"

namespace xdplane {

/// How programs run on a worker.
struct RunSettings {
    u32 cpu = 0; ///< which of the per-CPU values; below num_possible_cpus()
    Clock clock = Clock::wall;
    u64 seed = 0;
    /// Random numbers are a function of seed, stage, packet index and call, so that neither bursts nor the
    /// number of workers change them.
    bool random_by_packet = false;
};

/// Makes the calling thread one that may run programs, for as long as the scope lives: fills its t_run, and
/// is a reader of the Reclaimer, so that nothing a program holds is freed under it. Used by every worker, of
/// replay and of ports alike.
class RunScope {
public:
    explicit RunScope(const RunSettings& settings);
    ~RunScope();
    RunScope(const RunScope&) = delete;
    RunScope& operator=(const RunScope&) = delete;

    /// Between two bursts: the worker holds no pointer into maps, programs or chains.
    void quiescent() noexcept { Reclaimer::instance().quiescent(slot_); }
    /// Around a wait that may take long: a sleeping reader would keep everybody from freeing anything.
    void offline();
    void online();
    /// False if the Reclaimer has no slot left (256 workers): then the thread must not run programs.
    [[nodiscard]] bool ready() const { return slot_ >= 0; }

private:
    int slot_ = -1;
};

} // namespace xdplane
