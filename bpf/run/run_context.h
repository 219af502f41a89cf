// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "bpf/run/packet.h"

namespace xdplane {

class Map;
struct Ahead;

/// The clock that bpf_ktime_get_ns and its relatives read: a property of the run, never a system call per
/// packet.
enum class Clock : u8 {
    wall,    ///< CLOCK_MONOTONIC through the vDSO (or a scaled TSC)
    capture, ///< XdpBuff::timestamp_ns of the packet being judged
};

/// What helpers know about the thread that runs a program. One per thread: the project's only thread-local.
/// A worker fills cpu, clock and seed before its first burst. An engine sets packet and
/// tail_calls_left, and clears random_calls, before each packet (only for programs whose LoweredProgram says
/// that they need it).
struct RunContext {
    XdpBuff* packet = nullptr; ///< the packet being judged
    u32 cpu = 0;               ///< index into per-CPU values; below num_possible_cpus()
    u32 tail_calls_left = 0;   ///< of kMaxTailCalls, in this run
    u64 seed = 0;              ///< of bpf_get_prandom_u32
    u32 random_calls = 0;      ///< of bpf_get_prandom_u32 in this run of this packet
    Clock clock = Clock::wall;
    bool random_by_packet = false; ///< replay: numbers are a function of seed, packet index and call, so that
                                   ///< neither bursts nor the number of workers change them
    u64 random_state = 0;          ///< live: xorshift state
    u64 aborted_reason = 0;        ///< reserved for named drop reasons
    u32 mtu = 1500;                ///< of every device, for bpf_check_mtu
    Ahead* ahead = nullptr;        ///< the pass that runs ahead of a burst (maps/run_ahead.h), while one does
};

/// Initial-exec TLS: programs compiled by the JIT get its address in a register.
extern constinit thread_local RunContext t_run;

/// CPUs that Linux counts as possible: the length of per-CPU values (libbpf_num_possible_cpus agrees).
[[nodiscard]] u32 num_possible_cpus();

} // namespace xdplane
