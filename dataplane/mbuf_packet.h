// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <algorithm>
#include <cstring>
#include <rte_mbuf.h>

#include "bpf/run/packet.h"
#include "dataplane/port.h"

/// Packets as DPDK has them, and as programs see them.
namespace xdplane {

/// The first byte that programs may use in front of a packet. Buffers of our pools have kPrivateHeadroom more
/// than DPDK knows of; memory of others (external or cloned buffers) has nothing in front of buf_addr.
inline u8* buffer_start(const rte_mbuf& mbuf) {
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

/// Makes the mbuf what the program left. data_off counts from buf_addr and can not be negative, so a packet
/// that grew into the private headroom moves back; that is rare and small.
inline void take_back(const XdpBuff& packet, rte_mbuf& mbuf) {
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

} // namespace xdplane
