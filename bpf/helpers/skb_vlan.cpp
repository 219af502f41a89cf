// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <arpa/inet.h>
#include <cstring>
#include <linux/bpf.h>
#include <linux/if_ether.h>

#include "bpf/helpers/rows.h"
#include "bpf/helpers/skb_access.h"

/// VLAN tags of socket buffers. The outermost is kept beside the packet, in vlan_tci and vlan_proto, as by a
/// network card that takes tags off; the others are in it.
namespace xdplane {
namespace {

constexpr u16 k8021q = __builtin_bswap16(ETH_P_8021Q);
constexpr u16 k8021ad = __builtin_bswap16(ETH_P_8021AD);
constexpr u32 kTag = 4;                  ///< bytes: what follows the tag's EtherType, and that
constexpr u32 kAddresses = 2 * ETH_ALEN; ///< in front of it
constexpr u32 kTaggedHeader = ETH_HLEN + kTag;

bool is_vlan(u16 protocol) noexcept { return protocol == k8021q || protocol == k8021ad; }
bool tagged(const XdpBuff& packet) noexcept { return packet.vlan_present != 0; }

void set_tag(XdpBuff& packet, u16 proto, u16 tci) noexcept {
    packet.vlan_proto = proto;
    packet.vlan_tci = tci;
    packet.vlan_present = 1;
}
void clear_tag(XdpBuff& packet) noexcept {
    packet.vlan_proto = 0;
    packet.vlan_tci = 0;
    packet.vlan_present = 0;
}

/// The tag beside the packet goes into it.
int insert_tag(XdpBuff& packet) noexcept {
    SkbState& skb = packet.skb;
    if (packet.data != packet.hard_start + skb.mac) return EINVAL;
    if (packet.length() < kAddresses) return EINVAL;
    if (!move_head(packet, kTag)) return ENOMEM;
    std::memmove(packet.data, packet.data + kTag, kAddresses);
    const u16 tag[] = {packet.vlan_proto, htons(packet.vlan_tci)};
    std::memcpy(packet.data + kAddresses, tag, kTag);
    skb.mac -= kTag;
    skb.network -= kTag; // as Linux: it points at the tag
    packet.protocol = packet.vlan_proto;
    bytes_join(skb, packet.data + kAddresses, kTag);
    return 0;
}

/// protocol of what is behind a tag, of which `type` is the last field.
u16 protocol_behind(const XdpBuff& packet, u16 type) noexcept {
    if (ntohs(type) >= ETH_P_802_3_MIN) return type;
    const u8* const next = packet.data + kTaggedHeader;
    const bool raw = packet.length() >= kTaggedHeader + 2 && next[0] == 0xff && next[1] == 0xff;
    return htons(raw ? ETH_P_802_3 : ETH_P_802_2);
}

/// The first tag of the packet leaves it.
int remove_tag(XdpBuff& packet, u16& tci) noexcept {
    SkbState& skb = packet.skb;
    if (packet.data != packet.hard_start + skb.mac) return EINVAL;
    if (packet.length() < kTaggedHeader) return ENOMEM;
    bytes_leave(skb, packet.data + kAddresses, kTag);
    u16 tag[2];
    std::memcpy(tag, packet.data + ETH_HLEN, sizeof tag);
    tci = ntohs(tag[0]);
    packet.protocol = protocol_behind(packet, tag[1]);
    u8 addresses[kAddresses];
    std::memcpy(addresses, packet.data, kAddresses);
    (void)move_head(packet, -i64{kTag}); // there are as many bytes
    std::memcpy(packet.data, addresses, kAddresses);
    skb.mac += kTag;
    if (network_offset(packet) < ETH_HLEN) skb.network = skb.mac + ETH_HLEN;
    return 0;
}

u64 skb_vlan_push(u64 ctx, u64 proto, u64 tci, u64, u64) noexcept {
    XdpBuff& packet = skb_packet(ctx);
    u16 protocol = static_cast<u16>(proto);
    if (!is_vlan(protocol)) protocol = k8021q;
    if (tagged(packet))
        if (const int code = insert_tag(packet); code != 0) return errno_result(code);
    set_tag(packet, protocol, static_cast<u16>(tci));
    return 0;
}

u64 skb_vlan_pop(u64 ctx, u64, u64, u64, u64) noexcept {
    XdpBuff& packet = skb_packet(ctx);
    u16 tci = 0;
    if (tagged(packet)) {
        clear_tag(packet);
    } else {
        if (!is_vlan(packet.protocol)) return 0;
        if (const int code = remove_tag(packet, tci); code != 0) return errno_result(code);
    }
    // The next one comes out of the packet.
    if (!is_vlan(packet.protocol)) return 0;
    const u16 protocol = packet.protocol;
    if (const int code = remove_tag(packet, tci); code != 0) return errno_result(code);
    set_tag(packet, protocol, tci);
    return 0;
}

} // namespace

const HelperProto kHelperSkbVlanPush = {.id = BPF_FUNC_skb_vlan_push,
                                        .name = "skb_vlan_push",
                                        .fn = skb_vlan_push,
                                        .ret = Ret::integer,
                                        .args = {Arg::ctx, Arg::anything, Arg::anything},
                                        .use = kUseTc,
                                        .moves_packet = true,
                                        .writes_packet = true};
const HelperProto kHelperSkbVlanPop = {.id = BPF_FUNC_skb_vlan_pop,
                                       .name = "skb_vlan_pop",
                                       .fn = skb_vlan_pop,
                                       .ret = Ret::integer,
                                       .args = {Arg::ctx},
                                       .use = kUseTc,
                                       .moves_packet = true,
                                       .writes_packet = true};

} // namespace xdplane
