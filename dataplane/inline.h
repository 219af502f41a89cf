// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bpf/base/result.h"
#include "dataplane/port.h"
#include "dataplane/worker.h"

/// The inline data plane: ports, the chains in front of them, and one worker per core.
namespace xdplane {

/// A port and what happens to the packets that come in on it.
struct InlinePort {
    PortSpec spec;
    std::string peer;                   ///< name of the port that XDP_PASS sends to; empty: none
    std::shared_ptr<const Chain> chain; ///< null: every packet passes
};

/// Counters of one port. Of what came in on it: rx_packets = forwarded + the sum of drops, once the data
/// plane has stopped. Over all ports the sums of forwarded and of tx_packets are equal.
struct PortReport {
    std::string name;
    std::string device;
    u32 worker = 0;
    u64 rx_packets = 0;
    u64 rx_bytes = 0;
    u64 forwarded = 0;  ///< of the packets that came in here: handed to some port's transmit queue
    u64 tx_packets = 0; ///< handed to this port's transmit queues, wherever they came in
    u64 tx_bytes = 0;
    std::array<u64, kDrops> drops{};
    DeviceCounters device_counters;
};

/// Start DPDK first: start_eal().
class Inline {
public:
    /// Opens all ports and assigns them to at most `workers` workers. A port and its peer share one: between
    /// them packets keep to one core.
    static Result<std::unique_ptr<Inline>> open(std::vector<InlinePort> ports, u32 workers);
    ~Inline();

    /// Starts the workers. Control thread.
    Result<> start();
    /// Stops workers, then ports. Returns the number of buffers that did not come back to their pools: 0, or
    /// there is a bug. Safe to call twice.
    u32 stop();

    [[nodiscard]] std::vector<PortReport> ports() const;
    /// Counters of all queues that run `chain`, one ChainStats per worker and port.
    [[nodiscard]] std::vector<const ChainStats*> chain_stats(const Chain& chain) const;
    [[nodiscard]] u32 workers() const { return static_cast<u32>(generation_->queues.size()); }

private:
    Inline() = default;
    [[nodiscard]] Result<> check_ifindexes() const;
    void plan(u32 workers);

    struct Opened {
        InlinePort config;
        std::unique_ptr<Port> port;
        std::unique_ptr<QueueStats> stats;
        std::unique_ptr<ChainStats> chain_stats;
        std::unique_ptr<TxStats[]> tx_stats;       ///< by worker
        std::unique_ptr<std::atomic_flag> tx_lock; ///< where workers share a transmit queue
        u32 worker = 0;
    };
    std::vector<Opened> ports_;
    std::unique_ptr<Generation> generation_;
    WorkerShared shared_;
    std::vector<std::pair<WorkerShared*, u32>> launch_arguments_;
    bool running_ = false;
};

} // namespace xdplane
