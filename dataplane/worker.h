// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <array>
#include <atomic>
#include <memory>
#include <vector>

#include "bpf/run/packet.h"
#include "dataplane/chain.h"
#include "dataplane/counter.h"

struct rte_mbuf;
struct rte_mempool;
struct rte_ring;

/// Workers: one per core, each in an endless loop over the queues that its generation gives it.
namespace xdplane {

struct TapSet;

/// Why a received packet was freed rather than sent. A row each in kDropReasons.
enum class Drop : u8 {
    verdict,
    aborted,
    no_peer,
    no_such_port,
    tx_full,
    segments,
    no_room,
    cpu_map,
    cpu_full,
    xsk_map,
    no_copy
};
inline constexpr u32 kDrops = 11;
struct DropReason {
    const char* key;  ///< in JSON
    const char* text; ///< in tables
};
inline constexpr std::array<DropReason, kDrops> kDropReasons{{
    {"drop", "XDP_DROP"},
    {"aborted", "XDP_ABORTED"},
    {"no_peer", "passed, and the port has no peer"},
    {"no_such_port", "redirected to no port"},
    {"tx_full", "transmit queue full"},
    {"segments", "in several segments, and too long for one"},
    {"no_headroom", "no headroom"},
    {"cpu_map", "redirected to a CPU without a worker"},
    {"cpu_full", "queue of another CPU full"},
    {"xsk_map", "redirected to a socket of an xskmap"},
    {"no_copy", "no buffer for a copy"},
}};

/// What one worker sent on one port. Written by the worker alone.
struct alignas(kCacheLine) TxStats {
    Counter packets;
    Counter bytes;
};

/// Where packets go: a transmit queue, and the lock to hold if it is shared with other workers.
struct TxTarget {
    u32 ifindex = 0;
    u16 port = 0;
    u16 queue = 0;
    TxStats* stats = nullptr;
    std::atomic_flag* lock = nullptr; ///< null: this worker's own queue
};

/// Counters of one queue. Written by its worker alone, read by the control thread at any time. Whatever was
/// received, or made of it for more than one port, was sent, dropped for one reason or handed on: rx_packets
/// + copies = forwarded + the sum of drops + handed, whenever the worker is between two bursts.
struct alignas(kCacheLine) QueueStats {
    Counter rx_packets;
    Counter rx_bytes;
    Counter bursts;    ///< receive calls that brought something
    Counter cycles;    ///< of the timestamp counter, in those, from receiving to sending
    Counter forwarded; ///< sent, on any port
    Counter copies;    ///< made by BPF_F_BROADCAST, or tried to
    Counter handed;    ///< to the worker of a cpumap's CPU, which counts what becomes of them
    std::array<Counter, kDrops> drops;
};

/// What a worker counts of itself. Written by the worker alone.
struct alignas(kCacheLine) WorkerStats {
    Counter cpu;         ///< it runs on; written once
    Counter rounds;      ///< over all its queues. Stands still: the worker hangs
    Counter cycles;      ///< of the timestamp counter, in all rounds
    Counter busy_cycles; ///< in rounds that brought packets
    Counter arrivals;    ///< packets that other workers, or this one, handed over to it
};

/// One receive queue and what happens to its packets. Immutable; the counters it points to live as long as
/// the data plane.
struct QueuePlan {
    u16 port = 0;
    u16 queue = 0;
    u32 ifindex = 0;
    u32 mtu = 1500;                     ///< what bpf_check_mtu knows
    rte_mempool* pool = nullptr;        ///< the port's
    std::shared_ptr<const Chain> chain; ///< null: every packet passes
    ChainStats* chain_stats = nullptr;  ///< written by the worker alone
    QueueStats* stats = nullptr;
    i32 peer = -1; ///< index in targets: where XDP_PASS goes; -1: nowhere
    i32 self = -1; ///< index in targets: where XDP_TX goes
};

/// Everything a worker needs, immutable once published: changing anything means publishing the next one.
struct Generation {
    std::vector<std::vector<QueuePlan>> queues; ///< by worker
    std::vector<std::vector<TxTarget>> targets; ///< by worker
    /// By worker and port: what happens to packets that came in there on another worker and were handed over.
    std::vector<std::vector<QueuePlan>> arrivals;
};

/// A packet on its way to the worker of a CPU that a cpumap named, in that worker's inbox.
struct Handed {
    rte_mbuf* mbuf;
    u16 port;  ///< it came in on: index in Generation::arrivals
    u16 queue; ///< receive queue it came in on
    u16 map;   ///< CpuMap::number()
    u16 meta;  ///< bytes of metadata in front of the packet
};

/// Packets that an inbox holds.
inline constexpr u32 kInboxSize = 4096;

/// What all workers share. `generation` and `taps` are written by the control thread, read by workers once
/// per round.
struct WorkerShared {
    alignas(kCacheLine) std::atomic<const Generation*> generation{nullptr};
    std::atomic<const TapSet*> taps{nullptr}; ///< null: no capture is on
    alignas(kCacheLine) std::atomic<bool> stop{false};
    std::atomic<u32> started{0};    ///< workers; written by the control thread before it says stop
    std::atomic<u32> finished{0};   ///< workers that will not hand over packets any more
    std::vector<rte_ring*> inboxes; ///< by worker, of Handed; written before workers start
    std::vector<i32> worker_of_cpu; ///< by CPU; -1: none runs there alone. Written before workers start
};

/// The loop of worker `number`, until shared.stop; runs on the calling thread, which must be pinned to one
/// CPU (its number becomes the CPU that programs see) and known to DPDK. After stop it goes on until every
/// worker has finished and its inbox is empty: when it returns, no packet is left with it.
void run_worker(WorkerShared& shared, u32 number, WorkerStats& stats);

} // namespace xdplane
