// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/metrics.h"

#include <iterator>
#include <nlohmann/json.hpp>

#include "dataplane/control_commands.h"

namespace xdplane {
namespace {

/// Where in the report a family's samples are, and which labels tell them apart.
enum class Of : u8 { process, port, queue, worker, chain, stage, map };

struct Family {
    MetricFamily metric;
    Of of;
    std::string_view key;     ///< in the report of one
    std::string_view by = {}; ///< the label for the names in it, where the key holds an object
};

constexpr Family kFamilies[] = {
    {{"xdplane_uptime_seconds", "gauge", "Time since the start"}, Of::process, "seconds"},
    {{"xdplane_generation", "gauge", "Configurations that have run, the present one included"},
     Of::process,
     "generation"},
    {{"xdplane_last_reload_failed", "gauge", "1 if the last reload was refused"},
     Of::process,
     "last_reload_failed"},
    {{"xdplane_workers", "gauge", "Worker threads"}, Of::process, "workers"},
    {{"xdplane_captures", "gauge", "Captures of live packets"}, Of::process, "captures"},
    {{"xdplane_tsc_hertz", "gauge", "Cycles of the timestamp counter in a second"}, Of::process, "tsc_hz"},

    {{"xdplane_port_rx_packets_total", "counter", "Packets received"}, Of::port, "rx_packets"},
    {{"xdplane_port_rx_bytes_total", "counter", "Bytes received"}, Of::port, "rx_bytes"},
    {{"xdplane_port_forwarded_packets_total", "counter", "Packets received here and sent on any port"},
     Of::port,
     "forwarded"},
    {{"xdplane_port_copies_total", "counter", "Copies made for BPF_F_BROADCAST of packets received here"},
     Of::port,
     "copies"},
    {{"xdplane_port_dropped_packets_total", "counter", "Packets received here and not sent, by reason"},
     Of::port,
     "dropped",
     "reason"},
    {{"xdplane_port_tx_packets_total", "counter", "Packets sent"}, Of::port, "tx_packets"},
    {{"xdplane_port_tx_bytes_total", "counter", "Bytes sent"}, Of::port, "tx_bytes"},
    {{"xdplane_port_rx_missed_total", "counter", "Packets that the device lost before a worker saw them"},
     Of::port,
     "missed"},
    {{"xdplane_port_tx_errors_total", "counter", "Packets that the device took and did not send"},
     Of::port,
     "tx_errors"},
    {{"xdplane_queue_rx_packets_total", "counter", "Packets received, by receive queue"},
     Of::queue,
     "rx_packets"},
    {{"xdplane_queue_rx_bytes_total", "counter", "Bytes received, by receive queue"}, Of::queue, "rx_bytes"},
    {{"xdplane_queue_polls_total", "counter", "Receive calls, by receive queue"}, Of::queue, "polls"},
    {{"xdplane_queue_bursts_total", "counter", "Receive calls that brought packets, by receive queue"},
     Of::queue,
     "bursts"},
    {{"xdplane_queue_cycles_total", "counter",
      "Cycles of the timestamp counter in bursts, from receiving to sending, by receive queue"},
     Of::queue,
     "cycles"},

    {{"xdplane_worker_rounds_total", "counter", "Rounds over all queues of the worker"},
     Of::worker,
     "rounds"},
    {{"xdplane_worker_bursts_total", "counter", "Receive calls that brought packets"}, Of::worker, "bursts"},
    {{"xdplane_worker_packets_total", "counter", "Packets received"}, Of::worker, "packets"},
    {{"xdplane_worker_cycles_total", "counter", "Cycles of the timestamp counter in all rounds"},
     Of::worker,
     "cycles"},
    {{"xdplane_worker_busy_cycles_total", "counter", "Cycles of rounds that brought packets"},
     Of::worker,
     "busy_cycles"},
    {{"xdplane_worker_cycles_per_packet", "gauge",
      "Cycles per packet, receiving and sending included, since the start"},
     Of::worker,
     "cycles_per_packet"},
    {{"xdplane_worker_busy_ratio", "gauge",
      "Share of the time in rounds that brought packets, since the start"},
     Of::worker,
     "busy"},

    {{"xdplane_chain_packets_total", "counter", "Packets that a chain judged"}, Of::chain, "packets"},
    {{"xdplane_chain_bytes_total", "counter", "Bytes of packets that a chain judged"}, Of::chain, "bytes"},
    {{"xdplane_chain_verdicts_total", "counter", "Packets by the final verdict of a chain"},
     Of::chain,
     "verdicts",
     "verdict"},
    {{"xdplane_chain_bursts_total", "counter", "Bursts that a chain judged"}, Of::chain, "bursts"},
    {{"xdplane_chain_timed_packets_total", "counter", "Packets in bursts that were timed"},
     Of::chain,
     "timed_packets"},
    {{"xdplane_chain_timed_cycles_total", "counter",
      "Cycles of the timestamp counter that a chain took for bursts that were timed"},
     Of::chain,
     "timed_cycles"},
    {{"xdplane_stage_packets_total", "counter", "Packets that reached a stage of a chain"},
     Of::stage,
     "packets"},
    {{"xdplane_stage_verdicts_total", "counter", "Packets by the verdict of a stage"},
     Of::stage,
     "verdicts",
     "verdict"},
    {{"xdplane_stage_bursts_total", "counter", "Bursts of which packets reached a stage"},
     Of::stage,
     "bursts"},
    {{"xdplane_stage_timed_packets_total", "counter",
      "Packets that reached a stage in bursts that were timed"},
     Of::stage,
     "timed_packets"},
    {{"xdplane_stage_timed_cycles_total", "counter",
      "Cycles of the timestamp counter that a stage's program took for bursts that were timed"},
     Of::stage,
     "timed_cycles"},

    {{"xdplane_map_entries", "gauge", "Entries in a hash or trie"}, Of::map, "entries"},
    {{"xdplane_map_max_entries", "gauge", "Entries that a map has room for"}, Of::map, "max_entries"},
    {{"xdplane_map_memory_bytes", "gauge", "Memory of a map, about"}, Of::map, "memory_bytes"},
};

void add_label(std::string& labels, std::string_view name, std::string_view value) {
    labels += labels.empty() ? "" : ",";
    labels += name;
    labels += "=\"";
    for (const char c : value) {
        if (c == '\n')
            labels += "\\n";
        else if (c == '"' || c == '\\')
            (labels += '\\') += c;
        else
            labels += c;
    }
    labels += '"';
}

std::string text_of(const Json& report, const char* key) { return report.value(key, std::string()); }

/// What a family has of one object: one number, or one for each name in it. Nothing if it is not reported.
void add_samples(std::string& page, const Family& family, std::string labels, const Json& report) {
    const auto found = report.find(family.key);
    if (found == report.end()) return;
    const auto add = [&](const Json& value, const std::string& with) {
        if (!value.is_number()) return;
        const std::string braces = with.empty() ? "" : "{" + with + "}";
        page += fmt::format("{}{} {}\n", family.metric.name, braces, value.dump());
    };
    if (family.by.empty()) return add(*found, labels);
    for (const auto& [name, value] : found->items()) {
        std::string with = labels;
        add_label(with, family.by, name);
        add(value, with);
    }
}

void add_ports(std::string& page, const Family& family, const Json& ports) {
    for (const Json& port : ports) {
        std::string labels;
        add_label(labels, "port", text_of(port, "name"));
        if (family.of == Of::port) {
            add_samples(page, family, labels, port);
            continue;
        }
        u32 number = 0;
        for (const Json& queue : port.value("queues", Json::array())) {
            std::string with = labels;
            add_label(with, "queue", std::to_string(number++));
            add_samples(page, family, with, queue);
        }
    }
}

void add_chains(std::string& page, const Family& family, const Json& chains) {
    for (const Json& chain : chains) {
        std::string labels;
        add_label(labels, "chain", text_of(chain, "name"));
        if (family.of == Of::chain) {
            add_samples(page, family, labels, chain);
            continue;
        }
        for (const Json& stage : chain.at("stages")) {
            std::string with = labels;
            add_label(with, "stage", text_of(stage, "name"));
            add_samples(page, family, with, stage);
        }
    }
}

void add_workers(std::string& page, const Family& family, const Json& workers) {
    u32 number = 0;
    for (const Json& worker : workers) {
        std::string labels;
        add_label(labels, "worker", std::to_string(number++));
        add_samples(page, family, labels, worker);
    }
}

void add_maps(std::string& page, const Family& family, const Json& maps) {
    for (const Json& map : maps) {
        std::string labels;
        for (const char* name : {"chain", "object"}) add_label(labels, name, text_of(map, name));
        add_label(labels, "map", text_of(map, "name"));
        add_samples(page, family, labels, map);
    }
}

void add_family(std::string& page, const Family& family, const Json& report) {
    switch (family.of) {
    case Of::process: return add_samples(page, family, "", report);
    case Of::port:
    case Of::queue: return add_ports(page, family, report.at("ports"));
    case Of::worker: return add_workers(page, family, report.at("worker_reports"));
    case Of::chain:
    case Of::stage: return add_chains(page, family, report.at("chains"));
    case Of::map: return add_maps(page, family, report.at("maps"));
    }
}

} // namespace

std::vector<MetricFamily> metric_families() {
    std::vector<MetricFamily> families;
    for (const Family& family : kFamilies) families.push_back(family.metric);
    return families;
}

Json metrics_report(const Daemon& daemon) {
    Json report = json_of(daemon.report());
    report["generation"] = daemon.generation();
    report["last_reload_failed"] = daemon.last_error().empty() ? 0 : 1;
    report["captures"] = daemon.plane().taps();
    report["maps"] = maps_report(daemon);
    return report;
}

std::string metrics_text(const Json& report) {
    std::string page;
    for (const Family& family : kFamilies) {
        std::string samples;
        add_family(samples, family, report);
        if (samples.empty()) continue;
        page += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n{3}", family.metric.name, family.metric.help,
                            family.metric.type, samples);
    }
    return page;
}

} // namespace xdplane
