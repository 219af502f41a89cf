// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// A router: the kernel's table (fib_lookup) says where to, the TTL goes down,
// the MACs are written and a devmap sends. Multicast goes to all ports but the
// one it came from; programs on the devmap's entries check sizes on egress.
//
// Style: like the kernel's samples: everything in one function per family.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#define AF_INET 2
#define AF_INET6 10
#define FLOW_INFO_MASK bpf_htonl(0x0fffffff)

struct {
    __uint(type, BPF_MAP_TYPE_DEVMAP);
    __uint(max_entries, 64);
    __uint(key_size, sizeof(int));
    __uint(value_size, sizeof(struct bpf_devmap_val));
} tx_ports SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
    __uint(max_entries, 64);
    __uint(key_size, sizeof(int));
    __uint(value_size, sizeof(int));
} flood_ports SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_XSKMAP);
    __uint(max_entries, 64);
    __type(key, int);
    __type(value, int);
} xsks SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 16);
    __type(key, __u32);
    __type(value, __u64);
} fwd_stats SEC(".maps");

static __always_inline int ttl_down(struct iphdr* ip) {
    __u32 check = ip->check;
    check += bpf_htons(0x0100);
    ip->check = check + (check >= 0xffff);
    return --ip->ttl;
}

static __always_inline void note(__s64 result) {
    __u32 slot = result < 0 ? 15 : result & 15;
    __u64* n = bpf_map_lookup_elem(&fwd_stats, &slot);
    if (n) ++*n;
}

SEC("xdp")
BROKEN(1, "invalid write to stack R2")
BROKEN(2, "R1 type=fp expected=ctx")
BROKEN(3, "invalid access to packet")
int route(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct bpf_fib_lookup fib = {};
    struct ethhdr* eth = data;
    struct iphdr* ip = 0;
    struct ipv6hdr* ip6 = 0;
    if ((void*)(eth + 1) > end) return XDP_DROP;
    __be16 proto = eth->h_proto;
    if (proto == bpf_htons(ETH_P_IP)) {
        ip = (void*)(eth + 1);
        if ((void*)(ip + 1) > end) return XDP_DROP;
        if (ip->ttl <= 1) return XDP_PASS;
        fib.family = AF_INET;
        fib.tos = ip->tos;
        fib.l4_protocol = ip->protocol;
        fib.tot_len = bpf_ntohs(ip->tot_len);
        fib.ipv4_src = ip->saddr;
        fib.ipv4_dst = ip->daddr;
    } else if (proto == bpf_htons(ETH_P_IPV6)) {
        ip6 = (void*)(eth + 1);
#if BREAK != 3
        if ((void*)(ip6 + 1) > end) return XDP_DROP;
#endif
        if (ip6->hop_limit <= 1) return XDP_PASS;
        fib.family = AF_INET6;
        fib.flowinfo = *(__be32*)ip6 & FLOW_INFO_MASK;
        fib.l4_protocol = ip6->nexthdr;
        fib.tot_len = bpf_ntohs(ip6->payload_len);
        __builtin_memcpy(fib.ipv6_src, &ip6->saddr, 16);
        __builtin_memcpy(fib.ipv6_dst, &ip6->daddr, 16);
    } else {
        return XDP_PASS;
    }
    fib.ifindex = ctx->ingress_ifindex;
#if BREAK == 1
    int r = bpf_fib_lookup(ctx, (void*)&fib.tbid + 4, sizeof(fib), BPF_FIB_LOOKUP_DIRECT);
#elif BREAK == 2
    int r = bpf_fib_lookup(&fib, &fib, sizeof(fib), 0);
#else
    int r = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
#endif
    note(r);
    switch (r) {
    case BPF_FIB_LKUP_RET_SUCCESS: break;
    case BPF_FIB_LKUP_RET_BLACKHOLE:
    case BPF_FIB_LKUP_RET_UNREACHABLE:
    case BPF_FIB_LKUP_RET_PROHIBIT: return XDP_DROP;
    default: return XDP_PASS;
    }
    if (ip)
        ttl_down(ip);
    else if (ip6)
        ip6->hop_limit--;
    __builtin_memcpy(eth->h_dest, fib.dmac, ETH_ALEN);
    __builtin_memcpy(eth->h_source, fib.smac, ETH_ALEN);
    return bpf_redirect_map(&tx_ports, fib.ifindex, XDP_DROP);
}

SEC("xdp")
BROKEN(4, "R1 type=scalar expected=map_ptr")
int flood(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    if ((void*)(eth + 1) > end) return XDP_DROP;
    int queue = ctx->rx_queue_index;
    if (eth->h_proto == bpf_htons(ETH_P_ARP) && bpf_map_lookup_elem(&xsks, &queue))
        return bpf_redirect_map(&xsks, queue, XDP_PASS);
#if BREAK == 4
    if (eth->h_dest[0] & 1) return bpf_redirect_map((void*)(long)queue, 0, BPF_F_BROADCAST);
#endif
    if (eth->h_dest[0] & 1) return bpf_redirect_map(&flood_ports, 0, BPF_F_BROADCAST | BPF_F_EXCLUDE_INGRESS);
    return XDP_PASS;
}

SEC("xdp/devmap")
BROKEN(5, "invalid bpf_context access")
int on_egress(struct xdp_md* ctx) {
    __u32 mtu = 0;
    if (ctx->egress_ifindex == 0) return XDP_DROP;
    if (bpf_check_mtu(ctx, 0, &mtu, 0, 0)) return XDP_DROP;
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    if (data + ETH_HLEN > end) return XDP_DROP;
#if BREAK == 5
    return *(__u64*)&ctx->egress_ifindex ? XDP_PASS : XDP_DROP;
#endif
    return end - data > mtu + ETH_HLEN ? XDP_DROP : XDP_PASS;
}

LICENSED;
