// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// bpf_loop in all its shapes: callbacks that search, that write through their
// context, loops within loops, a callback chosen at run time, and a count from
// the packet. Computes a Bloom-like digest over the payload and sorts a table.
//
// Style: functional.
#include "include/corpus.h"
#include <linux/if_ether.h>

#define ITEMS 32
#define WINDOW 16

struct digest {
    struct xdp_md* ctx;
    __u64 bits[4];
    __u32 base;
    __u32 length;
    __u32 hits;
};

struct table {
    __u32 values[ITEMS];
    __u32 swaps;
};

// The context of a callback must be on the stack: what it works on hangs from there.
struct sorter {
    struct table* t;
};

struct table tables[2];
__u64 digests[4];

static int mix_byte(__u32 index, struct digest* d) {
    __u8 byte;
    if (bpf_xdp_load_bytes(d->ctx, d->base + index, &byte, 1)) return 1;
    __u32 h = (byte * 0x9e3779b1u) ^ (index << 7);
#if BREAK == 1
    d->bits[h & 7] |= 1ull << (h >> 8 & 63);
#else
    d->bits[h & 3] |= 1ull << (h >> 8 & 63);
#endif
    d->length++;
    return 0;
}

static int window(__u32 index, struct digest* d) {
    d->base = ETH_HLEN + index * WINDOW;
    bpf_loop(WINDOW, mix_byte, d, 0);
    return d->length < (index + 1) * WINDOW;
}

static int bubble(__u64 index, struct sorter* s) {
    struct table* t = s->t;
    if (index >= ITEMS - 1) return 1;
    __u32 a = t->values[index], b = t->values[index + 1];
    if (a > b) {
        t->values[index] = b;
        t->values[index + 1] = a;
        t->swaps++;
    }
    return 0;
}

static int bubble_down(__u64 index, struct sorter* s) {
    struct table* t = s->t;
#if BREAK == 2
    if (index > ITEMS) return 1;
#else
    if (index >= ITEMS - 1) return 1;
#endif
    __u32 a = t->values[index], b = t->values[index + 1];
    if (a < b) {
        t->values[index] = b;
        t->values[index + 1] = a;
        t->swaps++;
    }
    return 0;
}

static int sort_pass(__u32 index, struct sorter* s) {
    struct table* t = s->t;
    t->swaps = 0;
    bpf_loop(ITEMS - 1, bubble, s, 0);
    return t->swaps == 0;
}

SEC("xdp")
BROKEN(1, "invalid variable-offset read from stack")
BROKEN(3, "R3 type=scalar expected=fp")
int digest_payload(struct xdp_md* ctx) {
    struct digest d = {.ctx = ctx};
    __u32 length = ctx->data_end - ctx->data;
#if BREAK == 3
    __u8* first = (void*)(long)ctx->data;
    if ((void*)(first + 1) > (void*)(long)ctx->data_end) return XDP_PASS;
    long n = bpf_loop(length / WINDOW, window, (void*)(long)length, 0);
#else
    long n = bpf_loop(length / WINDOW, window, &d, 0);
#endif
    if (n < 0) return XDP_ABORTED;
    for (int i = 0; i < 4; i++) {
        if ((digests[i] & d.bits[i]) == d.bits[i]) d.hits++;
        digests[i] |= d.bits[i];
    }
    return d.hits == 4 ? XDP_DROP : XDP_PASS;
}

SEC("xdp")
BROKEN(2, "invalid access to map value")
BROKEN(4, "R2 type=map_value expected=")
int sort_tables(struct xdp_md* ctx) {
    __u32 queue = ctx->rx_queue_index;
    struct table* t = &tables[0];
    t->values[queue & (ITEMS - 1)] = bpf_get_prandom_u32();
    struct sorter first = {.t = t}, second = {.t = &tables[1]};
    bpf_loop(ITEMS, sort_pass, &first, 0);
    long n;
    if (queue & 1)
        n = bpf_loop(ITEMS, bubble, &second, 0);
    else
        n = bpf_loop(ITEMS, bubble_down, &second, 0);
#if BREAK == 4
    bpf_loop(4, (void*)t, &first, 0);
#endif
    return n > 0 ? XDP_PASS : XDP_DROP;
}

LICENSED;
