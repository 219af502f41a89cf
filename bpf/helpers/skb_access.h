// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <cerrno>

#include "bpf/helpers/checksum.h"
#include "bpf/run/skb.h"

/// What the helpers of socket buffers share. Data path.
namespace xdplane {

inline constexpr int kNotSupported = 524; ///< Linux's ENOTSUPP, which its headers for programs do not have

/// The packet of a helper's first argument, its third cache line filled.
[[nodiscard]] inline XdpBuff& skb_packet(u64 ctx) noexcept {
    XdpBuff& packet = *reinterpret_cast<XdpBuff*>(ctx);
    (void)skb_of(packet);
    return packet;
}
[[nodiscard]] inline u64 errno_result(int code) noexcept { return static_cast<u64>(-i64{code}); }

/// True if programs may write the first `length` bytes: packets are never shared here, so if there are as
/// many.
[[nodiscard]] inline bool can_write(const XdpBuff& packet, u64 length) noexcept {
    return length <= packet.length();
}

/// The length beyond which no helper lets a packet grow: Linux's SKB_MAX_ALLOC, which is four pages without
/// what it keeps behind a packet.
inline constexpr u32 kLongestPacket = 4 * 4096 - 320;

/// Moves data by `bytes` to the front (back if negative) and the metadata with it. Nothing is moved but
/// metadata. False if there is no room; a packet is never shortened below nothing.
[[nodiscard]] bool move_head(XdpBuff& packet, i64 bytes) noexcept;

/// Inserts `length` zero bytes `offset` bytes into the packet; the link-layer and network headers move with
/// what is in front. ENOMEM without room.
[[nodiscard]] int insert_zeros(XdpBuff& packet, u32 offset, u32 length) noexcept;
/// Takes `length` bytes out. ENOMEM if the packet ends before them.
[[nodiscard]] int take_out(XdpBuff& packet, u32 offset, u32 length) noexcept;

/// Bytes leave, or join, what SkbState::csum covers. `offset`: how far into the sum they are.
inline void bytes_leave(SkbState& skb, const u8* bytes, u32 length, u64 offset = 0) noexcept {
    if (skb.csum_kind != static_cast<u8>(SkbCsum::complete)) return;
    skb.csum = checksum::add(skb.csum, ~checksum::at_offset(checksum::of(bytes, length), offset));
}
inline void bytes_join(SkbState& skb, const u8* bytes, u32 length, u64 offset = 0) noexcept {
    if (skb.csum_kind != static_cast<u8>(SkbCsum::complete)) return;
    skb.csum = checksum::add(skb.csum, checksum::at_offset(checksum::of(bytes, length), offset));
}

inline void forget_hash(XdpBuff& packet) noexcept {
    packet.hash = 0;
    packet.skb.hash_known = false;
}

} // namespace xdplane
