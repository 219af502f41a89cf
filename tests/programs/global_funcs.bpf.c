// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// A packet classifier split into global functions: the verifier looks at each
// on its own, by its BTF. Arguments are the context, scalars, and memory of a
// size; nothing that a caller knows helps inside.
//
// Style: global (non-static) noinline functions, __arg tags.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#define __arg_ctx __attribute__((btf_decl_tag("arg:ctx")))
#define __arg_nonnull __attribute__((btf_decl_tag("arg:nonnull")))

struct summary {
    __u32 src;
    __u32 dst;
    __u16 sport;
    __u16 dport;
    __u8 proto;
    __u8 family;
    __u16 length;
    __u32 hash;
};

struct weights {
    __u32 w[8];
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 64);
    __type(key, __u32);
    __type(value, __u64);
} buckets SEC(".maps");

struct weights model = {.w = {3, 1, 4, 1, 5, 9, 2, 6}};

__noinline int parse_v4(struct xdp_md* ctx, struct summary* s) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct iphdr* ip = data + sizeof(struct ethhdr);
#if BREAK != 1
    if (!s) return -1;
#endif
    if ((void*)(ip + 1) > end) return -1;
    s->src = ip->saddr;
    s->dst = ip->daddr;
    s->proto = ip->protocol;
    s->family = 4;
    s->length = bpf_ntohs(ip->tot_len);
    if (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP) return 0;
    __be16* ports = (void*)ip + ip->ihl * 4;
    if ((void*)(ports + 2) > end) return -1;
    s->sport = bpf_ntohs(ports[0]);
    s->dport = bpf_ntohs(ports[1]);
    return 0;
}

// The context by its tag, whatever the type says.
__noinline int parse_v6(void* ctx __arg_ctx, struct summary* s __arg_nonnull) {
    struct xdp_md* xdp = ctx;
    void* data = (void*)(long)xdp->data;
    void* end = (void*)(long)xdp->data_end;
    struct ipv6hdr* ip6 = data + sizeof(struct ethhdr);
    if ((void*)(ip6 + 1) > end) return -1;
    s->src = ip6->saddr.in6_u.u6_addr32[3];
    s->dst = ip6->daddr.in6_u.u6_addr32[3];
    s->proto = ip6->nexthdr;
    s->family = 6;
    s->length = bpf_ntohs(ip6->payload_len);
    return 0;
}

__noinline __u32 mix(__u32 h, __u32 v) {
    h ^= v;
    h *= 0x85ebca6b;
    return h ^ h >> 13;
}

__noinline __u32 hash_summary(const struct summary* s) {
    if (!s) return 0;
    __u32 h = mix(0, s->src);
    h = mix(h, s->dst);
    h = mix(h, (__u32)s->sport << 16 | s->dport);
    return mix(h, s->proto);
}

// By pointer to an array in global data.
__noinline __u32 score(const struct weights* w, const struct summary* s) {
    if (!w || !s) return 0;
    __u32 total = 0;
#if BREAK == 2
    for (int i = 0; i <= 8; i++) total += w->w[i] * (s->hash >> i & 1);
#else
    for (int i = 0; i < 8; i++) total += w->w[i] * (s->hash >> i & 1);
#endif
    return total;
}

__noinline int count_bucket(__u32 bucket, __u64 bytes) {
    bucket &= 63;
    __u64* n = bpf_map_lookup_elem(&buckets, &bucket);
#if BREAK != 3
    if (!n) return 0;
#endif
    __sync_fetch_and_add(n, bytes);
    return 1;
}

// Never called: verified all the same? No: only what the program calls is.
__weak int unused_helper(int x) { return x * 2; }

SEC("xdp")
BROKEN(1, "invalid mem access 'mem_or_null'")
BROKEN(2, "invalid access to memory, mem_size=32 off=32 size=4")
BROKEN(3, "invalid mem access 'map_value_or_null'")
BROKEN(4, "Caller passes invalid args into func#")
BROKEN(5, "invalid mem access 'scalar'")
int classify(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    struct summary s = {};
    if ((void*)(eth + 1) > end) return XDP_DROP;
    __be16 proto = eth->h_proto;
    int r;
    if (proto == bpf_htons(ETH_P_IP))
#if BREAK == 4
        r = parse_v4((void*)&s, &s);
#else
        r = parse_v4(ctx, &s);
#endif
    else if (proto == bpf_htons(ETH_P_IPV6))
        r = parse_v6(ctx, &s);
    else
        return XDP_PASS;
    if (r) return XDP_DROP;
    s.hash = hash_summary(&s);
    __u32 points = score(&model, &s);
    count_bucket(points, s.length);
#if BREAK == 5
    // What a global function returns is any number, also when it looked like a pointer.
    return *(int*)(long)mix(points, 0);
#endif
    return points > 20 ? XDP_DROP : XDP_PASS;
}

SEC("xdp")
BROKEN(3, "invalid mem access 'map_value_or_null'")
int count_only(struct xdp_md* ctx) {
    __u32 length = ctx->data_end - ctx->data;
    return count_bucket(length >> 6, length) ? XDP_PASS : XDP_ABORTED;
}

LICENSED;
