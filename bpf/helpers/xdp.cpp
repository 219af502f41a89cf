// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <cerrno>
#include <cstring>
#include <linux/bpf.h>
#include <linux/if_ether.h>

#include "bpf/helpers/rows.h"
#include "bpf/maps/map.h"
#include "bpf/run/packet.h"
#include "bpf/run/run_context.h"

namespace xdplane {
namespace {

XdpBuff& packet_of(u64 ctx) noexcept { return *reinterpret_cast<XdpBuff*>(ctx); }
u64 error(int code) noexcept { return static_cast<u64>(static_cast<i64>(-code)); }

/// Most that Linux's skb_shared_info::meta_len, a byte, can say in multiples of 4.
constexpr i64 kMaxMetadata = 252;
/// Offsets and lengths beyond this are -EFAULT for xdp_load_bytes and xdp_store_bytes.
constexpr u32 kMaxOffset = 0xffff;

// Distances are compared as integers: the pointers they would make may lie outside of the frame.

u64 xdp_adjust_head(u64 ctx, u64 delta, u64, u64, u64) noexcept {
    XdpBuff& packet = packet_of(ctx);
    const i64 offset = static_cast<i32>(delta);
    const i64 metadata = packet.data - packet.data_meta;
    const i64 room = packet.data - packet.hard_start - kFrameHeader - metadata;
    if (offset < -room || offset > packet.data_end - packet.data - ETH_HLEN) return error(EINVAL);
    if (metadata != 0)
        std::memmove(packet.data_meta + offset, packet.data_meta, static_cast<std::size_t>(metadata));
    packet.data_meta += offset;
    packet.data += offset;
    return 0;
}

u64 xdp_adjust_meta(u64 ctx, u64 delta, u64, u64, u64) noexcept {
    XdpBuff& packet = packet_of(ctx);
    const i64 offset = static_cast<i32>(delta);
    const i64 length = packet.data - packet.data_meta - offset;
    if (length < 0 || length > packet.data - packet.hard_start - kFrameHeader) return error(EINVAL);
    if (length % 4 != 0 || length > kMaxMetadata) return error(EACCES);
    packet.data_meta += offset;
    return 0;
}

u64 xdp_adjust_tail(u64 ctx, u64 delta, u64, u64, u64) noexcept {
    XdpBuff& packet = packet_of(ctx);
    const i64 offset = static_cast<i32>(delta);
    if (offset > packet.frame_end - packet.data_end) return error(EINVAL);
    if (packet.data_end - packet.data + offset < ETH_HLEN) return error(EINVAL);
    // What lies behind the packet is not the program's to see.
    if (offset > 0) std::memset(packet.data_end, 0, static_cast<std::size_t>(offset));
    packet.data_end += offset;
    return 0;
}

u64 xdp_get_buff_len(u64 ctx, u64, u64, u64, u64) noexcept { return packet_of(ctx).length(); }

/// 0, or the errno of a range that is not within the packet.
int check_range(const XdpBuff& packet, u64 offset, u64 length) noexcept {
    if (offset > kMaxOffset || length > kMaxOffset) return EFAULT;
    return offset + length > packet.length() ? EINVAL : 0;
}

u64 xdp_load_bytes(u64 ctx, u64 offset, u64 to, u64 length, u64) noexcept {
    const XdpBuff& packet = packet_of(ctx);
    const u32 off = static_cast<u32>(offset);
    const u32 len = static_cast<u32>(length);
    if (const int code = check_range(packet, off, len)) return error(code);
    std::memcpy(reinterpret_cast<void*>(to), packet.data + off, len);
    return 0;
}

u64 xdp_store_bytes(u64 ctx, u64 offset, u64 from, u64 length, u64) noexcept {
    const XdpBuff& packet = packet_of(ctx);
    const u32 off = static_cast<u32>(offset);
    const u32 len = static_cast<u32>(length);
    if (const int code = check_range(packet, off, len)) return error(code);
    std::memmove(packet.data + off, reinterpret_cast<const void*>(from), len); // may be the packet itself
    return 0;
}

u64 redirect_map(u64 map, u64 key, u64 flags, u64, u64) noexcept {
    Map& target = *reinterpret_cast<Map*>(map);
    return target.ops().redirect ? target.ops().redirect(target, key, flags) : u64{kAborted};
}

constexpr HelperProto adjust_row(u32 id, const char* name, HelperFn fn) {
    return {.id = id,
            .name = name,
            .fn = fn,
            .ret = Ret::integer,
            .args = {Arg::ctx, Arg::anything},
            .use = kUseXdp,
            .moves_packet = true,
            .writes_packet = true};
}

} // namespace

const HelperProto kHelperRedirectMap = {.id = BPF_FUNC_redirect_map,
                                        .name = "redirect_map",
                                        .fn = redirect_map,
                                        .ret = Ret::integer,
                                        .args = {Arg::const_map, Arg::anything, Arg::anything},
                                        .use = kUseXdp,
                                        .needs_context = true};
const HelperProto kHelperXdpAdjustHead =
    adjust_row(BPF_FUNC_xdp_adjust_head, "xdp_adjust_head", xdp_adjust_head);
const HelperProto kHelperXdpAdjustMeta =
    adjust_row(BPF_FUNC_xdp_adjust_meta, "xdp_adjust_meta", xdp_adjust_meta);
const HelperProto kHelperXdpAdjustTail =
    adjust_row(BPF_FUNC_xdp_adjust_tail, "xdp_adjust_tail", xdp_adjust_tail);
const HelperProto kHelperXdpGetBuffLen = {.id = BPF_FUNC_xdp_get_buff_len,
                                          .name = "xdp_get_buff_len",
                                          .fn = xdp_get_buff_len,
                                          .ret = Ret::integer,
                                          .args = {Arg::ctx},
                                          .use = kUseXdp};
const HelperProto kHelperXdpLoadBytes = {.id = BPF_FUNC_xdp_load_bytes,
                                         .name = "xdp_load_bytes",
                                         .fn = xdp_load_bytes,
                                         .ret = Ret::integer,
                                         .args = {Arg::ctx, Arg::anything, Arg::uninit_mem, Arg::size},
                                         .use = kUseXdp};
const HelperProto kHelperXdpStoreBytes = {.id = BPF_FUNC_xdp_store_bytes,
                                          .name = "xdp_store_bytes",
                                          .fn = xdp_store_bytes,
                                          .ret = Ret::integer,
                                          .args = {Arg::ctx, Arg::anything, Arg::mem, Arg::size},
                                          .use = kUseXdp,
                                          .writes_packet = true};

} // namespace xdplane
