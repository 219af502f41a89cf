// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <arpa/inet.h>
#include <cstdlib>
#include <cstring>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include "bpf/helpers/rows.h"
#include "bpf/helpers/skb_access.h"

/// Room in socket buffers: heads and tails that grow and shrink, headers that come and go. A packet has the
/// room of its frame; beyond that -ENOMEM, which Linux returns where it cannot make a larger buffer.
namespace xdplane {
namespace {

constexpr u32 kIpv4Header = sizeof(iphdr);
constexpr u32 kIpv6Header = sizeof(ipv6hdr);
constexpr u16 kIpv4 = __builtin_bswap16(ETH_P_IP);
constexpr u16 kIpv6 = __builtin_bswap16(ETH_P_IPV6);

u32 mac_length(const SkbState& skb) noexcept { return skb.network - skb.mac; }

/// 4 to 6 and back: the difference of the headers' lengths, zeros where there is more. The program writes the
/// header and the EtherType.
u64 skb_change_proto(u64 ctx, u64 proto, u64 flags, u64, u64) noexcept {
    XdpBuff& packet = skb_packet(ctx);
    if (flags != 0) return errno_result(EINVAL);
    const u16 to = static_cast<u16>(proto);
    constexpr u32 difference = kIpv6Header - kIpv4Header;
    const u32 offset = mac_length(packet.skb);
    int code = kNotSupported;
    if (packet.protocol == kIpv4 && to == kIpv6) code = insert_zeros(packet, offset, difference);
    if (packet.protocol == kIpv6 && to == kIpv4) code = take_out(packet, offset, difference);
    if (code != 0) return errno_result(code);
    packet.protocol = to;
    forget_hash(packet);
    return 0;
}

/// Room for a link-layer header, zeros.
u64 skb_change_head(u64 ctx, u64 length, u64 flags, u64, u64) noexcept {
    XdpBuff& packet = skb_packet(ctx);
    const u32 room = static_cast<u32>(length);
    if (flags != 0 || static_cast<i32>(room) < 0) return errno_result(EINVAL);
    if (packet.skb.gso_size == 0 && u64{packet.length()} + room > kLongestPacket) return errno_result(EINVAL);
    if (!move_head(packet, room)) return errno_result(ENOMEM);
    std::memset(packet.data, 0, room);
    packet.skb.mac = static_cast<u32>(packet.data - packet.hard_start);
    return 0;
}

/// Headers stay: the shortest that a packet may become.
i64 shortest_packet(const XdpBuff& packet) noexcept {
    i64 shortest = std::max<i64>(0, network_offset(packet));
    if (packet.skb.transport != SkbState::kNoHeader)
        shortest = std::max(shortest, packet.hard_start + packet.skb.transport - packet.data);
    return shortest;
}

u64 skb_change_tail(u64 ctx, u64 length, u64 flags, u64, u64) noexcept {
    XdpBuff& packet = skb_packet(ctx);
    SkbState& skb = packet.skb;
    const u32 wanted = static_cast<u32>(length);
    if (flags != 0 || wanted > kLongestPacket || wanted < shortest_packet(packet))
        return errno_result(EINVAL);
    if (skb.encapsulation) return errno_result(kNotSupported);
    const u32 old = packet.length();
    if (wanted > old) {
        if (wanted - old > packet.frame_end - packet.data_end) return errno_result(ENOMEM);
        std::memset(packet.data_end, 0, wanted - old);
    }
    if (wanted != old && skb.csum_kind == static_cast<u8>(SkbCsum::complete))
        skb.csum_kind = static_cast<u8>(SkbCsum::none);
    if (skb.gso_size != 0) skb.gso_segs = skb.gso_size = 0;
    packet.data_end = packet.data + wanted;
    return 0;
}

constexpr u64 kEncapL3 = BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_ENCAP_L3_IPV6;
constexpr u64 kEncapL4 = BPF_F_ADJ_ROOM_ENCAP_L4_GRE | BPF_F_ADJ_ROOM_ENCAP_L4_UDP;
constexpr u64 kEncapL2 = u64{BPF_ADJ_ROOM_ENCAP_L2_MASK} << BPF_ADJ_ROOM_ENCAP_L2_SHIFT;
constexpr u64 kDecapL3Ipv4 = 1U << 7; ///< BPF_F_ADJ_ROOM_DECAP_L3_IPV4, of Linux 6.3
constexpr u64 kDecapL3Ipv6 = 1U << 8;
constexpr u64 kDecapL3 = kDecapL3Ipv4 | kDecapL3Ipv6;
constexpr u64 kShrinkFlags = BPF_F_ADJ_ROOM_FIXED_GSO | kDecapL3 | BPF_F_ADJ_ROOM_NO_CSUM_RESET;
constexpr u64 kRoomFlags = kShrinkFlags | kEncapL3 | kEncapL4 | BPF_F_ADJ_ROOM_ENCAP_L2_ETH | kEncapL2;

/// Of the IP header that protocol says.
u32 base_length(const XdpBuff& packet) noexcept {
    return packet.protocol == kIpv4 ? kIpv4Header : kIpv6Header;
}

/// The outer header that the flags announce: 0, or why they cannot.
int check_encapsulation(const SkbState& skb, u32 length, u64 flags) noexcept {
    const u32 inner_mac = static_cast<u32>(flags >> BPF_ADJ_ROOM_ENCAP_L2_SHIFT);
    if ((flags & kEncapL3) == kEncapL3 || (flags & kEncapL4) == kEncapL4) return EINVAL;
    if ((flags & BPF_F_ADJ_ROOM_ENCAP_L2_ETH) != 0 && inner_mac < ETH_HLEN) return EINVAL;
    if (skb.encapsulation) return EALREADY;
    return inner_mac > length ? EINVAL : 0;
}

int grow_room(XdpBuff& packet, u32 offset, u32 length, u64 flags) noexcept {
    SkbState& skb = packet.skb;
    const bool encapsulate = (flags & kEncapL3) != 0;
    if (skb.gso_size != 0) return kNotSupported;
    if (encapsulate)
        if (const int code = check_encapsulation(skb, length, flags); code != 0) return code;
    const u32 mac = mac_length(skb);
    if (const int code = insert_zeros(packet, offset, length); code != 0) return code;
    if (!encapsulate) return 0;
    const bool ipv6 = (flags & BPF_F_ADJ_ROOM_ENCAP_L3_IPV6) != 0;
    const u32 data = static_cast<u32>(packet.data - packet.hard_start);
    skb.encapsulation = true;
    skb.network = data + mac;
    if ((flags & kEncapL4) != 0) skb.transport = skb.network + (ipv6 ? kIpv6Header : kIpv4Header);
    packet.protocol = ipv6 ? kIpv6 : kIpv4;
    return 0;
}

int shrink_room(XdpBuff& packet, u32 offset, u32 length, u64 flags) noexcept {
    if ((flags & ~kShrinkFlags) != 0) return EINVAL;
    if (packet.skb.gso_size != 0) return kNotSupported;
    if (const int code = take_out(packet, offset, length); code != 0) return code;
    if ((flags & kDecapL3Ipv6) != 0) packet.protocol = kIpv6;
    if ((flags & kDecapL3Ipv4) != 0) packet.protocol = kIpv4;
    return 0;
}

/// What Linux checks before it looks at the direction; 0 or the errno.
int check_room(const XdpBuff& packet, i32 change, u64 mode, u64 flags) noexcept {
    if ((flags & ~kRoomFlags) != 0) return EINVAL;
    if (std::abs(i64{change}) > 0xfff) return EFAULT;
    if (packet.protocol != kIpv4 && packet.protocol != kIpv6) return kNotSupported;
    if (mode != BPF_ADJ_ROOM_NET && mode != BPF_ADJ_ROOM_MAC) return kNotSupported;
    if ((flags & kDecapL3) != 0 && (change >= 0 || (flags & kDecapL3) == kDecapL3)) return EINVAL;
    return 0;
}

u64 skb_adjust_room(u64 ctx, u64 difference, u64 mode64, u64 flags, u64) noexcept {
    XdpBuff& packet = skb_packet(ctx);
    const i32 change = static_cast<i32>(difference);
    const u32 mode = static_cast<u32>(mode64);
    if (const int code = check_room(packet, change, mode, flags); code != 0) return errno_result(code);
    const bool shrink = change < 0;
    const u32 length = static_cast<u32>(std::abs(change));
    u32 left = base_length(packet);
    if ((flags & kDecapL3Ipv4) != 0) left = kIpv4Header;
    if ((flags & kDecapL3Ipv6) != 0) left = kIpv6Header;
    // From the network header on; Linux compares without signs.
    const u32 payload = static_cast<u32>(packet.length() - network_offset(packet));
    if (shrink && (length >= payload || payload - length < left)) return errno_result(kNotSupported);
    if (!shrink && packet.length() + length > kLongestPacket && packet.skb.gso_size == 0)
        return errno_result(kNotSupported);
    const u32 offset = mac_length(packet.skb) + (mode == BPF_ADJ_ROOM_NET ? base_length(packet) : 0);
    const int code =
        shrink ? shrink_room(packet, offset, length, flags) : grow_room(packet, offset, length, flags);
    if (code != 0) return errno_result(code);
    SkbState& skb = packet.skb;
    if ((flags & BPF_F_ADJ_ROOM_NO_CSUM_RESET) == 0 &&
        skb.csum_kind == static_cast<u8>(SkbCsum::unnecessary)) {
        skb.csum_kind = static_cast<u8>(SkbCsum::none);
        skb.csum_level = 0;
    }
    return 0;
}

constexpr HelperProto room_row(u32 id, const char* name, HelperFn fn, std::array<Arg, 5> args) {
    return {.id = id,
            .name = name,
            .fn = fn,
            .ret = Ret::integer,
            .args = args,
            .use = kUseTc,
            .moves_packet = true,
            .writes_packet = true};
}

} // namespace

const HelperProto kHelperSkbChangeProto =
    room_row(BPF_FUNC_skb_change_proto, "skb_change_proto", skb_change_proto,
             {Arg::ctx, Arg::anything, Arg::anything});
const HelperProto kHelperSkbChangeHead = room_row(BPF_FUNC_skb_change_head, "skb_change_head",
                                                  skb_change_head, {Arg::ctx, Arg::anything, Arg::anything});
const HelperProto kHelperSkbChangeTail = room_row(BPF_FUNC_skb_change_tail, "skb_change_tail",
                                                  skb_change_tail, {Arg::ctx, Arg::anything, Arg::anything});
const HelperProto kHelperSkbAdjustRoom =
    room_row(BPF_FUNC_skb_adjust_room, "skb_adjust_room", skb_adjust_room,
             {Arg::ctx, Arg::anything, Arg::anything, Arg::anything});

} // namespace xdplane
