// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/inline.h"

#include <algorithm>
#include <numeric>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <set>

namespace xdplane {
namespace {

int worker_main(void* argument) {
    const auto* launch = static_cast<const std::pair<WorkerShared*, u32>*>(argument);
    run_worker(*launch->first, launch->second);
    return 0;
}

/// DPDK's number of the lcore that runs a worker: workers take the worker lcores in order.
std::vector<unsigned> worker_lcores() {
    std::vector<unsigned> lcores;
    unsigned lcore = 0;
    RTE_LCORE_FOREACH_WORKER(lcore) lcores.push_back(lcore);
    return lcores;
}

Result<> check_names(const std::vector<InlinePort>& ports) {
    std::set<std::string_view> names;
    for (const InlinePort& port : ports)
        if (!names.insert(port.spec.name).second)
            return fail(EEXIST, "two ports are called {}", port.spec.name);
    for (const InlinePort& port : ports)
        if (!port.peer.empty() && !names.contains(port.peer))
            return fail(EINVAL, "port {}: its peer {} is no port", port.spec.name, port.peer);
    return {};
}

} // namespace

Result<std::unique_ptr<Inline>> Inline::open(std::vector<InlinePort> ports, u32 workers) {
    if (ports.empty()) return fail(EINVAL, "no ports");
    if (ports.size() > RTE_MAX_ETHPORTS)
        return fail(E2BIG, "{} ports; DPDK has room for {}", ports.size(), RTE_MAX_ETHPORTS);
    if (auto ok = check_names(ports); !ok) return fail(ok.error());
    std::unique_ptr<Inline> data_plane(new Inline);
    workers = std::max(workers, 1U);
    for (InlinePort& config : ports) {
        Opened opened;
        auto port = Port::open(config.spec, workers);
        if (!port) return fail(port.error());
        opened.port = std::move(*port);
        opened.stats = std::make_unique<QueueStats>();
        if (config.chain) opened.chain_stats = std::make_unique<ChainStats>(config.chain->stages().size());
        opened.tx_stats = std::make_unique<TxStats[]>(workers);
        opened.tx_lock = std::make_unique<std::atomic_flag>();
        opened.config = std::move(config);
        data_plane->ports_.push_back(std::move(opened));
    }
    if (auto ok = data_plane->check_ifindexes(); !ok) return fail(ok.error());
    data_plane->plan(workers);
    return data_plane;
}

Result<> Inline::check_ifindexes() const {
    for (std::size_t i = 0; i < ports_.size(); ++i)
        for (std::size_t k = 0; k < i; ++k)
            if (ports_[i].port->ifindex() == ports_[k].port->ifindex())
                return fail(EEXIST, "ports {} and {} both have ifindex {}", ports_[k].port->name(),
                            ports_[i].port->name(), ports_[i].port->ifindex());
    return {};
}

void Inline::plan(u32 workers) {
    // Ports that name each other as peers form groups; a group stays on one worker.
    std::vector<u32> group(ports_.size());
    std::iota(group.begin(), group.end(), 0U);
    std::vector<i32> peers;
    for (std::size_t i = 0; i < ports_.size(); ++i) {
        const std::string& name = ports_[i].config.peer;
        const auto peer = std::ranges::find(ports_, name, [](const Opened& o) { return o.config.spec.name; });
        peers.push_back(name.empty() ? -1 : static_cast<i32>(peer - ports_.begin()));
        if (name.empty()) continue;
        const u32 from = group[i];
        std::replace(group.begin(), group.end(), from, u32{group[static_cast<u32>(peers[i])]});
    }
    std::vector<u32> groups(group);
    std::ranges::sort(groups);
    groups.erase(std::unique(groups.begin(), groups.end()), groups.end());

    const u32 used = std::min<u32>(workers, static_cast<u32>(groups.size()));
    generation_ = std::make_unique<Generation>();
    generation_->queues.resize(used);
    generation_->targets.resize(used);
    for (std::size_t i = 0; i < ports_.size(); ++i) {
        Opened& opened = ports_[i];
        const auto rank = std::ranges::lower_bound(groups, group[i]) - groups.begin();
        opened.worker = static_cast<u32>(rank) % used;
        generation_->queues[opened.worker].push_back({.port = opened.port->id(),
                                                      .queue = 0,
                                                      .ifindex = opened.port->ifindex(),
                                                      .chain = opened.config.chain,
                                                      .chain_stats = opened.chain_stats.get(),
                                                      .stats = opened.stats.get(),
                                                      .peer = peers[i],
                                                      .self = static_cast<i32>(i)});
        const u32 queues = opened.port->tx_queues();
        for (u32 worker = 0; worker < used; ++worker)
            generation_->targets[worker].push_back({.ifindex = opened.port->ifindex(),
                                                    .port = opened.port->id(),
                                                    .queue = static_cast<u16>(worker % queues),
                                                    .stats = &opened.tx_stats[worker],
                                                    .lock = queues < used ? opened.tx_lock.get() : nullptr});
    }
}

Result<> Inline::start() {
    const std::vector<unsigned> lcores = worker_lcores();
    if (lcores.size() < workers())
        return fail(EINVAL, "{} workers need {} lcores besides the main one, and EAL has {}", workers(),
                    workers(), lcores.size());
    shared_.generation.store(generation_.get(), std::memory_order_release);
    shared_.stop.store(false);
    launch_arguments_.clear();
    for (u32 worker = 0; worker < workers(); ++worker) launch_arguments_.emplace_back(&shared_, worker);
    running_ = true;
    for (u32 worker = 0; worker < workers(); ++worker)
        if (const int error = rte_eal_remote_launch(worker_main, &launch_arguments_[worker], lcores[worker]);
            error != 0)
            return fail(-error, "can not start worker {} on lcore {}", worker, lcores[worker]);
    return {};
}

u32 Inline::stop() {
    if (running_) {
        shared_.stop.store(true);
        rte_eal_mp_wait_lcore();
        running_ = false;
    }
    for (Opened& opened : ports_) opened.port->stop();
    u32 missing = 0;
    for (const Opened& opened : ports_) missing += opened.port->buffers_missing();
    return missing;
}

Inline::~Inline() { (void)stop(); }

std::vector<PortReport> Inline::ports() const {
    std::vector<PortReport> reports;
    for (const Opened& opened : ports_) {
        PortReport report{
            .name = opened.port->name(), .device = opened.port->device(), .worker = opened.worker};
        report.rx_packets = opened.stats->rx_packets.get();
        report.rx_bytes = opened.stats->rx_bytes.get();
        report.forwarded = opened.stats->forwarded.get();
        for (u32 worker = 0; worker < workers(); ++worker) {
            report.tx_packets += opened.tx_stats[worker].packets.get();
            report.tx_bytes += opened.tx_stats[worker].bytes.get();
        }
        for (u32 i = 0; i < kDrops; ++i) report.drops[i] = opened.stats->drops[i].get();
        report.device_counters = opened.port->counters();
        reports.push_back(std::move(report));
    }
    return reports;
}

std::vector<const ChainStats*> Inline::chain_stats(const Chain& chain) const {
    std::vector<const ChainStats*> stats;
    for (const Opened& opened : ports_)
        if (opened.config.chain.get() == &chain) stats.push_back(opened.chain_stats.get());
    return stats;
}

} // namespace xdplane
