// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "bpf/run/packet.h"

/// The third cache line of a packet: what sched_cls, sched_act and cgroup_skb programs see and XDP does not.
namespace xdplane {

/// What is known of a packet's checksums (CHECKSUM_... of Linux, whose CHECKSUM_PARTIAL no packet has here).
enum class SkbCsum : u8 { none, unnecessary, complete };

/// Fills XdpBuff::skb of a packet that begins with its Ethernet header, and protocol and pkt_type from that
/// header, as Linux's eth_type_trans() does for a packet of a device whose address nobody knows: unicast is
/// for us. Whoever runs a program of a type with ProgramType::skb_state on a packet calls it first, once per
/// packet; helpers do where that was forgotten. Data path.
void begin_skb(XdpBuff& packet) noexcept;

[[nodiscard]] inline SkbState& skb_of(XdpBuff& packet) noexcept {
    if (!packet.skb_ready) begin_skb(packet);
    return packet.skb;
}

/// protocol and pkt_type of a frame at `mac`, of which `length` bytes are there.
void classify_ethernet(XdpBuff& packet, const u8* mac, u32 length) noexcept;

/// Where the network header is, counted from data; negative if data has passed it.
[[nodiscard]] inline i64 network_offset(const XdpBuff& packet) noexcept {
    return packet.hard_start + packet.skb.network - packet.data;
}
/// The same of the link-layer header: 0 for programs that see it, negative for those of network sockets.
[[nodiscard]] inline i64 mac_offset(const XdpBuff& packet) noexcept {
    return packet.hard_start + packet.skb.mac - packet.data;
}

} // namespace xdplane
