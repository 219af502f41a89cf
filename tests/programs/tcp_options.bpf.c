// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// Reads all options of a SYN into one record: MSS, window scale, SACK,
// timestamps, Fast Open. The shape (which options in which order) is a
// fingerprint of the sender's stack, which a table maps to a class.
//
// Style: a noinline sub-program for each option, called from a bounded loop.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>

#define MOST 4

struct syn_info {
    __u32 tsval;
    __u32 tsecr;
    __u64 order; // four bits for each option
    __u16 mss;
    __u8 wscale;
    __u8 flags;
    __u8 pad0;
    __u8 window_multiple;
    __u8 ttl;
    __u8 pad;
};

enum { HAS_MSS = 1, HAS_WSCALE = 2, HAS_SACK = 4, HAS_TS = 8, HAS_TFO = 16, ODD = 32 };

struct signature {
    __u64 order;
    __u16 mss;
    __u8 ttl;
    __u8 wscale;
    __u32 zero;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1000);
    __type(key, struct signature);
    __type(value, __u32);
} stacks SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, 256);
    __type(key, __u32);
    __type(value, __u64);
} classes SEC(".maps");

static __noinline int on_mss(struct syn_info* s, const __u8* data, const void* end) {
    if (!s || !data) return -1;
#if BREAK != 1
    if ((void*)(data + 2) > end) return -1;
#endif
    s->mss = data[0] << 8 | data[1];
    s->flags |= HAS_MSS;
    return 0;
}

static __noinline int on_wscale(struct syn_info* s, const __u8* data, const void* end) {
    if ((void*)(data + 1) > end) return -1;
    s->wscale = data[0] > 14 ? 14 : data[0];
    s->flags |= HAS_WSCALE;
    return 0;
}

static __noinline int on_timestamps(struct syn_info* s, const __u8* data, const void* end) {
    if ((void*)(data + 8) > end) return -1;
    const __be32* w = (const __be32*)data;
    s->tsval = bpf_ntohl(w[0]);
    s->tsecr = bpf_ntohl(w[1]);
    s->flags |= HAS_TS;
    if (s->tsecr) s->flags |= ODD;
    return 0;
}

static __always_inline int read_options(struct syn_info* s, struct tcphdr* tcp, void* end) {
    __u8* at = (void*)(tcp + 1);
    __u32 left = tcp->doff * 4 - sizeof(*tcp);
    if (tcp->doff < 5) return -1;
    LOOP for (int i = 0; i < MOST; i++) {
        if (left == 0 || left > 40) break;
        if ((void*)(at + 1) > end) return -1;
        __u8 kind = at[0];
        s->order = s->order << 4 | (kind & 15);
        if (kind == 0) break;
        if (kind == 1) {
            at++;
            left--;
            continue;
        }
        if ((void*)(at + 2) > end) return -1;
        __u8 size = at[1];
        if (size < 2 || size > 40) return -1;
        int r = 0;
        if (kind == 2 && size == 4)
            r = on_mss(s, at + 2, end);
        else if (kind == 3 && size == 3)
            r = on_wscale(s, at + 2, end);
        else if (kind == 8 && size == 10)
            r = on_timestamps(s, at + 2, end);
        else if (kind == 4 && size == 2)
            s->flags |= HAS_SACK;
        else if (kind == 34)
            s->flags |= HAS_TFO;
        if (r) return r;
        at += size;
        left -= size;
    }
    return 0;
}

static __noinline __u32 classify(const struct syn_info* s) {
    struct signature sig = {.order = s->order, .mss = s->mss, .wscale = s->wscale};
#if BREAK == 2
    __u32* class = bpf_map_lookup_elem(&stacks, s);
    sig.mss = *class;
#endif
    // Round the TTL up to what it was when it left.
    sig.ttl = s->ttl <= 32 ? 32 : s->ttl <= 64 ? 64 : s->ttl <= 128 ? 128 : 255;
    __u32* known = bpf_map_lookup_elem(&stacks, &sig);
    if (known) return *known;
    sig.mss = 0;
    known = bpf_map_lookup_elem(&stacks, &sig);
    return known ? *known : 0;
}

SEC("xdp")
BROKEN(1, "invalid access to packet")
BROKEN(2, "invalid mem access 'map_value_or_null'")
BROKEN(3, "pointer arithmetic on pkt_end prohibited")
int fingerprint(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    struct iphdr* ip = (void*)(eth + 1);
    if ((void*)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP)) return XDP_PASS;
    if (ip->protocol != IPPROTO_TCP || ip->ihl != 5) return XDP_PASS;
    struct tcphdr* tcp = (void*)(ip + 1);
#if BREAK == 3
    void* limit = end - sizeof(*tcp);
    barrier_var(limit);
    if ((void*)tcp > limit) return XDP_PASS;
#else
    if ((void*)(tcp + 1) > end) return XDP_PASS;
#endif
    if (!tcp->syn || tcp->ack) return XDP_PASS;
    struct syn_info s = {.ttl = ip->ttl};
    if (read_options(&s, tcp, end)) return XDP_DROP;
    if (s.mss) s.window_multiple = bpf_ntohs(tcp->window) / s.mss;
    __u32 class = classify(&s);
    __u64* n = bpf_map_lookup_elem(&classes, &class);
    if (n) {
        ++*n;
    } else {
        __u64 one = 1;
        bpf_map_update_elem(&classes, &class, &one, BPF_ANY);
    }
    return class == 0xdead ? XDP_DROP : XDP_PASS;
}

LICENSED;
