// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <cstring>
#include <limits>
#include <linux/bpf.h>
#include <linux/if_ether.h>

#include "bpf/helpers/rows.h"
#include "bpf/helpers/skb_access.h"

/// Bytes of socket buffers: load, store, pull, checksums of headers.
namespace xdplane {
namespace {

constexpr u32 kMaxOffset = std::numeric_limits<i32>::max();
constexpr u32 kMaxHeaderOffset = 0xffff;

/// Copies, or clears `to` and returns -EFAULT: a program never sees what was in its buffer before. `offset`
/// may be negative down to the link-layer header.
u64 copy_or_clear(const XdpBuff& packet, i64 offset, u64 to, u32 length, bool valid) noexcept {
    void* const target = reinterpret_cast<void*>(to);
    const i64 first = packet.skb_ready ? mac_offset(packet) : 0;
    if (valid && offset >= std::min(first, i64{0}) && offset + length <= packet.length()) {
        std::memcpy(target, packet.data + offset, length);
        return 0;
    }
    std::memset(target, 0, length);
    return errno_result(EFAULT);
}

u64 skb_load_bytes(u64 ctx, u64 offset, u64 to, u64 length, u64) noexcept {
    const u32 off = static_cast<u32>(offset);
    return copy_or_clear(*reinterpret_cast<const XdpBuff*>(ctx), off, to, static_cast<u32>(length),
                         off <= kMaxOffset);
}

/// Where nobody has filled XdpBuff::skb, packets begin with their Ethernet header.
u64 skb_load_bytes_relative(u64 ctx, u64 offset, u64 to, u64 length, u64 start) noexcept {
    const XdpBuff& packet = *reinterpret_cast<const XdpBuff*>(ctx);
    const u32 off = static_cast<u32>(offset);
    const u32 from = static_cast<u32>(start);
    i64 base = 0;
    if (from == BPF_HDR_START_NET)
        base = packet.skb_ready ? network_offset(packet) : i64{ETH_HLEN};
    else if (packet.skb_ready)
        base = mac_offset(packet);
    return copy_or_clear(packet, base + off, to, static_cast<u32>(length),
                         off <= kMaxHeaderOffset && (from == BPF_HDR_START_MAC || from == BPF_HDR_START_NET));
}

u64 skb_store_bytes(u64 ctx, u64 offset, u64 from, u64 length, u64 flags) noexcept {
    XdpBuff& packet = skb_packet(ctx);
    const u32 off = static_cast<u32>(offset);
    const u32 len = static_cast<u32>(length);
    if ((flags & ~u64{BPF_F_RECOMPUTE_CSUM | BPF_F_INVALIDATE_HASH}) != 0) return errno_result(EINVAL);
    if (off > kMaxOffset || !can_write(packet, u64{off} + len)) return errno_result(EFAULT);
    u8* const to = packet.data + off;
    const bool recompute = (flags & BPF_F_RECOMPUTE_CSUM) != 0;
    if (recompute) bytes_leave(packet.skb, to, len, off);
    std::memmove(to, reinterpret_cast<const void*>(from), len);
    if (recompute) bytes_join(packet.skb, to, len, off);
    if ((flags & BPF_F_INVALIDATE_HASH) != 0) forget_hash(packet);
    return 0;
}

u64 skb_pull_data(u64 ctx, u64 length, u64, u64, u64) noexcept {
    return can_write(skb_packet(ctx), static_cast<u32>(length)) ? 0 : errno_result(ENOMEM);
}

/// The checksum at `offset` of the packet, or null: EFAULT.
u8* checksum_at(XdpBuff& packet, u32 offset) noexcept {
    if (offset > kMaxHeaderOffset || (offset & 1) != 0 || !can_write(packet, u64{offset} + 2)) return nullptr;
    return packet.data + offset;
}

/// False if Linux has no such change.
bool replace(u16& sum, u64 size, u64 from, u64 to) noexcept {
    switch (size) {
    case 0:
        if (from != 0) return false;
        sum = checksum::replace_by_difference(sum, static_cast<u32>(to));
        return true;
    case 2: sum = checksum::replace16(sum, static_cast<u16>(from), static_cast<u16>(to)); return true;
    case 4: sum = checksum::replace32(sum, static_cast<u32>(from), static_cast<u32>(to)); return true;
    default: return false;
    }
}

u64 l3_csum_replace(u64 ctx, u64 offset, u64 from, u64 to, u64 flags) noexcept {
    XdpBuff& packet = skb_packet(ctx);
    if ((flags & ~u64{BPF_F_HDR_FIELD_MASK}) != 0) return errno_result(EINVAL);
    u8* const at = checksum_at(packet, static_cast<u32>(offset));
    if (at == nullptr) return errno_result(EFAULT);
    u16 sum = 0;
    std::memcpy(&sum, at, sizeof sum);
    if (!replace(sum, flags, from, to)) return errno_result(EINVAL);
    std::memcpy(at, &sum, sizeof sum);
    return 0;
}

/// The addresses of a pseudo header are part of the packet's own sum, the checksum takes them out of it: a
/// change of both changes the whole.
void follow_pseudo_header(SkbState& skb, u64 size, u64 from, u64 to, bool ipv6) noexcept {
    if (skb.csum_kind != static_cast<u8>(SkbCsum::complete)) return;
    if (size == 0) {
        if (!ipv6) skb.csum = ~checksum::subtract(static_cast<u32>(to), skb.csum);
        return;
    }
    const u32 mask = size == 2 ? 0xffff : ~u32{0};
    skb.csum = ~checksum::add(checksum::subtract(~skb.csum, static_cast<u32>(from) & mask),
                              static_cast<u32>(to) & mask);
}

constexpr u64 kIpv6 = 1U << 7;       ///< BPF_F_IPV6, of Linux 6.16
constexpr u16 kMangledZero = 0xffff; ///< UDP: 0 would mean that there is no checksum

u64 l4_csum_replace(u64 ctx, u64 offset, u64 from, u64 to, u64 flags) noexcept {
    XdpBuff& packet = skb_packet(ctx);
    constexpr u64 known =
        BPF_F_MARK_MANGLED_0 | BPF_F_MARK_ENFORCE | BPF_F_PSEUDO_HDR | BPF_F_HDR_FIELD_MASK | kIpv6;
    if ((flags & ~known) != 0) return errno_result(EINVAL);
    u8* const at = checksum_at(packet, static_cast<u32>(offset));
    if (at == nullptr) return errno_result(EFAULT);
    u16 sum = 0;
    std::memcpy(&sum, at, sizeof sum);
    const bool mangle_zero = (flags & BPF_F_MARK_MANGLED_0) != 0;
    if (mangle_zero && (flags & BPF_F_MARK_ENFORCE) == 0 && sum == 0) return 0;
    const u64 size = flags & BPF_F_HDR_FIELD_MASK;
    if (!replace(sum, size, from, to)) return errno_result(EINVAL);
    if ((flags & BPF_F_PSEUDO_HDR) != 0)
        follow_pseudo_header(packet.skb, size, from, to, (flags & kIpv6) != 0);
    if (mangle_zero && sum == 0) sum = kMangledZero;
    std::memcpy(at, &sum, sizeof sum);
    return 0;
}

u64 csum_update(u64 ctx, u64 sum, u64, u64, u64) noexcept {
    SkbState& skb = skb_packet(ctx).skb;
    if (skb.csum_kind != static_cast<u8>(SkbCsum::complete)) return errno_result(kNotSupported);
    return skb.csum = checksum::add(skb.csum, static_cast<u32>(sum));
}

u64 csum_level(u64 ctx, u64 level, u64, u64, u64) noexcept {
    SkbState& skb = skb_packet(ctx).skb;
    constexpr u8 none = static_cast<u8>(SkbCsum::none);
    constexpr u8 unnecessary = static_cast<u8>(SkbCsum::unnecessary);
    constexpr u8 highest = 3;
    const bool known = skb.csum_kind == unnecessary;
    switch (level) {
    case BPF_CSUM_LEVEL_QUERY: return known ? u64{skb.csum_level} : errno_result(EACCES);
    case BPF_CSUM_LEVEL_INC:
        if (known && skb.csum_level < highest) ++skb.csum_level;
        if (skb.csum_kind == none) {
            skb.csum_kind = unnecessary;
            skb.csum_level = 0;
        }
        return 0;
    case BPF_CSUM_LEVEL_DEC:
        if (known && skb.csum_level == 0)
            skb.csum_kind = none;
        else if (known)
            --skb.csum_level;
        return 0;
    case BPF_CSUM_LEVEL_RESET:
        if (known) {
            skb.csum_kind = none;
            skb.csum_level = 0;
        }
        return 0;
    default: return errno_result(EINVAL);
    }
}

} // namespace

const HelperProto kHelperSkbLoadBytes = {.id = BPF_FUNC_skb_load_bytes,
                                         .name = "skb_load_bytes",
                                         .fn = skb_load_bytes,
                                         .ret = Ret::integer,
                                         .args = {Arg::ctx, Arg::anything, Arg::uninit_mem, Arg::size},
                                         .use = kUseSkb};
const HelperProto kHelperSkbLoadBytesRelative = {
    .id = BPF_FUNC_skb_load_bytes_relative,
    .name = "skb_load_bytes_relative",
    .fn = skb_load_bytes_relative,
    .ret = Ret::integer,
    .args = {Arg::ctx, Arg::anything, Arg::uninit_mem, Arg::size, Arg::anything},
    .use = kUseSkb};
const HelperProto kHelperSkbStoreBytes = {
    .id = BPF_FUNC_skb_store_bytes,
    .name = "skb_store_bytes",
    .fn = skb_store_bytes,
    .ret = Ret::integer,
    .args = {Arg::ctx, Arg::anything, Arg::mem, Arg::size, Arg::anything},
    .use = kUseTc,
    .moves_packet = true,
    .writes_packet = true};
const HelperProto kHelperSkbPullData = {.id = BPF_FUNC_skb_pull_data,
                                        .name = "skb_pull_data",
                                        .fn = skb_pull_data,
                                        .ret = Ret::integer,
                                        .args = {Arg::ctx, Arg::anything},
                                        .use = kUseTc,
                                        .moves_packet = true,
                                        .writes_packet = true};
const HelperProto kHelperL3CsumReplace = {
    .id = BPF_FUNC_l3_csum_replace,
    .name = "l3_csum_replace",
    .fn = l3_csum_replace,
    .ret = Ret::integer,
    .args = {Arg::ctx, Arg::anything, Arg::anything, Arg::anything, Arg::anything},
    .use = kUseTc,
    .moves_packet = true,
    .writes_packet = true};
const HelperProto kHelperL4CsumReplace = {
    .id = BPF_FUNC_l4_csum_replace,
    .name = "l4_csum_replace",
    .fn = l4_csum_replace,
    .ret = Ret::integer,
    .args = {Arg::ctx, Arg::anything, Arg::anything, Arg::anything, Arg::anything},
    .use = kUseTc,
    .moves_packet = true,
    .writes_packet = true};
const HelperProto kHelperCsumUpdate = {.id = BPF_FUNC_csum_update,
                                       .name = "csum_update",
                                       .fn = csum_update,
                                       .ret = Ret::integer,
                                       .args = {Arg::ctx, Arg::anything},
                                       .use = kUseTc};
const HelperProto kHelperCsumLevel = {.id = BPF_FUNC_csum_level,
                                      .name = "csum_level",
                                      .fn = csum_level,
                                      .ret = Ret::integer,
                                      .args = {Arg::ctx, Arg::anything},
                                      .use = kUseTc};

} // namespace xdplane
