// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <array>
#include <span>
#include <string>
#include <vector>

#include "dataplane/chain.h"

/// What chains have counted, as plain numbers: summed over ports, workers and generations.
namespace xdplane {

/// Names of verdicts in JSON and on command lines, by enum Verdict.
inline constexpr std::array<const char*, kVerdicts> kVerdictKeys{"aborted", "drop", "pass", "tx", "redirect"};

/// What packets cost, of those that were timed: see kTimedEvery.
struct CostReport {
    u64 bursts = 0;
    u64 timed_packets = 0;
    u64 timed_cycles = 0; ///< cpu_ticks()

    void add(const CostReport& other) {
        bursts += other.bursts;
        timed_packets += other.timed_packets;
        timed_cycles += other.timed_cycles;
    }
    /// 0 before the first burst that was timed.
    [[nodiscard]] double cycles_per_packet() const { return ratio(timed_cycles, timed_packets); }
    /// A quotient of counters; 0 where nothing was counted.
    [[nodiscard]] static double ratio(u64 sum, u64 count) {
        return count == 0 ? 0 : static_cast<double>(sum) / static_cast<double>(count);
    }
};

struct StageReport {
    std::string name;
    u64 packets = 0;
    std::array<u64, kVerdicts> verdicts{};
    CostReport cost; ///< of its program
};

/// A chain, all ports and workers that run it together.
struct ChainReport {
    std::string name;
    u64 packets = 0;
    u64 bytes = 0;
    std::array<u64, kVerdicts> verdicts{}; ///< final ones
    CostReport cost;                       ///< of all stages, and what is between them
    std::vector<StageReport> stages;

    /// Adds what was counted under another one's names: stages that are not here yet come last.
    void add(const ChainReport& other);
};

/// A chain's counters, summed up.
[[nodiscard]] ChainReport report_chain(const std::string& name, const Chain& chain,
                                       std::span<const ChainStats* const> stats);

/// Adds to the chain of that name, which comes last if it is not there yet.
void add_to(std::vector<ChainReport>& chains, const ChainReport& report);

} // namespace xdplane
