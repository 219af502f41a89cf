// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/inline_report.h"

#include <iterator>
#include <nlohmann/json.hpp>

namespace xdplane {
namespace {

constexpr std::array<const char*, kVerdicts> kVerdictKeys{"aborted", "drop", "pass", "tx", "redirect"};

u64 sum_of_drops(const PortReport& port) {
    u64 sum = 0;
    for (const u64 drops : port.drops) sum += drops;
    return sum;
}

nlohmann::ordered_json json_of(const std::array<u64, kVerdicts>& verdicts) {
    nlohmann::ordered_json json;
    for (const u32 v : {kPass, kDrop, kTx, kRedirect, kAborted}) json[kVerdictKeys[v]] = verdicts[v];
    return json;
}

void append_verdicts(std::string& text, const std::string& name, u64 packets,
                     const std::array<u64, kVerdicts>& verdicts) {
    fmt::format_to(std::back_inserter(text), "{:<24} {:>14} {:>14} {:>14} {:>12} {:>12} {:>12}\n", name,
                   packets, verdicts[kPass], verdicts[kDrop], verdicts[kTx], verdicts[kRedirect],
                   verdicts[kAborted]);
}

} // namespace

u64 InlineReport::packets() const {
    u64 sum = 0;
    for (const PortReport& port : ports) sum += port.rx_packets;
    return sum;
}

u64 InlineReport::forwarded() const {
    u64 sum = 0;
    for (const PortReport& port : ports) sum += port.forwarded;
    return sum;
}

u64 InlineReport::dropped() const {
    u64 sum = 0;
    for (const PortReport& port : ports) sum += sum_of_drops(port);
    return sum;
}

double InlineReport::packets_per_second() const {
    return seconds > 0 ? static_cast<double>(packets()) / seconds : 0;
}

InlineReport::ChainReport report_chain(const std::string& name, const Chain& chain,
                                       const std::vector<const ChainStats*>& stats) {
    InlineReport::ChainReport report{.name = name};
    for (const Stage& stage : chain.stages()) report.stages.push_back({.name = stage.name});
    for (const ChainStats* one : stats) {
        report.packets += one->total.packets.get();
        report.bytes += one->bytes.get();
        for (u32 v = 0; v < kVerdicts; ++v) report.verdicts[v] += one->total.verdicts[v].get();
        for (std::size_t s = 0; s < report.stages.size(); ++s) {
            report.stages[s].packets += one->stages[s].packets.get();
            for (u32 v = 0; v < kVerdicts; ++v)
                report.stages[s].verdicts[v] += one->stages[s].verdicts[v].get();
        }
    }
    return report;
}

std::string as_table(const InlineReport& report) {
    std::string text;
    const auto out = std::back_inserter(text);
    fmt::format_to(out, "{:<24} {:>14} {:>14} {:>14} {:>12} {:>12} {:>12}\n", "port", "received", "forwarded",
                   "dropped", "sent", "missed", "send errors");
    for (const PortReport& port : report.ports)
        fmt::format_to(out, "{:<24} {:>14} {:>14} {:>14} {:>12} {:>12} {:>12}\n", port.name, port.rx_packets,
                       port.forwarded, sum_of_drops(port), port.tx_packets, port.device_counters.missed,
                       port.device_counters.tx_errors);
    for (const PortReport& port : report.ports)
        for (u32 i = 0; i < kDrops; ++i)
            if (port.drops[i] != 0)
                fmt::format_to(out, "{}: dropped {}: {}\n", port.name, port.drops[i], kDropReasons[i].text);
    for (const InlineReport::ChainReport& chain : report.chains) {
        fmt::format_to(out, "\n{:<24} {:>14} {:>14} {:>14} {:>12} {:>12} {:>12}\n", "chain " + chain.name,
                       "packets", "pass", "drop", "tx", "redirect", "aborted");
        for (const InlineReport::StageReport& stage : chain.stages)
            append_verdicts(text, "  " + stage.name, stage.packets, stage.verdicts);
        append_verdicts(text, "  in all", chain.packets, chain.verdicts);
    }
    fmt::format_to(out, "\n{} packets in {:.2f} s, {:.3f} Mpps, {} worker{}, {}\n", report.packets(),
                   report.seconds, report.packets_per_second() / 1e6, report.workers,
                   report.workers == 1 ? "" : "s", report.engine);
    return text;
}

std::string as_json(const InlineReport& report) {
    nlohmann::ordered_json json;
    json["packets"] = report.packets();
    json["seconds"] = report.seconds;
    json["mpps"] = report.packets_per_second() / 1e6;
    json["workers"] = report.workers;
    json["engine"] = report.engine;
    json["buffers_missing"] = report.buffers_missing;
    json["ports"] = nlohmann::ordered_json::array();
    for (const PortReport& port : report.ports) {
        nlohmann::ordered_json drops;
        for (u32 i = 0; i < kDrops; ++i) drops[kDropReasons[i].key] = port.drops[i];
        json["ports"].push_back({{"name", port.name},
                                 {"device", port.device},
                                 {"worker", port.worker},
                                 {"rx_packets", port.rx_packets},
                                 {"rx_bytes", port.rx_bytes},
                                 {"forwarded", port.forwarded},
                                 {"dropped", drops},
                                 {"tx_packets", port.tx_packets},
                                 {"tx_bytes", port.tx_bytes},
                                 {"missed", port.device_counters.missed},
                                 {"tx_errors", port.device_counters.tx_errors}});
    }
    json["chains"] = nlohmann::ordered_json::array();
    for (const InlineReport::ChainReport& chain : report.chains) {
        nlohmann::ordered_json stages = nlohmann::ordered_json::array();
        for (const InlineReport::StageReport& stage : chain.stages)
            stages.push_back(
                {{"name", stage.name}, {"packets", stage.packets}, {"verdicts", json_of(stage.verdicts)}});
        json["chains"].push_back({{"name", chain.name},
                                  {"packets", chain.packets},
                                  {"bytes", chain.bytes},
                                  {"verdicts", json_of(chain.verdicts)},
                                  {"stages", stages}});
    }
    return json.dump() + "\n";
}

} // namespace xdplane
