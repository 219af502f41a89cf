// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <memory>
#include <rte_ring.h>
#include <vector>

#include "bpf/maps/dev_map.h"
#include "bpf/run/redirect.h"
#include "dataplane/mbuf_packet.h"
#include "dataplane/run_scope.h"
#include "dataplane/tap.h"
#include "dataplane/worker.h"

/// The inside of run_worker(), for the files that it is in.
namespace xdplane {

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

/// A worker: its loop, and what it has on the way. What happens to every packet is inline in poll(); what is
/// rare is not.
class Worker {
public:
    Worker(WorkerShared& shared, u32 number, WorkerStats& stats)
        : shared_(shared),
          number_(number),
          stats_(stats),
          taps_(number),
          inbox_(shared.inboxes[number]),
          outgoing_(shared.inboxes.size()) {}

    void run();

private:
    using Targets = std::vector<TxTarget>;

    void work(RunScope& scope);
    void empty_inbox(RunScope& scope);
    u32 poll(const QueuePlan& queue, const Targets& targets);
    void sort(const QueuePlan& queue, const Targets& targets);
    /// What has passed since the last mark is the last burst's. The last one of a round shares the round's
    /// look at the clock: a worker with one queue takes no other.
    void charge(u64 now) {
        charged_->cycles.add(now - mark_);
        charged_ = nullptr;
        mark_ = now;
    }
    void flush(Outbox& outbox, const TxTarget& target, const QueuePlan& queue);

    // Packets that programs can not work on where they are.
    [[gnu::noinline]] bool fill_awkward(XdpBuff& packet, rte_mbuf& mbuf, const QueuePlan& queue);
    bool refuse(rte_mbuf& mbuf, Drop reason, const QueuePlan& queue);
    [[gnu::noinline]] void tap_unfit(const rte_mbuf& mbuf, Drop reason, const QueuePlan& queue);
    /// fill(), where speed is not everything.
    [[gnu::noinline]] static bool fill_again(XdpBuff& packet, rte_mbuf& mbuf, const QueuePlan& queue);
    /// Why fill() failed.
    static Drop unfit(const rte_mbuf& mbuf) { return mbuf.nb_segs != 1 ? Drop::segments : Drop::no_room; }

    // worker_redirect.cpp
    [[gnu::noinline]] void redirect(XdpBuff& packet, rte_mbuf& mbuf, const QueuePlan& queue,
                                    const Targets& targets);
    void leave(const DevTarget& target, XdpBuff& packet, rte_mbuf& mbuf, const QueuePlan& queue,
               const Targets& targets);
    void broadcast(const Redirect& to, XdpBuff& packet, rte_mbuf& mbuf, const QueuePlan& queue,
                   const Targets& targets);
    void send_copy(const DevTarget& target, const rte_mbuf& mbuf, const QueuePlan& queue,
                   const Targets& targets);
    void hand(const Redirect& to, const XdpBuff& packet, rte_mbuf& mbuf, const QueuePlan& queue);
    void hand_over(u32 worker, const QueuePlan& queue);
    /// A burst out of the inbox: each through the program of its cpumap's entry, and on as if it had come in
    /// here.
    u32 take_handed(const Generation& generation) {
        return rte_ring_empty(inbox_) ? 0 : take_burst(generation);
    }
    [[gnu::noinline]] u32 take_burst(const Generation& generation);
    void arrive(const Handed& handed, const QueuePlan& port, const Targets& targets);

    // What leaves.
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
    void free_dead() {
        if (taps_.on()) [[unlikely]]
            for (u32 i = 0; i < dead_count_; ++i) taps_.died(dead_[i], reasons_[i]);
        rte_pktmbuf_free_bulk(dead_.data(), dead_count_);
        dead_count_ = 0;
    }
    void send(const QueuePlan& queue, const Targets& targets) {
        for (std::size_t i = 0; i < targets.size(); ++i) {
            if (outboxes_[i].count != 0) flush(outboxes_[i], targets[i], queue);
        }
        if (!handing_) return;
        for (u32 worker = 0; worker < outgoing_.size(); ++worker)
            if (outgoing_[worker].count != 0) hand_over(worker, queue);
        handing_ = false;
    }

    WorkerShared& shared_;
    u32 number_;
    WorkerStats& stats_;
    u64 next_index_ = 0;
    u64 mark_ = 0;                  ///< timestamp counter, at the end of the last burst or round
    QueueStats* charged_ = nullptr; ///< whose burst the time since then is; null: nobody's
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

} // namespace xdplane
