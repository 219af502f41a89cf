// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// Loops without a bound that the verifier could see, ended by may_goto: lists
// in global arrays, a token scanner over the payload.
//
// Style: can_loop conditions.
#include "include/corpus.h"
#include "include/kfuncs.h"
#include <linux/if_ether.h>

#define NODES 1024

struct node {
    __u32 key;
    __u32 next;
    __u64 hits;
};

struct node nodes[NODES];
__u32 heads[64];
__u32 longest;
// Numbers that the verifier does not know: only then does the loop's state repeat.
volatile __u32 first = ETH_HLEN;
volatile __u32 none;

static __always_inline struct node* find(__u32 key) {
    __u32 at = heads[key & 63];
    __u32 steps = 0;
#if BREAK == 1
    while (at) {
#else
    while (at && can_loop) {
#endif
        if (at >= NODES) return 0;
        struct node* n = &nodes[at];
        if (n->key == key) return n;
        at = n->next;
        steps++;
    }
    if (steps > longest) longest = steps;
    return 0;
}

SEC("xdp")
BROKEN(1, "The sequence of 8193 jumps is too complex")
int list_search(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    if (data + 34 > end) return XDP_PASS;
    struct node* n = find(*(__u32*)(data + 26));
    if (!n) return XDP_PASS;
    n->hits++;
    return n->hits > 1000 ? XDP_DROP : XDP_PASS;
}

SEC("xdp")
BROKEN(2, "invalid access to packet")
int count_spaces(struct xdp_md* ctx) {
    __u8* at = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    __u32 spaces = none;
    for (__u32 i = first; can_loop; i++) {
        i &= 0x3ff;
#if BREAK == 2
        if ((void*)(at + i) > end) break;
#else
        if ((void*)(at + i + 1) > end) break;
#endif
        if (at[i] == ' ') spaces++;
        if (i == 0x3ff) break;
    }
    return spaces > 100 ? XDP_DROP : XDP_PASS;
}

LICENSED;
