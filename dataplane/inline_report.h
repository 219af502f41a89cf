// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <string>
#include <vector>

#include "dataplane/inline.h"
#include "dataplane/json.h"

/// What a run of the inline data plane ends in: one table for people, one JSON object for programs.
namespace xdplane {

struct InlineReport {
    double seconds = 0;
    u32 workers = 0;
    std::string engine;
    u32 buffers_missing = 0;

    std::vector<PortReport> ports;
    std::vector<ChainReport> chains;
    std::vector<WorkerReport> worker_reports;

    [[nodiscard]] u64 packets() const; ///< received, on all ports
    [[nodiscard]] u64 forwarded() const;
    [[nodiscard]] u64 dropped() const;
    [[nodiscard]] double packets_per_second() const;
};

[[nodiscard]] Json json_of(const PortReport& port);
[[nodiscard]] Json json_of(const ChainReport& chain);
[[nodiscard]] Json json_of(const WorkerReport& worker);
[[nodiscard]] Json json_of(const InlineReport& report);

/// All of these end in a newline.
[[nodiscard]] std::string ports_table(const std::vector<PortReport>& ports);
[[nodiscard]] std::string chain_table(const ChainReport& chain);
[[nodiscard]] std::string workers_table(const std::vector<WorkerReport>& workers);
[[nodiscard]] std::string as_table(const InlineReport& report);
[[nodiscard]] std::string as_json(const InlineReport& report);

} // namespace xdplane
