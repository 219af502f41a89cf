// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <algorithm>
#include <string_view>

#include "bpf/base/types.h"

namespace xdplane {

/// What xdplane has to know of a driver beyond rte_eth_dev_info.
struct DriverTraits {
    std::string_view driver;
    /// Its device arguments say how many queues there are, and each gets packets from then on: one that
    /// nobody reads loses them.
    bool all_queues = false;
    /// The MTU is that of an interface of the kernel, and more than the driver lets one set.
    bool own_mtu = false;
    /// The pool's memory is registered with the kernel, which takes no buffer larger than a page, all of
    /// mempool's headers included.
    bool page_buffers = false;
    /// It gives an interface of the kernel back when it is closed: CAP_NET_ADMIN.
    bool kernel_interface = false;
    /// Bytes of a buffer that it leaves free in front of packets, beyond DPDK's headroom.
    u32 front = 0;
    /// Buffers in the rings of a queue, receiving and transmitting, that it forgets when it is closed.
    u32 keeps = 0;
};

inline constexpr DriverTraits kDriverTraits[] = {
    {.driver = "net_af_packet", .all_queues = true, .own_mtu = true, .kernel_interface = true},
    {.driver = "net_af_xdp",
     .all_queues = true,
     .page_buffers = true,
     .kernel_interface = true,
     .front = 256,
     .keeps = 4096},
    {.driver = "net_pcap", .all_queues = true},
    {.driver = "net_tap", .own_mtu = true, .kernel_interface = true},
    {.driver = "net_virtio_user", .kernel_interface = true},
};

[[nodiscard]] constexpr DriverTraits traits_of(const char* driver) {
    const std::string_view name = driver != nullptr ? driver : "";
    const auto* const found = std::ranges::find(kDriverTraits, name, &DriverTraits::driver);
    return found != std::end(kDriverTraits) ? *found : DriverTraits{};
}

} // namespace xdplane
