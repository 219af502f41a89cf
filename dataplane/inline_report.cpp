// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/inline_report.h"

#include <iterator>
#include <nlohmann/json.hpp>

#include "bpf/base/ticks.h"

namespace xdplane {
namespace {

u64 sum_of_drops(const PortReport& port) {
    u64 sum = 0;
    for (const u64 drops : port.drops) sum += drops;
    return sum;
}

Json json_of(const std::array<u64, kVerdicts>& verdicts) {
    Json json;
    for (const u32 v : {kPass, kDrop, kTx, kRedirect, kAborted}) json[kVerdictKeys[v]] = verdicts[v];
    return json;
}

double nanoseconds(double cycles) { return cycles * 1e9 / ticks_per_second(); }

template<class Report>
void append_verdicts(std::string& text, const std::string& name, const Report& report) {
    const auto& verdicts = report.verdicts;
    fmt::format_to(std::back_inserter(text),
                   "{:<24} {:>14} {:>14} {:>14} {:>12} {:>12} {:>12} {:>10.1f} {:>7.1f}\n", name,
                   report.packets, verdicts[kPass], verdicts[kDrop], verdicts[kTx], verdicts[kRedirect],
                   verdicts[kAborted], nanoseconds(report.cost.cycles_per_packet()),
                   CostReport::ratio(report.packets, report.cost.bursts));
}

/// What chains and stages have in common, behind their names and packets.
template<class Report>
void add_cost(Json& json, const Report& report) {
    json["bursts"] = report.cost.bursts;
    json["packets_per_burst"] = CostReport::ratio(report.packets, report.cost.bursts);
    json["timed_packets"] = report.cost.timed_packets;
    json["timed_cycles"] = report.cost.timed_cycles;
    json["cycles_per_packet"] = report.cost.cycles_per_packet();
    json["ns_per_packet"] = nanoseconds(report.cost.cycles_per_packet());
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

std::string ports_table(const std::vector<PortReport>& ports) {
    std::string text;
    const auto out = std::back_inserter(text);
    fmt::format_to(out, "{:<24} {:>14} {:>14} {:>14} {:>12} {:>12} {:>12}\n", "port", "received", "forwarded",
                   "dropped", "sent", "missed", "send errors");
    for (const PortReport& port : ports)
        fmt::format_to(out, "{:<24} {:>14} {:>14} {:>14} {:>12} {:>12} {:>12}\n", port.name, port.rx_packets,
                       port.forwarded, sum_of_drops(port), port.tx_packets, port.device_counters.missed,
                       port.device_counters.tx_errors);
    for (const PortReport& port : ports)
        for (u32 i = 0; i < kDrops; ++i)
            if (port.drops[i] != 0)
                fmt::format_to(out, "{}: dropped {}: {}\n", port.name, port.drops[i], kDropReasons[i].text);
    return text;
}

std::string chain_table(const ChainReport& chain) {
    std::string text =
        fmt::format("{:<24} {:>14} {:>14} {:>14} {:>12} {:>12} {:>12} {:>10} {:>7}\n", "chain " + chain.name,
                    "packets", "pass", "drop", "tx", "redirect", "aborted", "ns/packet", "burst");
    for (const StageReport& stage : chain.stages) append_verdicts(text, "  " + stage.name, stage);
    append_verdicts(text, "  in all", chain);
    return text;
}

std::string workers_table(const std::vector<WorkerReport>& workers) {
    std::string text =
        fmt::format("{:<8} {:>5} {:>14} {:>14} {:>14} {:>14} {:>14} {:>10} {:>7}\n", "worker", "cpu",
                    "packets", "arrivals", "bursts", "packets/burst", "cycles/packet", "ns/packet", "busy");
    for (std::size_t i = 0; i < workers.size(); ++i)
        fmt::format_to(std::back_inserter(text),
                       "{:<8} {:>5} {:>14} {:>14} {:>14} {:>14.1f} {:>14.0f} {:>10.1f} {:>6.1f}%\n", i,
                       workers[i].cpu, workers[i].packets, workers[i].arrivals, workers[i].bursts,
                       workers[i].packets_per_burst(), workers[i].cycles_per_packet,
                       nanoseconds(workers[i].cycles_per_packet), workers[i].busy * 100);
    return text;
}

std::string as_table(const InlineReport& report) {
    std::string text = ports_table(report.ports);
    for (const ChainReport& chain : report.chains) text += "\n" + chain_table(chain);
    fmt::format_to(std::back_inserter(text), "\n{} packets in {:.2f} s, {:.3f} Mpps, {} worker{}, {}\n",
                   report.packets(), report.seconds, report.packets_per_second() / 1e6, report.workers,
                   report.workers == 1 ? "" : "s", report.engine);
    return text;
}

Json json_of(const PortReport& port) {
    Json drops;
    for (u32 i = 0; i < kDrops; ++i) drops[kDropReasons[i].key] = port.drops[i];
    Json queues = Json::array();
    for (const QueueReport& queue : port.queues)
        queues.push_back({{"worker", queue.worker},
                          {"rx_packets", queue.rx_packets},
                          {"rx_bytes", queue.rx_bytes},
                          {"polls", queue.polls},
                          {"bursts", queue.bursts},
                          {"cycles", queue.cycles},
                          {"packets_per_burst", CostReport::ratio(queue.rx_packets, queue.bursts)},
                          {"cycles_per_packet", CostReport::ratio(queue.cycles, queue.rx_packets)},
                          {"ns_per_packet", nanoseconds(CostReport::ratio(queue.cycles, queue.rx_packets))},
                          {"busy", queue.busy}});
    return {{"name", port.name},
            {"device", port.device},
            {"ifindex", port.ifindex},
            {"queues", queues},
            {"rx_packets", port.rx_packets},
            {"rx_bytes", port.rx_bytes},
            {"forwarded", port.forwarded},
            {"handed", port.handed},
            {"copies", port.copies},
            {"dropped", drops},
            {"tx_packets", port.tx_packets},
            {"tx_bytes", port.tx_bytes},
            {"missed", port.device_counters.missed},
            {"tx_errors", port.device_counters.tx_errors}};
}

Json json_of(const ChainReport& chain) {
    Json stages = Json::array();
    for (const StageReport& stage : chain.stages) {
        Json one = {{"name", stage.name}, {"packets", stage.packets}, {"verdicts", json_of(stage.verdicts)}};
        add_cost(one, stage);
        stages.push_back(std::move(one));
    }
    Json json = {{"name", chain.name},
                 {"packets", chain.packets},
                 {"bytes", chain.bytes},
                 {"verdicts", json_of(chain.verdicts)}};
    add_cost(json, chain);
    json["stages"] = std::move(stages);
    return json;
}

Json json_of(const WorkerReport& worker) {
    return {{"cpu", worker.cpu},
            {"rounds", worker.rounds},
            {"bursts", worker.bursts},
            {"packets", worker.packets},
            {"arrivals", worker.arrivals},
            {"cycles", worker.cycles},
            {"busy_cycles", worker.busy_cycles},
            {"packets_per_burst", worker.packets_per_burst()},
            {"cycles_per_packet", worker.cycles_per_packet},
            {"ns_per_packet", nanoseconds(worker.cycles_per_packet)},
            {"busy", worker.busy}};
}

Json json_of(const InlineReport& report) {
    Json json;
    json["packets"] = report.packets();
    json["seconds"] = report.seconds;
    json["mpps"] = report.packets_per_second() / 1e6;
    json["workers"] = report.workers;
    json["engine"] = report.engine;
    json["tsc_hz"] = ticks_per_second();
    json["buffers_missing"] = report.buffers_missing;
    json["ports"] = Json::array();
    for (const PortReport& port : report.ports) json["ports"].push_back(json_of(port));
    json["chains"] = Json::array();
    for (const ChainReport& chain : report.chains) json["chains"].push_back(json_of(chain));
    json["worker_reports"] = Json::array();
    for (const WorkerReport& worker : report.worker_reports)
        json["worker_reports"].push_back(json_of(worker));
    return json;
}

std::string as_json(const InlineReport& report) { return json_of(report).dump() + "\n"; }

} // namespace xdplane
