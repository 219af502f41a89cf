// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// Answers pings of both families for addresses of a list, limits them by a
// token bucket of atomics, and sends "packet too big" back for oversized ones,
// built with the head of the offending packet.
//
// Style: kernel-sample style; adjust_head and adjust_tail; csum_diff over packet.
#include "include/corpus.h"
#include "include/icmp.h"
#include <linux/icmpv6.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#define MAX_LEN 1514
#define QUOTE 28

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 64);
    __type(key, __be32);
    __type(value, __u8);
} own4 SEC(".maps");

__u64 tokens = 1000;
__u64 answered, refused;

static __always_inline void swap_macs(struct ethhdr* eth) {
    __u16* p = (__u16*)eth;
    __u16 d[3];
    d[0] = p[0], d[1] = p[1], d[2] = p[2];
    p[0] = p[3], p[1] = p[4], p[2] = p[5];
    p[3] = d[0], p[4] = d[1], p[5] = d[2];
}

static __always_inline __sum16 fold(__u32 sum) {
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return ~sum;
}

static __always_inline int take_token(void) {
    __u64 left = tokens;
    if (left == 0) {
        __sync_fetch_and_add(&refused, 1);
        return 0;
    }
    tokens = left - 1;
    return 1;
}

static __noinline int too_big(struct xdp_md* ctx) {
    if (bpf_xdp_adjust_head(ctx, -(int)(sizeof(struct iphdr) + sizeof(struct icmphdr)))) return XDP_DROP;
    int want = sizeof(struct ethhdr) + 2 * sizeof(struct iphdr) + sizeof(struct icmphdr) + 8;
    if (bpf_xdp_adjust_tail(ctx, want - (int)(ctx->data_end - ctx->data))) return XDP_DROP;
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    struct iphdr* ip = (void*)(eth + 1);
    struct icmphdr* icmp = (void*)(ip + 1);
    struct iphdr* inner = (void*)(icmp + 1);
    struct ethhdr* old = data + sizeof(*ip) + sizeof(*icmp);
#if BREAK == 1
    if ((void*)(inner + 1) > end) return XDP_DROP;
#else
    if ((void*)inner + QUOTE > end) return XDP_DROP;
#endif
    __builtin_memcpy(eth->h_dest, old->h_source, ETH_ALEN);
    __builtin_memcpy(eth->h_source, old->h_dest, ETH_ALEN);
    eth->h_proto = bpf_htons(ETH_P_IP);
    __builtin_memset(ip, 0, sizeof(*ip) + sizeof(*icmp));
    ip->version = 4, ip->ihl = 5, ip->ttl = 64, ip->protocol = IPPROTO_ICMP;
    ip->tot_len = bpf_htons(want - sizeof(*eth));
    ip->saddr = inner->daddr;
    ip->daddr = inner->saddr;
    ip->check = fold(bpf_csum_diff(0, 0, (__be32*)ip, sizeof(*ip), 0));
    icmp->type = ICMP_DEST_UNREACH;
    icmp->code = ICMP_FRAG_NEEDED;
    icmp->un.frag.mtu = bpf_htons(1500);
    icmp->checksum = fold(bpf_csum_diff(0, 0, (__be32*)icmp, sizeof(*icmp) + QUOTE, 0));
    return XDP_TX;
}

SEC("xdp")
BROKEN(1, "invalid access to packet")
BROKEN(2, "invalid access to packet")
BROKEN(3, "cannot pass map_type 1 into func bpf_map_push_elem")
int pong(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    if ((void*)(eth + 1) > end) return XDP_DROP;
    if (eth->h_proto == bpf_htons(ETH_P_IP)) {
        struct iphdr* ip = (void*)(eth + 1);
        struct icmphdr* icmp = (void*)(ip + 1);
#if BREAK == 2
        if ((void*)(ip + 1) > end) return XDP_PASS;
#else
        if ((void*)(icmp + 1) > end) return XDP_PASS;
#endif
        if (end - data > MAX_LEN && ip->frag_off & bpf_htons(0x4000)) return too_big(ctx);
        if (ip->ihl != 5 || ip->protocol != IPPROTO_ICMP || icmp->type != ICMP_ECHO) return XDP_PASS;
        __be32 self = ip->daddr;
        if (!bpf_map_lookup_elem(&own4, &self) || !take_token()) return XDP_PASS;
#if BREAK == 3
        bpf_map_push_elem(&own4, &self, 0);
#endif
        swap_macs(eth);
        ip->daddr = ip->saddr;
        ip->saddr = self;
        icmp->type = ICMP_ECHOREPLY;
        icmp->checksum = fold((__u16)~icmp->checksum + (__u16)~bpf_htons(ICMP_ECHO << 8));
        __sync_fetch_and_add(&answered, 1);
        return XDP_TX;
    }
    if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
        struct ipv6hdr* ip6 = (void*)(eth + 1);
        struct icmp6hdr* icmp = (void*)(ip6 + 1);
        if ((void*)(icmp + 1) > end || ip6->nexthdr != IPPROTO_ICMPV6) return XDP_PASS;
        if (icmp->icmp6_type != ICMPV6_ECHO_REQUEST || ip6->daddr.in6_u.u6_addr8[0] == 0xff) return XDP_PASS;
        if (!take_token()) return XDP_PASS;
        swap_macs(eth);
        struct in6_addr self = ip6->daddr;
        ip6->daddr = ip6->saddr;
        ip6->saddr = self;
        __be16 from = *(__be16*)icmp;
        icmp->icmp6_type = ICMPV6_ECHO_REPLY;
        __u32 sum = (__u16)~icmp->icmp6_cksum;
        sum += (__u16)~from;
        sum += *(__be16*)icmp;
        icmp->icmp6_cksum = fold(sum);
        __sync_fetch_and_add(&answered, 1);
        return XDP_TX;
    }
    return XDP_PASS;
}

LICENSED;
