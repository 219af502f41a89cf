// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// Packets that programs redirect: to ports, to several ports, and to other workers, where they arrive.
#include "dataplane/worker_loop.h"

#include "bpf/maps/cpu_map.h"
#include "bpf/run/run_context.h"

namespace xdplane {
namespace {

i32 find_target(const std::vector<TxTarget>& targets, u32 ifindex) {
    for (std::size_t i = 0; i < targets.size(); ++i)
        if (targets[i].ifindex == ifindex) return static_cast<i32>(i);
    return -1;
}

} // namespace

/// Out of a devmap's port, past the entry's program.
[[gnu::always_inline]] inline void Worker::leave(const DevTarget& target, XdpBuff& packet, rte_mbuf& mbuf,
                                                 const QueuePlan& queue, const Targets& targets) {
    if (target.entry != nullptr) {
        const u32 verdict = target.entry->run(target.entry, &packet, &t_run);
        if (verdict != kPass) return bury(mbuf, verdict == kDrop ? Drop::verdict : Drop::aborted, queue);
    }
    post(find_target(targets, target.value.ifindex), Drop::no_such_port, packet, mbuf, queue, targets);
}

inline void Worker::send_copy(const DevTarget& target, const rte_mbuf& mbuf, const QueuePlan& queue,
                              const Targets& targets) {
    queue.stats->copies.add(1);
    rte_mbuf* copy = rte_pktmbuf_copy(&mbuf, mbuf.pool, 0, ~u32{0});
    if (copy == nullptr) return queue.stats->drops[static_cast<u32>(Drop::no_copy)].add(1);
    XdpBuff packet;
    if (!fill_again(packet, *copy, queue)) return bury(*copy, unfit(*copy), queue);
    leave(target, packet, *copy, queue, targets);
}

/// Out of every port of a devmap: copies to all but the last, which gets the packet itself.
void Worker::broadcast(const Redirect& to, XdpBuff& packet, rte_mbuf& mbuf, const QueuePlan& queue,
                       const Targets& targets) {
    const DevMap* map = DevMap::by_number(to.map);
    const bool not_back = (to.flags & BPF_F_EXCLUDE_INGRESS) != 0;
    take_back(packet, mbuf);
    if (!fill_again(packet, mbuf, queue)) return bury(mbuf, unfit(mbuf), queue);
    const DevTarget* last = nullptr;
    if (map != nullptr)
        map->for_each_target([&](const DevTarget& target) {
            if (not_back && target.value.ifindex == queue.ifindex) return;
            if (last != nullptr) send_copy(*last, mbuf, queue, targets);
            last = &target;
        });
    if (last == nullptr) return bury(mbuf, Drop::no_such_port, queue);
    leave(*last, packet, mbuf, queue, targets);
}

/// To the worker of a CPU.
inline void Worker::hand(const Redirect& to, const XdpBuff& packet, rte_mbuf& mbuf, const QueuePlan& queue) {
    const i32 worker = to.target < shared_.worker_of_cpu.size() ? shared_.worker_of_cpu[to.target] : -1;
    if (worker < 0 || leaving_) return bury(mbuf, worker < 0 ? Drop::cpu_map : Drop::cpu_full, queue);
    // What has grown into the private headroom moves, and its metadata is left behind.
    const bool moves = packet.data < static_cast<u8*>(mbuf.buf_addr);
    const auto meta = static_cast<u16>(moves ? 0 : packet.data - packet.data_meta);
    take_back(packet, mbuf);
    Parcel& parcel = outgoing_[static_cast<u32>(worker)];
    parcel.packets[parcel.count++] = {&mbuf, static_cast<u16>(queue.self), static_cast<u16>(packet.rx_queue),
                                      to.map, meta};
    if (parcel.count == kBurst) hand_over(static_cast<u32>(worker), queue);
    handing_ = true;
}

void Worker::redirect(XdpBuff& packet, rte_mbuf& mbuf, const QueuePlan& queue, const Targets& targets) {
    const Redirect to = Redirect::of(packet);
    switch (to.kind) {
    case RedirectKind::neighbour:
    case RedirectKind::peer: // of tc programs, which no chain runs
    case RedirectKind::port:
        return post(find_target(targets, to.target), Drop::no_such_port, packet, mbuf, queue, targets);
    case RedirectKind::entry: {
        const DevMap* map = DevMap::by_number(to.map);
        const DevTarget* target = map != nullptr ? map->find(to.target) : nullptr;
        if (target == nullptr) return bury(mbuf, Drop::no_such_port, queue);
        return leave(*target, packet, mbuf, queue, targets);
    }
    case RedirectKind::broadcast: return broadcast(to, packet, mbuf, queue, targets);
    case RedirectKind::cpu: return hand(to, packet, mbuf, queue);
    case RedirectKind::socket: return bury(mbuf, Drop::xsk_map, queue);
    }
    bury(mbuf, Drop::aborted, queue);
}

void Worker::hand_over(u32 worker, const QueuePlan& queue) {
    Parcel& parcel = outgoing_[worker];
    const u32 taken = rte_ring_mp_enqueue_burst_elem(shared_.inboxes[worker], parcel.packets.data(),
                                                     sizeof(Handed), parcel.count, nullptr);
    queue.stats->handed.add(taken);
    if (taps_.on()) [[unlikely]]
        for (u32 i = 0; i < taken; ++i) taps_.left(parcel.packets[i].mbuf);
    for (u32 i = taken; i < parcel.count; ++i) bury(*parcel.packets[i].mbuf, Drop::cpu_full, queue);
    parcel.count = 0;
}

[[gnu::always_inline]] inline void Worker::arrive(const Handed& handed, const QueuePlan& port,
                                                  const Targets& targets) {
    XdpBuff& packet = burst_.packets[0];
    rte_mbuf& mbuf = *handed.mbuf;
    const CpuTarget* target = CpuMap::find(handed.map, t_run.cpu);
    if (target == nullptr) return bury(mbuf, Drop::cpu_map, port);
    if (!fill(packet, mbuf, port.ifindex, handed.queue)) return bury(mbuf, unfit(mbuf), port);
    packet.data_meta -= handed.meta;
    packet.index = next_index_++;
    t_run.mtu = port.mtu;
    u32 verdict = kPass;
    if (target->entry != nullptr) verdict = target->entry->run(target->entry, &packet, &t_run);
    if (verdict == kPass) return post(port.peer, Drop::no_peer, packet, mbuf, port, targets);
    if (verdict == kRedirect) return redirect(packet, mbuf, port, targets);
    bury(mbuf, verdict == kDrop ? Drop::verdict : Drop::aborted, port);
}

u32 Worker::take_burst(const Generation& generation) {
    std::array<Handed, kBurst> handed;
    const u32 count = rte_ring_sc_dequeue_burst_elem(inbox_, handed.data(), sizeof(Handed), kBurst, nullptr);
    stats_.arrivals.add(count);
    dead_count_ = 0;
    const auto& targets = generation.targets[number_];
    for (u32 i = 0; i < count; ++i) {
        const QueuePlan& port = generation.arrivals[number_][handed[i].port];
        arrive(handed[i], port, targets);
        // The next one may be another port's, and each counts what becomes of its own.
        if (i + 1 == count || handed[i + 1].port != handed[i].port) send(port, targets);
    }
    free_dead();
    return count;
}

} // namespace xdplane
