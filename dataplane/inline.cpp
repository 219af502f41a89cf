// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/inline.h"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_ring.h>
#include <set>
#include <thread>

#include "bpf/base/reclaimer.h"

namespace xdplane {
namespace {

/// Longer than any burst takes.
constexpr auto kLongestBurst = std::chrono::seconds(10);

/// DPDK's number of the lcore that runs a worker: workers take the worker lcores in order.
std::vector<unsigned> worker_lcores() {
    std::vector<unsigned> lcores;
    unsigned lcore = 0;
    RTE_LCORE_FOREACH_WORKER(lcore) lcores.push_back(lcore);
    return lcores;
}

/// The CPU that an lcore is pinned to; -1 if it has several.
i32 only_cpu(unsigned lcore) {
    const cpu_set_t set = rte_lcore_cpuset(lcore);
    if (CPU_COUNT(&set) != 1) return -1;
    i32 cpu = 0;
    while (!CPU_ISSET(cpu, &set)) ++cpu;
    return cpu;
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

/// Whom the ports want for their queues is there.
Result<> check_workers(const std::vector<InlinePort>& ports, u32 workers) {
    for (const InlinePort& port : ports) {
        const std::vector<u32>& readers = port.spec.queue_workers;
        if (!readers.empty() && readers.size() != port.spec.rx_queues)
            return fail(EINVAL, "port {}: workers for {} queues of {}", port.spec.name, readers.size(),
                        port.spec.rx_queues);
        for (const u32 worker : readers)
            if (worker >= workers)
                return fail(EINVAL,
                            "port {}: there is no worker {} for its queue: workers = {}, counted from 0",
                            port.spec.name, worker, workers);
    }
    return {};
}

/// By name; -1 if there is none.
i32 index_of(const std::vector<InlinePort>& ports, const std::string& name) {
    const auto found = std::ranges::find(ports, name, [](const InlinePort& port) { return port.spec.name; });
    return found == ports.end() ? -1 : static_cast<i32>(found - ports.begin());
}

/// Ports that name each other as peers form groups, numbered from 0: by port.
std::vector<u32> groups_of(const std::vector<InlinePort>& ports) {
    std::vector<u32> group(ports.size());
    std::iota(group.begin(), group.end(), 0U);
    for (std::size_t i = 0; i < ports.size(); ++i) {
        if (ports[i].peer.empty()) continue;
        const u32 from = group[i];
        const u32 to = group[static_cast<u32>(index_of(ports, ports[i].peer))];
        std::ranges::replace(group, from, to);
    }
    std::vector<u32> groups(group);
    std::ranges::sort(groups);
    groups.erase(std::unique(groups.begin(), groups.end()), groups.end());
    for (u32& one : group) one = static_cast<u32>(std::ranges::lower_bound(groups, one) - groups.begin());
    return group;
}
u32 count_of(const std::vector<u32>& groups) { return std::ranges::max(groups) + 1; }

} // namespace

int Inline::worker_main(void* argument) {
    const auto* launch = static_cast<const Launch*>(argument);
    run_worker(*launch->shared, launch->number, *launch->stats);
    return 0;
}

Result<std::unique_ptr<Inline>> Inline::open(std::vector<InlinePort> ports, u32 workers) {
    if (ports.empty()) return fail(EINVAL, "no ports");
    if (ports.size() > RTE_MAX_ETHPORTS)
        return fail(E2BIG, "{} ports; DPDK has room for {}", ports.size(), RTE_MAX_ETHPORTS);
    if (auto ok = check_names(ports); !ok) return fail(ok.error());
    std::unique_ptr<Inline> data_plane(new Inline);
    workers = std::max(workers, 1U);
    if (auto ok = check_workers(ports, workers); !ok) return fail(ok.error());
    // With groups of ports for all workers, one queue each keeps them out of each other's way.
    const u32 groups = count_of(groups_of(ports));
    const u32 queues = (workers + groups - 1) / groups;
    for (const InlinePort& config : ports) {
        Opened opened;
        PortSpec spec = config.spec;
        if (const auto like = std::ranges::find(data_plane->ports_, config.mac_of,
                                                [](const Opened& other) { return other.spec.name; });
            like != data_plane->ports_.end())
            if (const std::string mac = like->port->mac(); !mac.empty()) spec.device += ",mac=" + mac;
        auto port = Port::open(spec, workers, queues);
        if (!port) return fail(port.error());
        opened.spec = config.spec;
        opened.port = std::move(*port);
        opened.stats = std::make_unique<QueueStats[]>(opened.port->rx_queues());
        opened.handed = std::make_unique<QueueStats[]>(workers);
        opened.tx_stats = std::make_unique<TxStats[]>(workers);
        opened.tx_lock = std::make_unique<std::atomic_flag>();
        data_plane->ports_.push_back(std::move(opened));
    }
    if (auto ok = data_plane->check_ifindexes(); !ok) return fail(ok.error());
    const u32 used = data_plane->assign_workers(ports, workers);
    if (auto ok = data_plane->make_inboxes(used); !ok) return fail(ok.error());
    data_plane->worker_stats_ = std::make_unique<WorkerStats[]>(used);
    data_plane->live_ = data_plane->make_live(std::move(ports), used);
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

Result<> Inline::make_inboxes(u32 workers) {
    for (u32 worker = 0; worker < workers; ++worker) {
        rte_ring* inbox =
            rte_ring_create_elem(fmt::format("xdplane_inbox_{}", worker).c_str(), sizeof(Handed), kInboxSize,
                                 SOCKET_ID_ANY, RING_F_SC_DEQ | RING_F_EXACT_SZ);
        if (inbox == nullptr)
            return fail(rte_errno, "no memory for the inbox of worker {}: {}", worker,
                        rte_strerror(rte_errno));
        shared_.inboxes.push_back(inbox);
    }
    return {};
}

/// Returns how many workers have something to do. A group of ports has as many as its widest port has queues.
u32 Inline::assign_workers(const std::vector<InlinePort>& ports, u32 workers) {
    const std::vector<u32> group = groups_of(ports);
    u32 shares = 0;
    for (u32 one = 0; one < count_of(group); ++one) {
        u32 widest = 1;
        for (std::size_t i = 0; i < ports.size(); ++i) {
            if (group[i] != one) continue;
            ports_[i].first_worker = shares;
            widest = std::max<u32>(widest, ports_[i].port->rx_queues());
        }
        shares += widest;
    }
    const bool assigned =
        std::ranges::any_of(ports, [](const InlinePort& port) { return !port.spec.queue_workers.empty(); });
    return assigned ? workers : std::min(workers, shares);
}

std::unique_ptr<Inline::Live> Inline::make_live(std::vector<InlinePort> ports, u32 workers) {
    auto live = std::make_unique<Live>();
    live->generation.queues.resize(workers);
    live->generation.targets.resize(workers);
    live->generation.arrivals.resize(workers);
    for (std::size_t i = 0; i < ports.size(); ++i) {
        const Opened& opened = ports_[i];
        const Port& port = *opened.port;
        const auto& chain = ports[i].chain;
        auto& stats = live->stats.emplace_back();
        const i32 peer = ports[i].peer.empty() ? -1 : index_of(ports, ports[i].peer);
        for (u16 queue = 0; queue < port.rx_queues(); ++queue) {
            if (chain) stats.push_back(std::make_unique<ChainStats>(chain->stages().size()));
            live->generation.queues[opened.worker_of(queue, workers)].push_back(
                {.port = port.id(),
                 .queue = queue,
                 .ifindex = port.ifindex(),
                 .mtu = port.mtu(),
                 .pool = port.pool(),
                 .chain = chain,
                 .chain_stats = chain ? stats.back().get() : nullptr,
                 .stats = &opened.stats[queue],
                 .peer = peer,
                 .self = static_cast<i32>(i)});
        }
        for (u32 worker = 0; worker < workers; ++worker)
            live->generation.arrivals[worker].push_back({.port = port.id(),
                                                         .ifindex = port.ifindex(),
                                                         .mtu = port.mtu(),
                                                         .pool = port.pool(),
                                                         .stats = &opened.handed[worker],
                                                         .peer = peer,
                                                         .self = static_cast<i32>(i)});
        const u32 queues = port.tx_queues();
        for (u32 worker = 0; worker < workers; ++worker)
            live->generation.targets[worker].push_back(
                {.ifindex = port.ifindex(),
                 .port = port.id(),
                 .queue = static_cast<u16>(worker % queues),
                 .stats = &opened.tx_stats[worker],
                 .lock = queues < workers ? opened.tx_lock.get() : nullptr});
    }
    live->ports = std::move(ports);
    return live;
}

Result<> Inline::reconfigure(std::vector<InlinePort> ports) {
    if (auto ok = check_names(ports); !ok) return ok;
    std::vector<InlinePort> in_order;
    for (const Opened& opened : ports_) {
        const i32 index = index_of(ports, opened.spec.name);
        if (index < 0) return fail(ENOENT, "port {} is open; it can not go away", opened.spec.name);
        in_order.push_back(ports[static_cast<u32>(index)]);
        if (in_order.back().spec != opened.spec)
            return fail(EINVAL, "port {} is open; its device, ifindex, MTU and queues can not change",
                        opened.spec.name);
    }
    for (const InlinePort& port : ports)
        if (index_of(in_order, port.spec.name) < 0)
            return fail(ENODEV, "port {} is new; ports are opened at the start", port.spec.name);

    auto next = make_live(std::move(in_order), workers());
    if (running_) shared_.generation.store(&next->generation, std::memory_order_release);
    live_->stamp = Reclaimer::instance().stamp();
    retired_.push_back(std::exchange(live_, std::move(next)));
    auto taken = running_ ? wait_for(retired_.back()->stamp) : Result<>{};
    bury_retired();
    return taken;
}

Result<> Inline::wait_for(u64 stamp) const {
    const auto deadline = std::chrono::steady_clock::now() + kLongestBurst;
    while (!Reclaimer::instance().passed(stamp)) {
        if (std::chrono::steady_clock::now() > deadline)
            return fail(ETIMEDOUT, "a worker has been in one burst for {} s", kLongestBurst.count());
        std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
    return {};
}

void Inline::bury_retired() {
    std::erase_if(retired_, [&](const std::unique_ptr<Live>& live) {
        if (running_ && !Reclaimer::instance().passed(live->stamp)) return false;
        add_chains(*live, past_);
        return true;
    });
}

Result<> Inline::start() {
    const std::vector<unsigned> lcores = worker_lcores();
    if (lcores.size() < workers())
        return fail(EINVAL, "{} workers need {} lcores besides the main one, and EAL has {}", workers(),
                    workers(), lcores.size());
    shared_.generation.store(&live_->generation, std::memory_order_release);
    shared_.stop.store(false);
    shared_.started.store(0);
    shared_.finished.store(0);
    shared_.worker_of_cpu.assign(num_possible_cpus(), -1);
    for (u32 worker = 0; worker < workers(); ++worker)
        if (const i32 cpu = only_cpu(lcores[worker]);
            cpu >= 0 && static_cast<u32>(cpu) < shared_.worker_of_cpu.size())
            shared_.worker_of_cpu[static_cast<u32>(cpu)] = static_cast<i32>(worker);
    launches_.clear();
    for (u32 worker = 0; worker < workers(); ++worker)
        launches_.push_back({&shared_, worker, &worker_stats_[worker]});
    running_ = true;
    for (u32 worker = 0; worker < workers(); ++worker) {
        if (const int error = rte_eal_remote_launch(worker_main, &launches_[worker], lcores[worker]);
            error != 0)
            return fail(-error, "can not start worker {} on lcore {}", worker, lcores[worker]);
        shared_.started.fetch_add(1);
    }
    return {};
}

/// A worker that could not start leaves what it was sent.
void Inline::empty_inboxes() {
    Handed left{};
    for (u32 worker = 0; worker < workers(); ++worker)
        while (rte_ring_sc_dequeue_elem(shared_.inboxes[worker], &left, sizeof left) == 0) {
            rte_pktmbuf_free(left.mbuf);
            ports_[left.port].handed[worker].drops[static_cast<u32>(Drop::cpu_map)].add(1);
        }
}

u32 Inline::stop() {
    if (running_) {
        shared_.stop.store(true);
        rte_eal_mp_wait_lcore();
        running_ = false;
        empty_inboxes();
        bury_retired();
    }
    for (Opened& opened : ports_) opened.port->stop();
    u32 missing = 0;
    for (const Opened& opened : ports_) missing += opened.port->buffers_missing();
    return missing;
}

Inline::~Inline() {
    (void)stop();
    for (rte_ring* inbox : shared_.inboxes) rte_ring_free(inbox);
}

Result<std::shared_ptr<const Tap>> Inline::tap(TapSpec spec) {
    std::vector<bool> taken(RTE_MAX_ETHPORTS, spec.ports.empty());
    for (const std::string& name : spec.ports) {
        const i32 index = index_of(live_->ports, name);
        if (index < 0) {
            std::vector<std::string> names;
            for (const InlinePort& port : live_->ports) names.push_back(port.spec.name);
            return fail(ENODEV, "there is no port '{}' (there are: {})", name, fmt::join(names, ", "));
        }
        taken[ports_[static_cast<u32>(index)].port->id()] = true;
    }
    if (taps_.count() >= kMaxTaps) return fail(EBUSY, "there are {} captures already", kMaxTaps);
    auto made = Tap::make(std::move(spec), std::move(taken), workers());
    if (!made) return fail(made.error());
    const std::shared_ptr<Tap> tap = taps_.add(std::move(*made));
    return std::shared_ptr<const Tap>(tap.get(), [this, tap](const Tap*) { taps_.remove(tap); });
}

} // namespace xdplane
