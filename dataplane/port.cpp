// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/port.h"

#include <algorithm>
#include <array>
#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "bpf/run/packet.h"

namespace xdplane {
namespace {

static_assert(kPrivateHeadroom + RTE_PKTMBUF_HEADROOM == kHeadroom);
constexpr u32 kPoolCache = 256;

std::string device_name(const std::string& device) { return device.substr(0, device.find(',')); }

} // namespace

Result<std::unique_ptr<Port>> Port::open(const PortSpec& spec, u32 workers) {
    std::unique_ptr<Port> port(new Port(spec));
    const auto in_port = [&](const Error& e) { return fail(e, fmt::format("port {}", spec.name)); };
    if (auto ok = port->probe(); !ok) return in_port(ok.error());
    if (auto ok = port->make_pool(); !ok) return in_port(ok.error());
    if (auto ok = port->configure(workers); !ok) return in_port(ok.error());
    return port;
}

Result<> Port::probe() {
    const std::string name = device_name(spec_.device);
    if (rte_eth_dev_get_port_by_name(name.c_str(), &id_) != 0) {
        if (const int error = rte_dev_probe(spec_.device.c_str()); error != 0)
            return fail(-error, "DPDK can not open device {}: {}", spec_.device, rte_strerror(-error));
        probed_ = true;
        if (rte_eth_dev_get_port_by_name(name.c_str(), &id_) != 0)
            return fail(ENODEV, "device {} is no network port", spec_.device);
    }
    ifindex_ = spec_.ifindex != 0 ? spec_.ifindex : id_ + 1U;
    return {};
}

Result<> Port::make_pool() {
    const std::string name = fmt::format("xdplane_{}", id_);
    const auto buffer = static_cast<u16>(kFrameSize - kPrivateHeadroom);
    pool_ = rte_pktmbuf_pool_create(name.c_str(), kPoolPackets, kPoolCache, kPrivateHeadroom, buffer,
                                    rte_eth_dev_socket_id(id_));
    if (pool_ == nullptr)
        return fail(rte_errno, "no memory for {} buffers of {} bytes: {}", kPoolPackets, kFrameSize,
                    rte_strerror(rte_errno));
    return {};
}

Result<> Port::configure(u32 workers) {
    rte_eth_dev_info info{};
    if (const int error = rte_eth_dev_info_get(id_, &info); error != 0)
        return fail(-error, "no device information: {}", rte_strerror(-error));
    tx_queues_ = static_cast<u16>(std::clamp<u32>(workers, 1, std::max<u32>(info.max_tx_queues, 1)));

    // No offloads: a program sees what was on the wire, and what it leaves is what is sent.
    rte_eth_conf conf{};
    const auto failed = [](int error, const char* what) {
        return fail(-error, "{}: {}", what, rte_strerror(-error));
    };
    if (const int error = rte_eth_dev_configure(id_, 1, tx_queues_, &conf); error != 0)
        return failed(error, "can not configure");
    u16 rx = static_cast<u16>(spec_.rx_descriptors);
    u16 tx = static_cast<u16>(spec_.tx_descriptors);
    if (const int error = rte_eth_dev_adjust_nb_rx_tx_desc(id_, &rx, &tx); error != 0)
        return failed(error, "can not size its queues");
    const auto socket = static_cast<u32>(std::max(rte_eth_dev_socket_id(id_), 0));
    if (const int error = rte_eth_rx_queue_setup(id_, 0, rx, socket, nullptr, pool_); error != 0)
        return failed(error, "can not set up its receive queue");
    for (u16 queue = 0; queue < tx_queues_; ++queue)
        if (const int error = rte_eth_tx_queue_setup(id_, queue, tx, socket, nullptr); error != 0)
            return failed(error, "can not set up its transmit queues");
    if (const int error = rte_eth_dev_start(id_); error != 0) return failed(error, "can not start");
    started_ = true;
    // Devices without the notion of promiscuity (files, rings) say -ENOTSUP, and deliver everything anyway.
    (void)rte_eth_promiscuous_enable(id_);
    return {};
}

/// Software rings keep what was not received when they close; take it out. Bounded, for devices that never run
/// dry.
void Port::drain() const {
    std::array<rte_mbuf*, kBurst> packets;
    for (u32 left = kPoolPackets; left > 0;) {
        const u16 count = rte_eth_rx_burst(id_, 0, packets.data(), kBurst);
        if (count == 0) return;
        rte_pktmbuf_free_bulk(packets.data(), count);
        left -= std::min<u32>(left, count);
    }
}

void Port::stop() {
    if (!started_) return;
    started_ = false;
    drain();
    (void)rte_eth_dev_stop(id_);
    (void)rte_eth_dev_close(id_);
}

u32 Port::buffers_missing() const { return pool_ == nullptr ? 0 : rte_mempool_in_use_count(pool_); }

Port::~Port() {
    stop();
    if (pool_ != nullptr) rte_mempool_free(pool_);
}

} // namespace xdplane
