// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// A dispatcher of programs in a row: global functions, each verified by
// itself, called as far as a constant configuration says, with a mask of
// verdicts that let the next one run; options of IPv4 and of TCP are walked by
// global functions that take memory, not packets.
//
// Style: volatile const configuration; global functions; a cursor.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>

#define SLOTS 4

struct plan {
    __u8 count;
    __u8 used;
    __u8 pad[2];
    __u32 go_on[SLOTS]; // bits of verdicts
    __u32 order[SLOTS];
};

volatile const struct plan plan = {
    .count = 3,
    .order = {0, 1, 2},
    .go_on = {1 << XDP_PASS, 1 << XDP_PASS | 1 << XDP_DROP, 1 << XDP_PASS},
};

struct options {
    __u8 bytes[40];
    __u32 length;
};

__u64 counts[8];

__noinline int find_option(const struct options* o, __u32 wanted) {
    if (!o) return -1;
    __u32 at = 0;
    LOOP for (int i = 0; i < 40; i++) {
#if BREAK == 1
        if (at >= o->length) return -1;
#else
        if (at >= o->length || at >= sizeof(o->bytes)) return -1;
#endif
        __u8 kind = o->bytes[at];
        if (kind == wanted) return at;
        if (kind == 0) return -1;
        if (kind == 1) {
            at++;
            continue;
        }
        if (at + 1 >= sizeof(o->bytes)) return -1;
        __u8 length = o->bytes[at + 1];
        if (length < 2) return -1;
        at += length;
    }
    return -1;
}

__noinline int no_source_routes(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    struct iphdr* ip = (void*)(eth + 1);
    if ((void*)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP)) return XDP_PASS;
    struct options o = {};
    __u32 length = ip->ihl * 4 - sizeof(*ip);
    if (ip->ihl <= 5 || length > sizeof(o.bytes)) return XDP_PASS;
#if BREAK == 2
    if (bpf_xdp_load_bytes(ctx, sizeof(*eth) + sizeof(*ip), o.bytes, length + 64)) return XDP_DROP;
#else
    if (length == 0 || bpf_xdp_load_bytes(ctx, sizeof(*eth) + sizeof(*ip), o.bytes, length)) return XDP_DROP;
#endif
    o.length = length;
    return find_option(&o, 131) >= 0 || find_option(&o, 137) >= 0 ? XDP_DROP : XDP_PASS;
}

__noinline int count_sizes(struct xdp_md* ctx) {
    __u64 length = bpf_xdp_get_buff_len(ctx);
    __u32 class = 0;
    LOOP for (int i = 0; i < 7; i++) if (length >> (6 + i)) class ++;
#if BREAK == 3
    __sync_fetch_and_add(&counts[class + 1], 1);
#else
    __sync_fetch_and_add(&counts[class & 7], 1);
#endif
    return XDP_PASS;
}

__noinline int only_ethernet(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    if ((void*)(eth + 1) > end) return XDP_ABORTED;
    return bpf_ntohs(eth->h_proto) < 0x600 ? XDP_DROP : XDP_PASS;
}

SEC("xdp")
BROKEN(1, "outside of the allowed memory range")
BROKEN(2, "invalid write to stack R3")
BROKEN(3, "outside of the allowed memory range")
int dispatch(struct xdp_md* ctx) {
    int verdict = XDP_PASS;
    LOOP for (unsigned i = 0; i < SLOTS; i++) {
        if (i >= plan.count) break;
        switch (plan.order[i]) {
        case 0: verdict = only_ethernet(ctx); break;
        case 1: verdict = no_source_routes(ctx); break;
        case 2: verdict = count_sizes(ctx); break;
        default: return XDP_ABORTED;
        }
        if (verdict < 0 || verdict > XDP_REDIRECT) return XDP_ABORTED;
        if (!(plan.go_on[i] >> (verdict & 31) & 1)) break;
    }
    return verdict;
}

LICENSED;
