// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <arpa/inet.h>
#include <cstring>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include "bpf/helpers/flow_key.h"
#include "bpf/helpers/rows.h"
#include "bpf/helpers/skb_access.h"
#include "bpf/run/run_context.h"

/// What socket buffers say about their packet: type, hash, time, congestion; and tunnels, security and
/// routes, of which there are none.
namespace xdplane {
namespace {

constexpr u32 kHighestType = PACKET_OTHERHOST;

u64 skb_change_type(u64 ctx, u64 type, u64, u64, u64) noexcept {
    XdpBuff& packet = skb_packet(ctx);
    const u32 wanted = static_cast<u32>(type);
    if (packet.pkt_type > kHighestType || wanted > kHighestType) return errno_result(EINVAL);
    packet.pkt_type = static_cast<u8>(wanted);
    return 0;
}

u64 get_hash_recalc(u64 ctx, u64, u64, u64, u64) noexcept {
    XdpBuff& packet = skb_packet(ctx);
    if (!packet.skb.hash_known) {
        packet.hash = flow_hash_of(packet);
        packet.skb.hash_known = true;
    }
    return packet.hash;
}

u64 set_hash(u64 ctx, u64 hash, u64, u64, u64) noexcept {
    XdpBuff& packet = skb_packet(ctx);
    packet.hash = static_cast<u32>(hash);
    packet.skb.hash_known = true;
    return 0;
}

u64 set_hash_invalid(u64 ctx, u64, u64, u64, u64) noexcept {
    forget_hash(skb_packet(ctx));
    return 0;
}

u64 skb_set_tstamp(u64 ctx, u64 tstamp, u64 type, u64, u64) noexcept {
    XdpBuff& packet = skb_packet(ctx);
    if (packet.protocol != htons(ETH_P_IP) && packet.protocol != htons(ETH_P_IPV6))
        return errno_result(EOPNOTSUPP);
    constexpr u32 realtime = 0, monotonic = 1, tai = 2; // BPF_SKB_CLOCK_... of Linux 6.11
    const u32 clock = static_cast<u32>(type);
    if (clock > tai) return errno_result(EINVAL);
    if ((clock == monotonic || clock == tai) && tstamp == 0) return errno_result(EINVAL);
    static_assert(realtime == BPF_SKB_TSTAMP_UNSPEC && monotonic == BPF_SKB_TSTAMP_DELIVERY_MONO);
    packet.skb.tstamp = tstamp;
    packet.skb.tstamp_type = static_cast<u8>(clock);
    return 0;
}

constexpr u8 kEcnMask = 3; ///< RFC 3168: 0 not capable, 3 congestion experienced

/// 1: the packet says now, or said before, that there is congestion. 0: it cannot.
u64 mark_ipv4(u8* header) noexcept {
    const u8 before = header[1];
    if ((before & kEcnMask) == 0) return 0;
    if ((before & kEcnMask) == kEcnMask) return 1;
    // ECT(0) and ECT(1) differ in what the checksum gains (RFC 1624); the field is the low byte of a word.
    u16 sum = 0;
    std::memcpy(&sum, header + offsetof(iphdr, check), sizeof sum);
    u32 changed = u32{sum} + htons(static_cast<u16>((before & kEcnMask) == 1 ? 0xfffd : 0xfffe));
    changed += changed > 0xffff ? 1 : 0;
    sum = static_cast<u16>(changed);
    std::memcpy(header + offsetof(iphdr, check), &sum, sizeof sum);
    header[1] = before | kEcnMask;
    return 1;
}

u64 mark_ipv6(SkbState& skb, u8* header) noexcept {
    const u8 before = header[1];
    const u8 field = (before >> 4) & kEcnMask;
    if (field == 0) return 0;
    if (field == kEcnMask) return 1;
    u32 from = 0;
    u32 to = 0;
    std::memcpy(&from, header, sizeof from);
    header[1] = before | (kEcnMask << 4);
    std::memcpy(&to, header, sizeof to);
    if (skb.csum_kind == static_cast<u8>(SkbCsum::complete))
        skb.csum = checksum::add(checksum::subtract(skb.csum, from), to);
    return 1;
}

/// protocol, or what stands behind the VLAN tags that are in the packet: the last one's is in front of the
/// network header.
u16 network_protocol(const XdpBuff& packet) noexcept {
    constexpr u32 most_tags = 7;
    constexpr u32 tag_size = 4;
    u16 protocol = packet.protocol;
    i64 at = network_offset(packet) - tag_size;
    const auto is_tag = [&] { return protocol == htons(ETH_P_8021Q) || protocol == htons(ETH_P_8021AD); };
    for (u32 tags = 0; is_tag(); ++tags, at += tag_size) {
        if (tags == most_tags || at < -i64{ETH_HLEN} || at + tag_size > packet.length()) return 0;
        std::memcpy(&protocol, packet.data + at + 2, sizeof protocol);
    }
    return protocol;
}

u64 skb_ecn_set_ce(u64 ctx, u64, u64, u64, u64) noexcept {
    XdpBuff& packet = skb_packet(ctx);
    const i64 offset = network_offset(packet);
    const u16 protocol = network_protocol(packet);
    const u32 size = protocol == htons(ETH_P_IP)     ? sizeof(iphdr)
                     : protocol == htons(ETH_P_IPV6) ? sizeof(ipv6hdr)
                                                     : 0;
    if (size == 0 || offset < 0 || offset + size > packet.length()) return 0;
    u8* const header = packet.data + offset;
    return size == sizeof(iphdr) ? mark_ipv4(header) : mark_ipv6(packet.skb, header);
}

/// No packet came through a tunnel, and none has security state.
u64 skb_get_tunnel_key(u64, u64 to, u64 size, u64, u64) noexcept {
    std::memset(reinterpret_cast<void*>(to), 0, static_cast<u32>(size));
    return errno_result(EINVAL);
}
u64 skb_get_tunnel_opt(u64, u64 to, u64 size, u64, u64) noexcept {
    std::memset(reinterpret_cast<void*>(to), 0, static_cast<u32>(size));
    return errno_result(ENOENT);
}
u64 skb_get_xfrm_state(u64, u64, u64 to, u64 size, u64) noexcept {
    std::memset(reinterpret_cast<void*>(to), 0, static_cast<u32>(size));
    return errno_result(EINVAL);
}

/// Sizes of struct bpf_tunnel_key that Linux knows from its history.
bool is_tunnel_key(u32 size) noexcept {
    return size == sizeof(bpf_tunnel_key) || size == offsetof(bpf_tunnel_key, local_ipv6) ||
           size == offsetof(bpf_tunnel_key, tunnel_label) || size == offsetof(bpf_tunnel_key, tunnel_ext) ||
           size == offsetof(bpf_tunnel_key, remote_ipv6) + sizeof(bpf_tunnel_key::remote_ipv4);
}

/// No device would ever read the key: refused, once it is one that Linux would take.
u64 skb_set_tunnel_key(u64, u64, u64 size, u64 flags, u64) noexcept {
    constexpr u64 no_tunnel_key = 1U << 4; // BPF_F_NO_TUNNEL_KEY, of Linux 6.4
    constexpr u64 known =
        u64{BPF_F_TUNINFO_IPV6} | BPF_F_ZERO_CSUM_TX | BPF_F_DONT_FRAGMENT | BPF_F_SEQ_NUMBER | no_tunnel_key;
    if ((flags & ~known) != 0 || !is_tunnel_key(static_cast<u32>(size))) return errno_result(EINVAL);
    return errno_result(EOPNOTSUPP);
}
/// Options belong to a key that was set.
u64 skb_set_tunnel_opt(u64, u64, u64, u64, u64) noexcept { return errno_result(EINVAL); }

u64 zero(u64, u64, u64, u64, u64) noexcept { return 0; }

constexpr HelperProto row(u32 id, const char* name, HelperFn fn, std::array<Arg, 5> args, u32 use = kUseTc) {
    return {.id = id, .name = name, .fn = fn, .ret = Ret::integer, .args = args, .use = use};
}
constexpr HelperProto writes(HelperProto row) {
    row.writes_packet = true;
    return row;
}

} // namespace

const HelperProto kHelperSkbChangeType =
    row(BPF_FUNC_skb_change_type, "skb_change_type", skb_change_type, {Arg::ctx, Arg::anything});
const HelperProto kHelperGetHashRecalc =
    row(BPF_FUNC_get_hash_recalc, "get_hash_recalc", get_hash_recalc, {Arg::ctx});
const HelperProto kHelperSetHash = row(BPF_FUNC_set_hash, "set_hash", set_hash, {Arg::ctx, Arg::anything});
const HelperProto kHelperSetHashInvalid =
    row(BPF_FUNC_set_hash_invalid, "set_hash_invalid", set_hash_invalid, {Arg::ctx});
const HelperProto kHelperSkbSetTstamp =
    row(BPF_FUNC_skb_set_tstamp, "skb_set_tstamp", skb_set_tstamp, {Arg::ctx, Arg::anything, Arg::anything});
const HelperProto kHelperSkbEcnSetCe = writes(
    row(BPF_FUNC_skb_ecn_set_ce, "skb_ecn_set_ce", skb_ecn_set_ce, {Arg::ctx}, kUseTc | kUseCgroupSkb));
const HelperProto kHelperSkbGetTunnelKey =
    row(BPF_FUNC_skb_get_tunnel_key, "skb_get_tunnel_key", skb_get_tunnel_key,
        {Arg::ctx, Arg::uninit_mem, Arg::size, Arg::anything});
const HelperProto kHelperSkbSetTunnelKey =
    row(BPF_FUNC_skb_set_tunnel_key, "skb_set_tunnel_key", skb_set_tunnel_key,
        {Arg::ctx, Arg::mem, Arg::size, Arg::anything});
const HelperProto kHelperSkbGetTunnelOpt = row(BPF_FUNC_skb_get_tunnel_opt, "skb_get_tunnel_opt",
                                               skb_get_tunnel_opt, {Arg::ctx, Arg::uninit_mem, Arg::size});
const HelperProto kHelperSkbSetTunnelOpt = row(BPF_FUNC_skb_set_tunnel_opt, "skb_set_tunnel_opt",
                                               skb_set_tunnel_opt, {Arg::ctx, Arg::mem, Arg::size});
const HelperProto kHelperSkbGetXfrmState =
    row(BPF_FUNC_skb_get_xfrm_state, "skb_get_xfrm_state", skb_get_xfrm_state,
        {Arg::ctx, Arg::anything, Arg::uninit_mem, Arg::size, Arg::anything});
const HelperProto kHelperGetRouteRealm = row(BPF_FUNC_get_route_realm, "get_route_realm", zero, {Arg::ctx});

} // namespace xdplane
