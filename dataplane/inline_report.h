// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <string>
#include <vector>

#include "dataplane/inline.h"

/// What a run of the inline data plane ends in: one table for people, one JSON object for programs.
namespace xdplane {

struct InlineReport {
    double seconds = 0;
    u32 workers = 0;
    std::string engine;
    u32 buffers_missing = 0;

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
    };
    std::vector<PortReport> ports;
    std::vector<ChainReport> chains;

    [[nodiscard]] u64 packets() const; ///< received, on all ports
    [[nodiscard]] u64 forwarded() const;
    [[nodiscard]] u64 dropped() const;
    [[nodiscard]] double packets_per_second() const;
};

/// A chain's counters, summed up.
[[nodiscard]] InlineReport::ChainReport report_chain(const std::string& name, const Chain& chain,
                                                     const std::vector<const ChainStats*>& stats);

/// Ends in a newline.
[[nodiscard]] std::string as_table(const InlineReport& report);
[[nodiscard]] std::string as_json(const InlineReport& report);

} // namespace xdplane
