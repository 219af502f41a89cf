// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/worker.h"

#include <algorithm>
#include <cstring>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_pause.h>
#include <rte_prefetch.h>
#include <rte_ring.h>

#include "bpf/maps/cpu_map.h"
#include "bpf/maps/dev_map.h"
#include "bpf/run/redirect.h"
#include "dataplane/port.h"
#include "dataplane/run_scope.h"
#include "dataplane/tap.h"

namespace xdplane {
namespace {

/// Packets on their way to one transmit queue, in order.
struct Outbox {
    u32 count = 0;
    u32 bytes = 0;
    std::array<rte_mbuf*, kBurst> packets;
};

/// Packets on their way to another worker, in order.
struct Parcel {
    u32 count = 0;
    std::array<Handed, kBurst> packets;
};

/// The first byte that programs may use in front of a packet. Buffers of our pools have kPrivateHeadroom more
/// than DPDK knows of; memory of others (external or cloned buffers) has nothing in front of buf_addr.
u8* buffer_start(const rte_mbuf& mbuf) {
    u8* start = static_cast<u8*>(mbuf.buf_addr);
    return RTE_MBUF_DIRECT(&mbuf) && mbuf.priv_size == kPrivateHeadroom ? start - kPrivateHeadroom : start;
}

/// Describes a received mbuf to programs. False if it can not be one: several segments, or too little
/// headroom.
[[gnu::always_inline]] inline bool fill(XdpBuff& packet, rte_mbuf& mbuf, u32 ifindex, u32 queue) {
    u8* data = rte_pktmbuf_mtod(&mbuf, u8*);
    u8* start = buffer_start(mbuf);
    if (mbuf.nb_segs != 1 || data < start + kFrameHeader) return false;
    // The first cache line field by field; the second in one go, which is 4 stores where `XdpBuff{}` is a
    // `rep stos`, at 8 ns per packet.
    packet.data = data;
    packet.data_end = data + mbuf.data_len;
    packet.data_meta = data;
    packet.hard_start = std::max(start, data - kHeadroom);
    u8* buffer_end = static_cast<u8*>(mbuf.buf_addr) + mbuf.buf_len;
    packet.frame_end =
        std::min(buffer_end, std::max(packet.hard_start + kFrameSize - kFrameTail, packet.data_end));
    packet.wire_len = mbuf.data_len;
    packet.ingress_ifindex = ifindex;
    packet.rx_queue = queue;
    packet.verdict = kAborted;
    packet.timestamp_ns = 0;
    std::memset(&packet.index, 0, offsetof(XdpBuff, skb) - offsetof(XdpBuff, index));
    packet.origin = &mbuf;
    if (mbuf.data_len >= 14) std::memcpy(&packet.protocol, data + 12, 2);
    return true;
}

/// The same where speed is not everything.
[[gnu::noinline]] bool fill_again(XdpBuff& packet, rte_mbuf& mbuf, const QueuePlan& queue) {
    return fill(packet, mbuf, queue.ifindex, queue.queue);
}

/// Makes the mbuf what the program left. data_off counts from buf_addr and can not be negative, so a packet
/// that grew into the private headroom moves back; that is rare and small.
void take_back(const XdpBuff& packet, rte_mbuf& mbuf) {
    u8* buffer = static_cast<u8*>(mbuf.buf_addr);
    const auto length = static_cast<u16>(packet.data_end - packet.data);
    u8* data = packet.data;
    if (data < buffer) {
        std::memmove(buffer, data, length);
        data = buffer;
    }
    mbuf.data_off = static_cast<u16>(data - buffer);
    mbuf.data_len = length;
    mbuf.pkt_len = length;
    // What the receiving port knew of the packet (checksums, hash, tags) may no longer be true.
    mbuf.ol_flags &= RTE_MBUF_F_EXTERNAL | RTE_MBUF_F_INDIRECT;
}

class Worker {
public:
    Worker(WorkerShared& shared, u32 number, WorkerStats& stats)
        : shared_(shared),
          number_(number),
          stats_(stats),
          taps_(number),
          inbox_(shared.inboxes[number]),
          outgoing_(shared.inboxes.size()) {}

    void run() {
        RunScope scope({.cpu = cpu(), .clock = Clock::wall, .seed = rte_rdtsc(), .random_by_packet = false});
        if (scope.ready()) {
            stats_.cpu.add(cpu());
            work(scope);
        }
        leaving_ = true;
        shared_.finished.fetch_add(1, std::memory_order_acq_rel);
        if (scope.ready()) empty_inbox(scope);
    }

private:
    void work(RunScope& scope) {
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
            stats_.rounds.add(1);
            stats_.cycles.add(now - before);
            if (received != 0) stats_.busy_cycles.add(now - before);
            before = now;
            mark_ = now;
            if (received == 0) rte_pause();
        }
    }

    /// What others have handed over until they finished.
    void empty_inbox(RunScope& scope) {
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

    static u32 cpu() {
        const int cpu = sched_getcpu();
        return cpu < 0 || static_cast<u32>(cpu) >= num_possible_cpus() ? 0 : static_cast<u32>(cpu);
    }

    u32 poll(const QueuePlan& queue, const std::vector<TxTarget>& targets) {
        std::array<rte_mbuf*, kBurst> mbufs;
        const u16 received = rte_eth_rx_burst(queue.port, queue.queue, mbufs.data(), kBurst);
        if (received == 0) return 0;
        for (u32 i = 0; i < received; ++i) rte_prefetch0(rte_pktmbuf_mtod(mbufs[i], void*));

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
        const u64 now = rte_rdtsc();
        queue.stats->cycles.add(now - mark_);
        mark_ = now;
        return received;
    }

    void free_dead() {
        if (taps_.on()) [[unlikely]]
            for (u32 i = 0; i < dead_count_; ++i) taps_.died(dead_[i], reasons_[i]);
        rte_pktmbuf_free_bulk(dead_.data(), dead_count_);
        dead_count_ = 0;
    }

    /// A capture sees what no program does. Segments are copied one behind the other.
    [[gnu::noinline]] void tap_unfit(const rte_mbuf& mbuf, Drop reason, const QueuePlan& queue) {
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

    /// A packet that programs can not work on where it is: one in several segments is copied into one. False
    /// if it is among the dead instead.
    [[gnu::noinline]] bool fill_awkward(XdpBuff& packet, rte_mbuf& mbuf, const QueuePlan& queue) {
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

    bool refuse(rte_mbuf& mbuf, Drop reason, const QueuePlan& queue) {
        if (taps_.on()) tap_unfit(mbuf, reason, queue);
        bury(mbuf, reason, queue);
        return false;
    }

    /// Why fill() failed.
    static Drop unfit(const rte_mbuf& mbuf) { return mbuf.nb_segs != 1 ? Drop::segments : Drop::no_room; }

    /// Every packet into the outbox of its target, or among the dead with a reason.
    void sort(const QueuePlan& queue, const std::vector<TxTarget>& targets) {
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

    static i32 find_target(const std::vector<TxTarget>& targets, u32 ifindex) {
        for (std::size_t i = 0; i < targets.size(); ++i)
            if (targets[i].ifindex == ifindex) return static_cast<i32>(i);
        return -1;
    }

    using Targets = std::vector<TxTarget>;

    [[gnu::noinline]] void redirect(XdpBuff& packet, rte_mbuf& mbuf, const QueuePlan& queue,
                                    const Targets& targets) {
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

    /// To the worker of a CPU.
    void hand(const Redirect& to, const XdpBuff& packet, rte_mbuf& mbuf, const QueuePlan& queue) {
        const i32 worker = to.target < shared_.worker_of_cpu.size() ? shared_.worker_of_cpu[to.target] : -1;
        if (worker < 0 || leaving_) return bury(mbuf, worker < 0 ? Drop::cpu_map : Drop::cpu_full, queue);
        // What has grown into the private headroom moves, and its metadata is left behind.
        const bool moves = packet.data < static_cast<u8*>(mbuf.buf_addr);
        const auto meta = static_cast<u16>(moves ? 0 : packet.data - packet.data_meta);
        take_back(packet, mbuf);
        Parcel& parcel = outgoing_[static_cast<u32>(worker)];
        parcel.packets[parcel.count++] = {&mbuf, static_cast<u16>(queue.self),
                                          static_cast<u16>(packet.rx_queue), to.map, meta};
        if (parcel.count == kBurst) hand_over(static_cast<u32>(worker), queue);
        handing_ = true;
    }

    void hand_over(u32 worker, const QueuePlan& queue) {
        Parcel& parcel = outgoing_[worker];
        const u32 taken = rte_ring_mp_enqueue_burst_elem(shared_.inboxes[worker], parcel.packets.data(),
                                                         sizeof(Handed), parcel.count, nullptr);
        queue.stats->handed.add(taken);
        if (taps_.on()) [[unlikely]]
            for (u32 i = 0; i < taken; ++i) taps_.left(parcel.packets[i].mbuf);
        for (u32 i = taken; i < parcel.count; ++i) bury(*parcel.packets[i].mbuf, Drop::cpu_full, queue);
        parcel.count = 0;
    }

    /// A burst out of the inbox: each through the program of its cpumap's entry, and on as if it had come in
    /// here.
    u32 take_handed(const Generation& generation) {
        return rte_ring_empty(inbox_) ? 0 : take_burst(generation);
    }
    [[gnu::noinline]] u32 take_burst(const Generation& generation) {
        std::array<Handed, kBurst> handed;
        const u32 count =
            rte_ring_sc_dequeue_burst_elem(inbox_, handed.data(), sizeof(Handed), kBurst, nullptr);
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

    void arrive(const Handed& handed, const QueuePlan& port, const std::vector<TxTarget>& targets) {
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

    /// Out of a devmap's port, past the entry's program.
    void leave(const DevTarget& target, XdpBuff& packet, rte_mbuf& mbuf, const QueuePlan& queue,
               const Targets& targets) {
        if (target.entry != nullptr) {
            const u32 verdict = target.entry->run(target.entry, &packet, &t_run);
            if (verdict != kPass) return bury(mbuf, verdict == kDrop ? Drop::verdict : Drop::aborted, queue);
        }
        post(find_target(targets, target.value.ifindex), Drop::no_such_port, packet, mbuf, queue, targets);
    }

    /// Out of every port of a devmap: copies to all but the last, which gets the packet itself.
    void broadcast(const Redirect& to, XdpBuff& packet, rte_mbuf& mbuf, const QueuePlan& queue,
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

    void send_copy(const DevTarget& target, const rte_mbuf& mbuf, const QueuePlan& queue,
                   const Targets& targets) {
        queue.stats->copies.add(1);
        rte_mbuf* copy = rte_pktmbuf_copy(&mbuf, mbuf.pool, 0, ~u32{0});
        if (copy == nullptr) return queue.stats->drops[static_cast<u32>(Drop::no_copy)].add(1);
        XdpBuff packet;
        if (!fill_again(packet, *copy, queue)) return bury(*copy, unfit(*copy), queue);
        leave(target, packet, *copy, queue, targets);
    }

    void post(i32 target, Drop reason, const XdpBuff& packet, rte_mbuf& mbuf, const QueuePlan& queue,
              const Targets& targets) {
        if (target < 0) return bury(mbuf, reason, queue);
        take_back(packet, mbuf);
        Outbox& outbox = outboxes_[static_cast<u32>(target)];
        if (outbox.count == kBurst) flush(outbox, targets[static_cast<u32>(target)], queue);
        outbox.packets[outbox.count++] = &mbuf;
        outbox.bytes += mbuf.pkt_len;
    }

    void bury(rte_mbuf& mbuf, Drop reason, const QueuePlan& queue) {
        forget(mbuf, static_cast<u8>(reason));
        queue.stats->drops[static_cast<u32>(reason)].add(1);
    }

    /// To be freed; counted already.
    void forget(rte_mbuf& mbuf, u8 reason = TapRecord::kNone) {
        if (dead_count_ == kBurst) free_dead(); // copies make a burst longer
        reasons_[dead_count_] = reason;
        dead_[dead_count_++] = &mbuf;
    }

    void send(const QueuePlan& queue, const std::vector<TxTarget>& targets) {
        for (std::size_t i = 0; i < targets.size(); ++i) {
            if (outboxes_[i].count != 0) flush(outboxes_[i], targets[i], queue);
        }
        if (!handing_) return;
        for (u32 worker = 0; worker < outgoing_.size(); ++worker)
            if (outgoing_[worker].count != 0) hand_over(worker, queue);
        handing_ = false;
    }

    void flush(Outbox& outbox, const TxTarget& target, const QueuePlan& queue) {
        if (target.lock != nullptr)
            while (target.lock->test_and_set(std::memory_order_acquire)) rte_pause();
        const u16 sent = rte_eth_tx_burst(target.port, target.queue, outbox.packets.data(),
                                          static_cast<u16>(outbox.count));
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

    WorkerShared& shared_;
    u32 number_;
    WorkerStats& stats_;
    u64 next_index_ = 0;
    u64 mark_ = 0; ///< timestamp counter, at the end of the last burst or round
    Burst burst_;
    Verdicts verdicts_{};
    u32 dead_count_ = 0;
    std::array<rte_mbuf*, kBurst> dead_{};
    std::array<u8, kBurst> reasons_{}; ///< of the dead: enum class Drop
    WorkerTaps taps_;
    std::unique_ptr<u8[]> spare_; ///< for what captures see of packets in segments
    std::array<Outbox, RTE_MAX_ETHPORTS> outboxes_{};
    rte_ring* inbox_;
    std::vector<Parcel> outgoing_; ///< by worker
    bool handing_ = false;         ///< something is in them
    bool leaving_ = false;         ///< nothing more is handed over
};

} // namespace

void run_worker(WorkerShared& shared, u32 number, WorkerStats& stats) {
    const auto worker = std::make_unique<Worker>(shared, number, stats);
    worker->run();
}

} // namespace xdplane
