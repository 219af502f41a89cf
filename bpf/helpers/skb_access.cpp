// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/helpers/skb_access.h"

#include <algorithm>
#include <cstring>

namespace xdplane {

bool move_head(XdpBuff& packet, i64 bytes) noexcept {
    if (bytes > packet.data_meta - packet.hard_start - i64{kFrameHeader}) return false;
    if (-bytes > packet.data_end - packet.data) return false;
    const auto metadata = static_cast<std::size_t>(packet.data - packet.data_meta);
    if (metadata != 0) std::memmove(packet.data_meta - bytes, packet.data_meta, metadata);
    packet.data_meta -= bytes;
    packet.data -= bytes;
    return true;
}

namespace {

/// The headers in front of a gap move with it; the transport header only where nothing is between it and the
/// network header.
void move_headers(SkbState& skb, i64 bytes) noexcept {
    const bool same = skb.transport == skb.network;
    skb.mac = static_cast<u32>(skb.mac + bytes);
    skb.network = static_cast<u32>(skb.network + bytes);
    if (same) skb.transport = skb.network;
}

} // namespace

int insert_zeros(XdpBuff& packet, u32 offset, u32 length) noexcept {
    const u32 old_length = packet.length();
    if (!move_head(packet, length)) return ENOMEM;
    // A packet may end before `offset`, which counts headers that it should have.
    std::memmove(packet.data, packet.data + length, std::min(offset, old_length));
    const u32 from = std::min(offset, old_length);
    std::memset(packet.data + from, 0, length);
    move_headers(packet.skb, -i64{length});
    return 0;
}

int take_out(XdpBuff& packet, u32 offset, u32 length) noexcept {
    if (u64{offset} + length > packet.length()) return ENOMEM;
    bytes_leave(packet.skb, packet.data + offset, length);
    const u8* const front = packet.data;
    // Metadata goes first: it lies where nothing else is.
    u8* const target = packet.data + length;
    std::memmove(target, front, offset);
    const auto metadata = static_cast<std::size_t>(packet.data - packet.data_meta);
    if (metadata != 0) std::memmove(packet.data_meta + length, packet.data_meta, metadata);
    packet.data_meta += length;
    packet.data = target;
    move_headers(packet.skb, length);
    return 0;
}

} // namespace xdplane
