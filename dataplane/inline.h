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

/// Counters of one port, summed up.
struct PortReport {
    std::string name;
    std::string device;
    u32 worker = 0;
    u64 rx_packets = 0;
    u64 rx_bytes = 0;
    u64 tx_packets = 0; ///< of packets received on this port
    u64 rx_missed = 0;  ///< what the device lost before the worker saw it
    std::array<u64, kDrops> drops{};
};

/// Starts DPDK. Once per process, before anything else here. `arguments` are EAL's, without the program's
/// name; what is not said gets a default that works on any machine: workers on the CPUs this process may use,
/// no shared files, and ordinary pages where no 2 MB pages are free (said in `notes`).
Result<> start_eal(std::vector<std::string> arguments, u32 workers, std::vector<std::string>& notes);
void stop_eal();

class Inline {
public:
    /// Opens all ports and assigns them to at most `workers` workers; a port and its peer share one, so that
    /// between them no lock is needed.
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
    Result<> plan(u32 workers);
    [[nodiscard]] Result<i32> index_of(const std::string& name) const;

    struct Opened {
        InlinePort config;
        std::unique_ptr<Port> port;
        std::unique_ptr<QueueStats> stats;
        std::unique_ptr<ChainStats> chain_stats;
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
