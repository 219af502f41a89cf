// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bpf/base/result.h"
#include "bpf/syscall/interfaces.h"
#include "dataplane/chain_report.h"
#include "dataplane/port.h"
#include "dataplane/taps.h"
#include "dataplane/worker.h"

/// The inline data plane: ports, the chains in front of them, and one worker per core.
namespace xdplane {

/// A port and what happens to the packets that come in on it.
struct InlinePort {
    PortSpec spec;
    std::string peer;   ///< name of the port that XDP_PASS sends to; empty: none
    std::string mac_of; ///< a port before this one, whose MAC address a net_tap gets; or empty
    std::shared_ptr<const Chain> chain; ///< null: every packet passes
    std::string chain_name;             ///< under which it is counted
};

/// One receive queue of a port.
struct QueueReport {
    u32 worker = 0; ///< who reads it
    u64 rx_packets = 0;
    u64 rx_bytes = 0;
    u64 polls = 0;   ///< receive calls
    u64 bursts = 0;  ///< those that brought packets
    u64 cycles = 0;  ///< of the timestamp counter in bursts, from receiving to sending
    double busy = 0; ///< share of its worker's time, 0 to 1
};

/// Counters of one port. Of what came in on it: rx_packets + copies = forwarded + the sum of drops, once the
/// data plane has stopped. Over all ports the sums of forwarded and of tx_packets are equal.
struct PortReport {
    std::string name;
    std::string device;
    u32 ifindex = 0;                 ///< as programs see it
    std::vector<QueueReport> queues; ///< receive queues, by number
    u64 rx_packets = 0;
    u64 rx_bytes = 0;
    u64 forwarded = 0;  ///< of the packets that came in here: handed to some port's transmit queue
    u64 handed = 0;     ///< of the packets that came in here: to the worker of a cpumap's CPU
    u64 copies = 0;     ///< of the packets that came in here, for BPF_F_BROADCAST: all but one per packet
    u64 tx_packets = 0; ///< handed to this port's transmit queues, wherever they came in
    u64 tx_bytes = 0;
    std::array<u64, kDrops> drops{};
    DeviceCounters device_counters;
};

/// What a worker did, since it was started.
struct WorkerReport {
    u32 cpu = 0; ///< it is pinned to
    u64 rounds = 0;
    u64 bursts = 0;
    u64 packets = 0;              ///< received on its queues
    u64 arrivals = 0;             ///< handed over to it by a cpumap
    u64 cycles = 0;               ///< of the timestamp counter, in all rounds
    u64 busy_cycles = 0;          ///< in rounds that brought packets
    double cycles_per_packet = 0; ///< of packets and arrivals, receiving and sending included
    double busy = 0;              ///< share of its time, 0 to 1, in rounds that brought packets

    [[nodiscard]] double packets_per_burst() const {
        return bursts == 0 ? 0 : static_cast<double>(packets) / static_cast<double>(bursts);
    }
};

/// Start DPDK first: start_eal(). All of it is the control thread's.
class Inline {
public:
    /// Opens all ports and shares their receive queues out to at most `workers` workers. Queues of the same
    /// number of a port and its peer share one: between them packets, and both directions of what a
    /// symmetric hash keeps together, keep to one core. Where a port's specification says who reads its
    /// queues, that is who does, and all `workers` run.
    static Result<std::unique_ptr<Inline>> open(std::vector<InlinePort> ports, u32 workers);
    ~Inline();

    /// Starts the workers.
    Result<> start();
    /// The next generation: other chains and peers for the ports that are open, which must be the same, under
    /// the same names. Every worker goes over to it between two bursts; a packet is judged by the one or the
    /// other. Returns when no worker uses the last one any more. ETIMEDOUT if one does not come back from its
    /// burst; the others have gone over then.
    Result<> reconfigure(std::vector<InlinePort> ports);
    /// Stops workers, then ports. Returns the number of buffers that did not come back to their pools: 0, or
    /// there is a bug. Safe to call twice.
    u32 stop();

    /// Begins a capture. It ends when what is returned is let go of, which must be before this object goes.
    /// ENODEV: there is no such port; EBUSY: there are kMaxTaps captures already.
    Result<std::shared_ptr<const Tap>> tap(TapSpec spec);
    [[nodiscard]] u32 taps() const { return taps_.count(); }

    [[nodiscard]] std::vector<PortReport> ports() const;
    /// The ports as bpf(2) knows them.
    [[nodiscard]] std::vector<Interface> interfaces() const;
    /// Of all generations so far, by name: those that run now come first.
    [[nodiscard]] std::vector<ChainReport> chains() const;
    [[nodiscard]] std::vector<WorkerReport> worker_reports() const;
    /// Some port is an interface of the kernel, given back when it closes.
    [[nodiscard]] bool kernel_interfaces() const;
    [[nodiscard]] u32 workers() const { return static_cast<u32>(live_->generation.queues.size()); }

private:
    struct Opened {
        PortSpec spec;
        std::unique_ptr<Port> port;
        std::unique_ptr<QueueStats[]> stats;       ///< by receive queue
        std::unique_ptr<QueueStats[]> handed;      ///< by worker: of what others received here for it
        std::unique_ptr<TxStats[]> tx_stats;       ///< by worker
        std::unique_ptr<std::atomic_flag> tx_lock; ///< where workers share a transmit queue
        u32 first_worker = 0; ///< reads queue 0, the next ones the next queues, unless the spec says who

        /// Of `workers`: who reads a queue, for as long as the port is open.
        [[nodiscard]] u32 worker_of(u32 queue, u32 workers) const {
            return spec.queue_workers.empty() ? (first_worker + queue) % workers : spec.queue_workers[queue];
        }
    };
    /// A generation and what belongs to it alone.
    struct Live {
        Generation generation;
        std::vector<InlinePort> ports; ///< in the order of ports_
        /// By port and receive queue; none without a chain.
        std::vector<std::vector<std::unique_ptr<ChainStats>>> stats;
        u64 stamp = 0; ///< of the Reclaimer, once another one took its place
    };
    struct Launch {
        WorkerShared* shared;
        u32 number;
        WorkerStats* stats;
    };
    static int worker_main(void* launch);

    Inline() = default;
    [[nodiscard]] Result<> check_ifindexes() const;
    Result<> make_inboxes(u32 workers);
    void empty_inboxes();
    u32 assign_workers(const std::vector<InlinePort>& ports, u32 workers);
    [[nodiscard]] std::unique_ptr<Live> make_live(std::vector<InlinePort> ports, u32 workers);
    [[nodiscard]] Result<> wait_for(u64 stamp) const;
    /// Keeps the counters of generations that nobody uses any more, and drops the rest.
    void bury_retired();
    static void add_chains(const Live& live, std::vector<ChainReport>& reports);

    std::vector<Opened> ports_;
    std::unique_ptr<Live> live_;
    std::vector<std::unique_ptr<Live>> retired_; ///< a worker may still be in them
    std::vector<ChainReport> past_;              ///< of generations that are gone
    WorkerShared shared_;
    Taps taps_{shared_.taps};
    std::vector<Launch> launches_;
    std::unique_ptr<WorkerStats[]> worker_stats_;
    bool running_ = false;
};

} // namespace xdplane
