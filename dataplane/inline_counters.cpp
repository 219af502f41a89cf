// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// What the inline data plane tells of itself: its ports as bpf(2) knows them, and what workers have counted.
#include "dataplane/inline.h"

#include <algorithm>
#include <rte_ether.h>

namespace xdplane {
namespace {

void add_to(PortReport& report, const QueueStats& stats) {
    report.rx_packets += stats.rx_packets.get();
    report.rx_bytes += stats.rx_bytes.get();
    report.forwarded += stats.forwarded.get();
    report.handed += stats.handed.get();
    report.copies += stats.copies.get();
    for (u32 i = 0; i < kDrops; ++i) report.drops[i] += stats.drops[i].get();
}

} // namespace

std::vector<Interface> Inline::interfaces() const {
    std::vector<Interface> interfaces;
    for (const Opened& opened : ports_) {
        const Port& port = *opened.port;
        Interface interface{.ifindex = port.ifindex(), .mtu = port.mtu(), .name = port.name(), .mac = {}};
        rte_ether_addr mac{};
        if (rte_ether_unformat_addr(port.mac().c_str(), &mac) == 0)
            std::ranges::copy(mac.addr_bytes, interface.mac.begin());
        interfaces.push_back(std::move(interface));
    }
    return interfaces;
}

bool Inline::kernel_interfaces() const {
    return std::ranges::any_of(ports_,
                               [](const Opened& opened) { return opened.port->traits().kernel_interface; });
}

std::vector<PortReport> Inline::ports() const {
    std::vector<PortReport> reports;
    for (const Opened& opened : ports_) {
        PortReport report{
            .name = opened.port->name(), .device = opened.port->device(), .ifindex = opened.port->ifindex()};
        for (u32 queue = 0; queue < opened.port->rx_queues(); ++queue) {
            const QueueStats& stats = opened.stats[queue];
            const u32 worker = opened.worker_of(queue, workers());
            const u64 cycles = stats.cycles.get();
            report.queues.push_back({.worker = worker,
                                     .rx_packets = stats.rx_packets.get(),
                                     .rx_bytes = stats.rx_bytes.get(),
                                     .polls = worker_stats_[worker].rounds.get(),
                                     .bursts = stats.bursts.get(),
                                     .cycles = cycles,
                                     .busy = CostReport::ratio(cycles, worker_stats_[worker].cycles.get())});
            add_to(report, stats);
        }
        for (u32 worker = 0; worker < workers(); ++worker) {
            add_to(report, opened.handed[worker]);
            report.tx_packets += opened.tx_stats[worker].packets.get();
            report.tx_bytes += opened.tx_stats[worker].bytes.get();
        }
        report.device_counters = opened.port->counters();
        reports.push_back(std::move(report));
    }
    return reports;
}

void Inline::add_chains(const Live& live, std::vector<ChainReport>& reports) {
    for (std::size_t i = 0; i < live.ports.size(); ++i) {
        if (live.stats[i].empty()) continue;
        std::vector<const ChainStats*> stats;
        for (const auto& queue : live.stats[i]) stats.push_back(queue.get());
        add_to(reports, report_chain(live.ports[i].chain_name, *live.ports[i].chain, stats));
    }
}

std::vector<ChainReport> Inline::chains() const {
    std::vector<ChainReport> reports;
    add_chains(*live_, reports);
    for (const auto& live : retired_) add_chains(*live, reports);
    for (const ChainReport& past : past_) add_to(reports, past);
    return reports;
}

std::vector<WorkerReport> Inline::worker_reports() const {
    std::vector<WorkerReport> reports;
    for (u32 worker = 0; worker < workers(); ++worker) {
        const WorkerStats& stats = worker_stats_[worker];
        WorkerReport report{.cpu = static_cast<u32>(stats.cpu.get()),
                            .rounds = stats.rounds.get(),
                            .bursts = 0,
                            .packets = 0};
        for (const Opened& opened : ports_) {
            for (u32 queue = 0; queue < opened.port->rx_queues(); ++queue) {
                if (opened.worker_of(queue, workers()) != worker) continue;
                report.bursts += opened.stats[queue].bursts.get();
                report.packets += opened.stats[queue].rx_packets.get();
            }
        }
        report.cycles = stats.cycles.get();
        report.busy_cycles = stats.busy_cycles.get();
        report.arrivals = stats.arrivals.get();
        const auto busy = static_cast<double>(report.busy_cycles);
        if (const u64 all = report.packets + report.arrivals; all != 0)
            report.cycles_per_packet = busy / static_cast<double>(all);
        if (report.cycles != 0) report.busy = busy / static_cast<double>(report.cycles);
        reports.push_back(report);
    }
    return reports;
}

} // namespace xdplane
