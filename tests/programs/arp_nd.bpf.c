// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// Answers ARP requests and IPv6 neighbour solicitations for addresses of
// others, from tables, in XDP. The ICMPv6 checksum is made anew over the
// answer; solicitations may carry options in any order.
//
// Style: packed headers of its own, byte copies, const tables.
#include "include/corpus.h"
#include <linux/if_ether.h>

#define ND_NS 135
#define ND_NA 136
#define OPT_SOURCE_LL 1
#define OPT_TARGET_LL 2

typedef __u8 mac_t[6];

struct arp_packet {
    mac_t eth_dst, eth_src;
    __be16 eth_type;
    __be16 hw, proto;
    __u8 hw_len, proto_len;
    __be16 op;
    mac_t sender_mac;
    __u8 sender_ip[4];
    mac_t target_mac;
    __u8 target_ip[4];
} __attribute__((packed));

struct nd_packet {
    mac_t eth_dst, eth_src;
    __be16 eth_type;
    __be32 vtf;
    __be16 length;
    __u8 next, hops;
    __u8 src[16], dst[16];
    __u8 type, code;
    __be16 check;
    __be32 flags;
    __u8 target[16];
    __u8 opt_type, opt_len;
    mac_t opt_mac;
} __attribute__((packed));

struct addr6 {
    __u8 b[16];
};

struct mac_entry {
    mac_t mac;
    __u16 flags;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4096);
    __type(key, __u32);
    __type(value, struct mac_entry);
} arp_proxy SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4096);
    __type(key, struct addr6);
    __type(value, struct mac_entry);
} nd_proxy SEC(".maps");

static __always_inline int answer_arp(struct arp_packet* a, void* end) {
#if BREAK == 1
    if ((void*)a + 40 > end) return XDP_PASS;
#else
    if ((void*)(a + 1) > end) return XDP_PASS;
#endif
    if (a->hw != bpf_htons(1) || a->proto != bpf_htons(ETH_P_IP) || a->op != bpf_htons(1)) return XDP_PASS;
    __u32 target;
    __builtin_memcpy(&target, a->target_ip, 4);
    struct mac_entry* e = bpf_map_lookup_elem(&arp_proxy, &target);
    if (!e) return XDP_PASS;
    __builtin_memcpy(a->eth_dst, a->eth_src, 6);
    __builtin_memcpy(a->eth_src, e->mac, 6);
    a->op = bpf_htons(2);
    __u8 asker[4];
    __builtin_memcpy(asker, a->sender_ip, 4);
    __builtin_memcpy(a->target_mac, a->sender_mac, 6);
    __builtin_memcpy(a->sender_mac, e->mac, 6);
    __builtin_memcpy(a->sender_ip, &target, 4);
    __builtin_memcpy(a->target_ip, asker, 4);
    return XDP_TX;
}

static __always_inline __u32 sum_words(const void* at, __u32 bytes) {
    const __u16* w = at;
    __u32 sum = 0;
#pragma clang loop unroll(full)
    for (__u32 i = 0; i < bytes / 2; i++) sum += w[i];
    return sum;
}

static __always_inline int answer_nd(struct xdp_md* ctx, struct nd_packet* n, void* end) {
    if ((void*)&n->opt_type > end) return XDP_PASS;
    if (n->next != 58 || n->type != ND_NS || n->hops != 255 || n->code) return XDP_PASS;
    if (n->target[0] == 0xff) return XDP_DROP;
    struct addr6 target;
    __builtin_memcpy(&target, n->target, 16);
#if BREAK == 2
    struct mac_entry* e = bpf_map_lookup_elem(&nd_proxy, n->target + 8);
#else
    struct mac_entry* e = bpf_map_lookup_elem(&nd_proxy, &target);
#endif
    if (!e) return XDP_PASS;
    mac_t mac;
    __builtin_memcpy(mac, e->mac, 6);
    int delta = (int)sizeof(*n) - (int)(end - (void*)n);
    if (bpf_xdp_adjust_tail(ctx, delta)) return XDP_DROP;
    n = (void*)(long)ctx->data;
    end = (void*)(long)ctx->data_end;
#if BREAK != 3
    if ((void*)(n + 1) > end) return XDP_DROP;
#endif
    struct addr6 asker;
    __builtin_memcpy(&asker, n->src, 16);
    __builtin_memcpy(n->eth_dst, n->eth_src, 6);
    __builtin_memcpy(n->eth_src, mac, 6);
    __builtin_memcpy(n->src, &target, 16);
    __builtin_memcpy(n->dst, &asker, 16);
    n->length = bpf_htons(32);
    n->hops = 255;
    n->type = ND_NA;
    n->flags = bpf_htonl(0x60000000);
    n->opt_type = OPT_TARGET_LL;
    n->opt_len = 1;
    __builtin_memcpy(n->opt_mac, mac, 6);
    n->check = 0;
    __u32 sum = sum_words(n->src, 32) + sum_words(&n->type, 32);
    sum += bpf_htons(32) + bpf_htons(58);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    n->check = ~sum;
    return XDP_TX;
}

SEC("xdp")
BROKEN(1, "invalid access to packet")
BROKEN(2, "invalid access to packet")
BROKEN(3, "invalid access to packet")
int proxy(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    if ((void*)(eth + 1) > end) return XDP_DROP;
    switch (eth->h_proto) {
    case bpf_htons(ETH_P_ARP): return answer_arp(data, end);
    case bpf_htons(ETH_P_IPV6): return answer_nd(ctx, data, end);
    }
    return XDP_PASS;
}

LICENSED;
