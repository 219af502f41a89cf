// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/helpers/flow_key.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cstring>
#include <linux/if_ether.h>
#include <netinet/in.h>

#include "bpf/run/skb.h"

namespace xdplane {
namespace {

/// One side of a flow.
struct End {
    std::array<u8, 16> address{};
    u16 port = 0;
    friend auto operator<=>(const End&, const End&) = default;
};

struct FlowKey {
    End from;
    End to;
    u8 protocol = 0;
};

bool has_ports(u8 protocol) noexcept {
    constexpr u8 with[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_DCCP, IPPROTO_UDPLITE};
    return std::ranges::find(with, protocol) != std::end(with);
}

/// Reads what is there: of a packet cut short, less.
FlowKey key_of(const u8* header, i64 left, u16 ethertype) noexcept {
    constexpr u32 ipv4_size = 20, ipv6_size = 40, fragment_bits = 0x3fff;
    FlowKey key;
    i64 ports = -1;
    if (ethertype == htons(ETH_P_IP) && left >= ipv4_size) {
        key.protocol = header[9];
        std::memcpy(key.from.address.data(), header + 12, 4);
        std::memcpy(key.to.address.data(), header + 16, 4);
        const u32 fragment = u32{header[6]} << 8 | header[7];
        if ((fragment & fragment_bits) == 0) ports = (header[0] & 15) * 4;
    } else if (ethertype == htons(ETH_P_IPV6) && left >= ipv6_size) {
        key.protocol = header[6];
        std::memcpy(key.from.address.data(), header + 8, 16);
        std::memcpy(key.to.address.data(), header + 24, 16);
        ports = ipv6_size;
    }
    if (ports >= 0 && has_ports(key.protocol) && ports + 4 <= left) {
        std::memcpy(&key.from.port, header + ports, 2);
        std::memcpy(&key.to.port, header + ports + 2, 2);
    }
    if (key.to < key.from) std::swap(key.from, key.to);
    return key;
}

u64 mix(u64 hash, u64 word) noexcept {
    hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
    return hash ^ (hash >> 32);
}

u64 mix(u64 hash, const End& end) noexcept {
    u64 words[2];
    std::memcpy(words, end.address.data(), sizeof words);
    return mix(mix(mix(hash, words[0]), words[1]), end.port);
}

} // namespace

u32 flow_hash_of(const XdpBuff& packet) noexcept {
    const i64 offset = std::clamp<i64>(network_offset(packet), 0, packet.length());
    const FlowKey key = key_of(packet.data + offset, packet.length() - offset, packet.protocol);
    const u64 hash = mix(mix(mix(key.protocol, key.from), key.to), packet.protocol);
    const u32 folded = static_cast<u32>(hash >> 32) ^ static_cast<u32>(hash);
    return folded != 0 ? folded : 1;
}

} // namespace xdplane
