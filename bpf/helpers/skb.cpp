// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <cerrno>
#include <cstring>
#include <limits>
#include <linux/bpf.h>
#include <linux/if_ether.h>

#include "bpf/helpers/rows.h"
#include "bpf/run/packet.h"

namespace xdplane {
namespace {

/// Copies, or clears `to` and returns -EFAULT: a program never sees what was in its buffer before.
u64 copy_or_clear(const XdpBuff& packet, u64 offset, void* to, u32 length, bool valid) noexcept {
    if (valid && offset + length <= packet.length()) {
        std::memcpy(to, packet.data + offset, length);
        return 0;
    }
    std::memset(to, 0, length);
    return static_cast<u64>(i64{-EFAULT});
}

u64 skb_load_bytes(u64 ctx, u64 offset, u64 to, u64 length, u64) noexcept {
    const u32 off = static_cast<u32>(offset);
    return copy_or_clear(*reinterpret_cast<const XdpBuff*>(ctx), off, reinterpret_cast<void*>(to),
                         static_cast<u32>(length), off <= std::numeric_limits<i32>::max());
}

/// The network header is taken to follow an Ethernet header.
u64 skb_load_bytes_relative(u64 ctx, u64 offset, u64 to, u64 length, u64 start) noexcept {
    const u32 off = static_cast<u32>(offset);
    const u32 from = static_cast<u32>(start);
    const bool valid = off <= 0xffff && (from == BPF_HDR_START_MAC || from == BPF_HDR_START_NET);
    return copy_or_clear(*reinterpret_cast<const XdpBuff*>(ctx),
                         off + u64{from == BPF_HDR_START_NET ? ETH_HLEN : 0U}, reinterpret_cast<void*>(to),
                         static_cast<u32>(length), valid);
}

} // namespace

const HelperProto kHelperSkbLoadBytes = {.id = BPF_FUNC_skb_load_bytes,
                                         .name = "skb_load_bytes",
                                         .fn = skb_load_bytes,
                                         .ret = Ret::integer,
                                         .args = {Arg::ctx, Arg::anything, Arg::uninit_mem, Arg::size},
                                         .use = kUseSocketFilter};
const HelperProto kHelperSkbLoadBytesRelative = {
    .id = BPF_FUNC_skb_load_bytes_relative,
    .name = "skb_load_bytes_relative",
    .fn = skb_load_bytes_relative,
    .ret = Ret::integer,
    .args = {Arg::ctx, Arg::anything, Arg::uninit_mem, Arg::size, Arg::anything},
    .use = kUseSocketFilter};

} // namespace xdplane
