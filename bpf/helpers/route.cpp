// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <cstring>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <sys/socket.h>

#include "bpf/helpers/rows.h"
#include "bpf/helpers/skb_access.h"
#include "bpf/run/run_context.h"

/// Routes, of which there are none, and the size of what devices send.
namespace xdplane {
namespace {

/// Every look-up ends where Linux's does that finds no route.
u64 fib_lookup(u64, u64 params, u64 size, u64 flags, u64) noexcept {
    constexpr u32 known = (1U << 6) - 1; // BPF_FIB_LOOKUP_... up to MARK, of Linux 6.10
    if (static_cast<u32>(size) < sizeof(bpf_fib_lookup) || (static_cast<u32>(flags) & ~known) != 0)
        return errno_result(EINVAL);
    u8 family = 0;
    std::memcpy(&family, reinterpret_cast<const u8*>(params) + offsetof(bpf_fib_lookup, family), 1);
    if (family != AF_INET && family != AF_INET6) return errno_result(EAFNOSUPPORT);
    return BPF_FIB_LKUP_RET_NOT_FWDED;
}

/// All devices have RunContext::mtu. `length`: of the network packet, or 0 for that of this packet.
u64 check_mtu(const XdpBuff& packet, u64 length_at, u64 difference) noexcept {
    u32 length = 0;
    std::memcpy(&length, reinterpret_cast<const void*>(length_at), sizeof length);
    const i32 total =
        static_cast<i32>((length != 0 ? length + ETH_HLEN : packet.length()) + static_cast<u32>(difference));
    std::memcpy(reinterpret_cast<void*>(length_at), &t_run.mtu, sizeof t_run.mtu);
    return total <= static_cast<i32>(t_run.mtu + ETH_HLEN) ? BPF_MTU_CHK_RET_SUCCESS
                                                           : BPF_MTU_CHK_RET_FRAG_NEEDED;
}

u64 xdp_check_mtu(u64 ctx, u64, u64 length, u64 difference, u64 flags) noexcept {
    if (flags != 0) return errno_result(EINVAL);
    return check_mtu(*reinterpret_cast<const XdpBuff*>(ctx), length, difference);
}

u64 skb_check_mtu(u64 ctx, u64, u64 length, u64 difference, u64 flags) noexcept {
    const XdpBuff& packet = skb_packet(ctx);
    if ((flags & ~u64{BPF_MTU_CHK_SEGS}) != 0) return errno_result(EINVAL);
    u32 given = 0;
    std::memcpy(&given, reinterpret_cast<const void*>(length), sizeof given);
    if (flags != 0 && (static_cast<u32>(difference) != 0 || given != 0)) return errno_result(EINVAL);
    const u64 answer = check_mtu(packet, length, difference);
    // A packet of several segments is sent as those.
    return packet.skb.gso_size != 0 ? u64{BPF_MTU_CHK_RET_SUCCESS} : answer;
}

} // namespace

const HelperProto kHelperFibLookup = {.id = BPF_FUNC_fib_lookup,
                                      .name = "fib_lookup",
                                      .fn = fib_lookup,
                                      .ret = Ret::integer,
                                      .args = {Arg::ctx, Arg::inout_mem, Arg::size, Arg::anything},
                                      .use = kUseXdp | kUseTc,
                                      .gpl_only = true};
const HelperProto kHelperCheckMtu = {
    .id = BPF_FUNC_check_mtu,
    .name = "check_mtu",
    .fn = xdp_check_mtu,
    .ret = Ret::integer,
    .args = {Arg::ctx, Arg::anything, Arg::inout_fixed_mem, Arg::anything, Arg::anything},
    .use = kUseXdp | kUseTc,
    .gpl_only = true,
    .fixed_sizes = {0, 0, sizeof(u32), 0, 0},
    .skb_fn = skb_check_mtu};

} // namespace xdplane
