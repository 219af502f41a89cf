// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "bpf/base/result.h"
#include "bpf/base/types.h"
#include "dataplane/driver_traits.h"

struct rte_device;
struct rte_eth_dev_info;
struct rte_mempool;

/// DPDK ports, as far as a worker needs them. This is control-thread code; the packets themselves are moved
/// by worker.cpp with rte_eth_rx_burst and rte_eth_tx_burst.
namespace xdplane {

/// What to open.
struct PortSpec {
    std::string name; ///< the config's word for it
    std::string
        device;        ///< DPDK's: "0000:01:00.0", "net_af_packet0,iface=veth0", or a port that EAL arguments
                       ///< (--vdev) made, by its name
    u32 ifindex = 0;   ///< what programs see; 0: DPDK's port number plus 1
    u32 rx_queues = 0; ///< 0: see Port
    std::vector<u32> queue_workers; ///< of each of rx_queues: who reads it; empty: see Inline::open()
    u32 mtu = 0;                    ///< longest packet behind the Ethernet header; 0: the device's own
    u32 rx_descriptors = 1024;
    u32 tx_descriptors = 1024;

    friend bool operator==(const PortSpec&, const PortSpec&) = default;
};

/// Receive queues of one port.
inline constexpr u32 kMostQueues = 256;

/// Buffers of one port's pool: so many for what is on its way, and for each receive queue at least as many
/// again (twice its descriptors, if that is more). A buffer begins like a Linux XDP frame, with kHeadroom
/// bytes in front of the packet: the first half of them is the mbuf's private area, because DPDK's own
/// headroom is 128. Behind it there is room for a whole kFrameSize, so that frames of net_af_packet's
/// framesz=4096 fit in one segment, or for a frame of PortSpec::mtu if that is longer. (Not so where the
/// kernel takes no buffer larger than a page: DriverTraits::page_buffers.)
inline constexpr u32 kPoolPackets = 4096;
inline constexpr u32 kPrivateHeadroom = 128;
/// Largest PortSpec::mtu.
inline constexpr u32 kLargestMtu = 16384;

/// What the device itself counts.
struct DeviceCounters {
    u64 missed = 0;    ///< received by the device, lost before the worker saw it (no buffer, full queue)
    u64 tx_errors = 0; ///< taken from the worker, and not sent after all (too long, link down)
};

/// A started ethdev. Promiscuous for as long as it lives. Stopped and closed by its destructor.
///
/// Receive queues: as PortSpec says; else as many as the caller wants and the device has. A device whose
/// queues are filled whether somebody reads them or not (kDriverTraits) has all of them read. Where there are
/// several and the device can, a symmetric hash of addresses and ports shares packets out, so that both
/// directions of a flow come in on the queue of the same number.
///
/// Transmit queues: one per worker, or fewer behind a lock where the device has no more.
class Port {
public:
    /// `workers`: how many will send. `queues`: how many it is worth to receive on. Errors name the port and
    /// DPDK's reason.
    static Result<std::unique_ptr<Port>> open(const PortSpec& spec, u32 workers, u32 queues);
    ~Port();
    Port(const Port&) = delete;
    Port& operator=(const Port&) = delete;

    [[nodiscard]] const std::string& name() const { return spec_.name; }
    [[nodiscard]] const std::string& device() const { return spec_.device; }
    [[nodiscard]] u16 id() const { return id_; }
    [[nodiscard]] u32 ifindex() const { return ifindex_; }
    [[nodiscard]] rte_mempool* pool() const { return pool_; }
    [[nodiscard]] u16 rx_queues() const { return rx_queues_; }
    [[nodiscard]] u16 tx_queues() const { return tx_queues_; }
    /// Stops receiving and sending; buffers that the device still holds go back to their pools. No worker may
    /// use the port any more.
    void stop();
    /// As of now, or of stop() after it. Zeros where the driver does not count (net_af_packet's missed).
    [[nodiscard]] DeviceCounters counters() const;
    [[nodiscard]] std::string mac() const; ///< "02:00:00:00:00:01"; empty: the device has none
    [[nodiscard]] const DriverTraits& traits() const { return traits_; }
    [[nodiscard]] u32 mtu() const { return spec_.mtu != 0 ? spec_.mtu : 1500; }
    /// Buffers of this port's pool that nobody gave back, apart from those that the driver never does
    /// (DriverTraits::keeps). Meaningful after stop() of every port.
    [[nodiscard]] u32 buffers_missing() const;

private:
    explicit Port(PortSpec spec) : spec_(std::move(spec)) {}
    Result<> probe();
    Result<> choose_queues(const rte_eth_dev_info& info, u32 workers, u32 wanted);
    [[nodiscard]] bool is_promiscuous() const;
    [[nodiscard]] Result<u16> buffer_size() const;
    Result<> make_pool();
    Result<> configure(const rte_eth_dev_info& info);
    Result<> set_mtu() const;
    Result<> set_up_queues();
    void drain() const;

    PortSpec spec_;
    DriverTraits traits_;
    u16 id_ = 0;
    u32 ifindex_ = 0;
    u16 rx_queues_ = 1;
    u16 tx_queues_ = 1;
    bool probed_ = false;     ///< this object attached the device, and detaches it
    bool configured_ = false; ///< the device knows the pool
    bool started_ = false;
    bool promiscuous_before_ = true; ///< the kernel's interface, if there is one: it stays so
    u32 interface_ = 0;              ///< its number there; 0: none
    DeviceCounters at_stop_;
    rte_device* bus_device_ = nullptr;
    rte_mempool* pool_ = nullptr;
};

} // namespace xdplane
