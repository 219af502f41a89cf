// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/run/skb.h"

#include <arpa/inet.h>
#include <cstring>
#include <linux/if_ether.h>
#include <linux/if_packet.h>

namespace xdplane {

void classify_ethernet(XdpBuff& packet, const u8* mac, u32 length) noexcept {
    packet.protocol = 0;
    packet.pkt_type = PACKET_HOST;
    if (length < ETH_HLEN) return;
    u16 type = 0;
    std::memcpy(&type, mac + 2 * ETH_ALEN, sizeof type);
    const bool raw_802_3 = length >= ETH_HLEN + 2 && mac[ETH_HLEN] == 0xff && mac[ETH_HLEN + 1] == 0xff;
    if (ntohs(type) >= ETH_P_802_3_MIN)
        packet.protocol = type;
    else
        packet.protocol = htons(raw_802_3 ? ETH_P_802_3 : ETH_P_802_2);
    constexpr u8 broadcast[ETH_ALEN] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    if ((mac[0] & 1) != 0)
        packet.pkt_type = std::memcmp(mac, broadcast, ETH_ALEN) == 0 ? PACKET_BROADCAST : PACKET_MULTICAST;
}

void begin_skb(XdpBuff& packet) noexcept {
    SkbState& skb = packet.skb;
    skb = {};
    skb.mac = static_cast<u32>(packet.data - packet.hard_start);
    skb.network = skb.mac + ETH_HLEN;
    // As the receive path leaves it before anyone has looked at the network header.
    skb.transport = skb.network;
    skb.ifindex = packet.ingress_ifindex;
    skb.queue_mapping = static_cast<u16>(packet.rx_queue);
    skb.hash_known = packet.hash != 0;
    classify_ethernet(packet, packet.data, packet.length());
    packet.skb_ready = 1;
}

} // namespace xdplane
