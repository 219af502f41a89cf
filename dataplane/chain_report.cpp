// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/chain_report.h"

#include <algorithm>

namespace xdplane {
namespace {

template<class Named>
Named& find_or_add(std::vector<Named>& all, const std::string& name) {
    const auto found = std::ranges::find(all, name, &Named::name);
    return found != all.end() ? *found : all.emplace_back(Named{.name = name});
}

void add_verdicts(std::array<u64, kVerdicts>& sums, const std::array<u64, kVerdicts>& more) {
    for (u32 v = 0; v < kVerdicts; ++v) sums[v] += more[v];
}

template<class Report>
void add_counters(Report& report, const VerdictCounters& counters) {
    report.packets += counters.packets.get();
    for (u32 v = 0; v < kVerdicts; ++v) report.verdicts[v] += counters.verdicts[v].get();
    report.cost.add({.bursts = counters.bursts.get(),
                     .timed_packets = counters.timed_packets.get(),
                     .timed_cycles = counters.timed_cycles.get()});
}

} // namespace

void ChainReport::add(const ChainReport& other) {
    packets += other.packets;
    bytes += other.bytes;
    cost.add(other.cost);
    add_verdicts(verdicts, other.verdicts);
    for (const StageReport& stage : other.stages) {
        StageReport& own = find_or_add(stages, stage.name);
        own.packets += stage.packets;
        add_verdicts(own.verdicts, stage.verdicts);
        own.cost.add(stage.cost);
    }
}

ChainReport report_chain(const std::string& name, const Chain& chain,
                         std::span<const ChainStats* const> stats) {
    ChainReport report{.name = name};
    for (const Stage& stage : chain.stages()) report.stages.push_back({.name = stage.name});
    for (const ChainStats* one : stats) {
        report.bytes += one->bytes.get();
        add_counters(report, one->total);
        for (std::size_t s = 0; s < report.stages.size(); ++s) add_counters(report.stages[s], one->stages[s]);
    }
    return report;
}

void add_to(std::vector<ChainReport>& chains, const ChainReport& report) {
    find_or_add(chains, report.name).add(report);
}

} // namespace xdplane
