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

struct StageReport {
    std::string name;
    u64 packets = 0;
    std::array<u64, kVerdicts> verdicts{};
};

/// A chain, all ports and workers that run it together.
struct ChainReport {
    std::string name;
    u64 packets = 0;
    u64 bytes = 0;
    std::array<u64, kVerdicts> verdicts{}; ///< final ones
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
