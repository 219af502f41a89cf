// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/worker_loop.h"

#include <algorithm>
#include <cstring>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_pause.h>
#include <rte_prefetch.h>

namespace xdplane {
namespace {

u32 this_cpu() {
    const int cpu = sched_getcpu();
    return cpu < 0 || static_cast<u32>(cpu) >= num_possible_cpus() ? 0 : static_cast<u32>(cpu);
}

} // namespace

void Worker::run() {
    RunScope scope({.cpu = this_cpu(), .clock = Clock::wall, .seed = rte_rdtsc(), .random_by_packet = false});
    if (scope.ready()) {
        stats_.cpu.add(this_cpu());
        work(scope);
    }
    leaving_ = true;
    shared_.finished.fetch_add(1, std::memory_order_acq_rel);
    if (scope.ready()) empty_inbox(scope);
}

void Worker::work(RunScope& scope) {
    u64 before = rte_rdtsc();
    mark_ = before;
    while (!shared_.stop.load(std::memory_order_relaxed)) {
        const Generation* generation = shared_.generation.load(std::memory_order_acquire);
        taps_.use(shared_.taps.load(std::memory_order_acquire));
        u32 received = take_handed(*generation);
        if (received != 0) mark_ = rte_rdtsc();
        for (const QueuePlan& queue : generation->queues[number_])
            received += poll(queue, generation->targets[number_]);
        scope.quiescent();
        const u64 now = rte_rdtsc();
        if (charged_ != nullptr) charge(now);
        stats_.rounds.add(1);
        stats_.cycles.add(now - before);
        if (received != 0) stats_.busy_cycles.add(now - before);
        before = now;
        mark_ = now;
        if (received == 0) rte_pause();
    }
}

/// What others have handed over until they finished.
void Worker::empty_inbox(RunScope& scope) {
    const Generation* generation = shared_.generation.load(std::memory_order_acquire);
    taps_.use(nullptr);
    for (bool last = false; !last;) {
        last = shared_.finished.load(std::memory_order_acquire) >=
               shared_.started.load(std::memory_order_acquire);
        while (take_handed(*generation) != 0) scope.quiescent();
        scope.quiescent();
        rte_pause();
    }
}

/// Every packet into the outbox of its target, or among the dead with a reason.
inline void Worker::sort(const QueuePlan& queue, const Targets& targets) {
    for (u32 i = 0; i < burst_.count; ++i) {
        XdpBuff& packet = burst_.packets[i];
        auto* mbuf = static_cast<rte_mbuf*>(packet.origin);
        switch (verdicts_[i]) {
        case kPass: post(queue.peer, Drop::no_peer, packet, *mbuf, queue, targets); break;
        case kTx: post(queue.self, Drop::no_peer, packet, *mbuf, queue, targets); break;
        case kRedirect: redirect(packet, *mbuf, queue, targets); break;
        case kDrop: bury(*mbuf, Drop::verdict, queue); break;
        default: bury(*mbuf, Drop::aborted, queue); break;
        }
    }
}

u32 Worker::poll(const QueuePlan& queue, const Targets& targets) {
    std::array<rte_mbuf*, kBurst> mbufs;
    const u16 received = rte_eth_rx_burst(queue.port, queue.queue, mbufs.data(), kBurst);
    if (received == 0) return 0;
    for (u32 i = 0; i < received; ++i) rte_prefetch0(rte_pktmbuf_mtod(mbufs[i], void*));

    if (charged_ != nullptr) charge(rte_rdtsc());
    charged_ = queue.stats;
    dead_count_ = 0;
    if (taps_.on()) [[unlikely]]
        taps_.begin(queue.port);
    u32 count = 0;
    u64 bytes = 0;
    const u64 first = next_index_;
    const u32 ifindex = queue.ifindex;
    const u32 number = queue.queue;
    for (u32 i = 0; i < received; ++i) {
        bytes += mbufs[i]->pkt_len;
        XdpBuff& packet = burst_.packets[count];
        if (fill(packet, *mbufs[i], ifindex, number) || fill_awkward(packet, *mbufs[i], queue)) {
            packet.index = first + i;
            ++count;
        }
    }
    burst_.count = count;
    next_index_ += received;
    queue.stats->rx_packets.add(received);
    queue.stats->rx_bytes.add(bytes);
    queue.stats->bursts.add(1);

    t_run.mtu = queue.mtu;
    if (taps_.on()) [[unlikely]]
        taps_.received(burst_);
    if (queue.chain)
        queue.chain->judge(burst_, verdicts_, *queue.chain_stats);
    else
        std::fill_n(verdicts_.begin(), burst_.count, u8{kPass});
    if (taps_.on()) [[unlikely]]
        taps_.judged(burst_, verdicts_);
    sort(queue, targets);
    send(queue, targets);
    free_dead();
    if (taps_.on()) [[unlikely]]
        taps_.settle();
    return received;
}

void Worker::flush(Outbox& outbox, const TxTarget& target, const QueuePlan& queue) {
    if (target.lock != nullptr)
        while (target.lock->test_and_set(std::memory_order_acquire)) rte_pause();
    const u16 sent =
        rte_eth_tx_burst(target.port, target.queue, outbox.packets.data(), static_cast<u16>(outbox.count));
    if (target.lock != nullptr) target.lock->clear(std::memory_order_release);
    for (u32 k = sent; k < outbox.count; ++k) {
        outbox.bytes -= outbox.packets[k]->pkt_len;
        bury(*outbox.packets[k], Drop::tx_full, queue);
    }
    if (taps_.on()) [[unlikely]]
        for (u32 k = 0; k < sent; ++k) taps_.left(outbox.packets[k]);
    queue.stats->forwarded.add(sent);
    target.stats->packets.add(sent);
    target.stats->bytes.add(outbox.bytes);
    outbox.count = 0;
    outbox.bytes = 0;
}

/// A capture sees what no program does. Segments are copied one behind the other.
void Worker::tap_unfit(const rte_mbuf& mbuf, Drop reason, const QueuePlan& queue) {
    if (spare_ == nullptr) spare_ = std::make_unique<u8[]>(kHeadroom + kMaxTapSnaplen);
    u32 length = 0;
    for (const rte_mbuf* segment = &mbuf; segment != nullptr; segment = segment->next) {
        const u32 size = std::min<u32>(segment->data_len, kMaxTapSnaplen - length);
        std::memcpy(spare_.get() + kHeadroom + length, rte_pktmbuf_mtod(segment, const u8*), size);
        length += size;
    }
    XdpBuff packet{};
    packet.hard_start = spare_.get();
    packet.data = packet.data_meta = spare_.get() + kHeadroom;
    packet.data_end = packet.frame_end = packet.data + length;
    packet.ingress_ifindex = queue.ifindex;
    packet.rx_queue = queue.queue;
    if (length >= 14) std::memcpy(&packet.protocol, packet.data + 12, 2);
    taps_.unfit(packet, mbuf.pkt_len, static_cast<u8>(reason));
}

inline bool Worker::refuse(rte_mbuf& mbuf, Drop reason, const QueuePlan& queue) {
    if (taps_.on()) tap_unfit(mbuf, reason, queue);
    bury(mbuf, reason, queue);
    return false;
}

bool Worker::fill_again(XdpBuff& packet, rte_mbuf& mbuf, const QueuePlan& queue) {
    return fill(packet, mbuf, queue.ifindex, queue.queue);
}

/// A packet that programs can not work on where it is: one in several segments is copied into one. False
/// if it is among the dead instead.
bool Worker::fill_awkward(XdpBuff& packet, rte_mbuf& mbuf, const QueuePlan& queue) {
    const bool fits = mbuf.pkt_len + RTE_PKTMBUF_HEADROOM <= rte_pktmbuf_data_room_size(queue.pool);
    if (mbuf.nb_segs == 1 || !fits) return refuse(mbuf, unfit(mbuf), queue);
    rte_mbuf* flat = rte_pktmbuf_alloc(queue.pool);
    if (flat == nullptr) return refuse(mbuf, Drop::no_copy, queue);
    for (const rte_mbuf* segment = &mbuf; segment != nullptr; segment = segment->next)
        std::memcpy(rte_pktmbuf_append(flat, segment->data_len), rte_pktmbuf_mtod(segment, const u8*),
                    segment->data_len);
    forget(mbuf);
    return fill_again(packet, *flat, queue); // in a buffer of our own, always
}

void run_worker(WorkerShared& shared, u32 number, WorkerStats& stats) {
    const auto worker = std::make_unique<Worker>(shared, number, stats);
    worker->run();
}

} // namespace xdplane
