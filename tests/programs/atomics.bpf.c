// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// Lock-free things by atomic operations that return the old value: a ticket
// queue, a compare-and-swap bucket, a seqlock-like snapshot, bit sets. Needs
// -mcpu=v3.
//
// Style: __sync and __atomic builtins in 32 and 64 bits.
#include "include/corpus.h"
#include <linux/if_ether.h>

#define SLOTS 256

struct slot {
    __u64 owner;
    __u32 generation;
    __u32 bits;
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, SLOTS);
    __type(key, __u32);
    __type(value, struct slot);
} slots SEC(".maps");

__u64 ticket;
__u32 serving;
__u64 bucket = 1000ull << 32;
__u64 high_water;
__u32 flags[4];

// Takes a token by compare-and-swap: level in the upper half, time below.
static __always_inline int take(__u32 now_ms) {
    for (int tries = 0; tries < 8; tries++) {
        __u64 old = bucket;
        __u32 level = old >> 32, then = old;
        __u32 refill = now_ms - then;
        if (refill > 1000) refill = 1000;
        level += refill;
        if (level > 1000) level = 1000;
        if (level == 0) return 0;
        __u64 want = (__u64)(level - 1) << 32 | now_ms;
        if (__sync_val_compare_and_swap(&bucket, old, want) == old) return 1;
    }
    return 0;
}

static __always_inline void raise_high_water(__u64 value) {
    for (int tries = 0; tries < 4; tries++) {
        __u64 seen = high_water;
        if (value <= seen) return;
        if (__sync_bool_compare_and_swap(&high_water, seen, value)) return;
    }
}

SEC("xdp")
BROKEN(1, "invalid access to map value")
BROKEN(2, "invalid mem access 'map_value_or_null'")
BROKEN(3, "BPF_ATOMIC stores into R")
BROKEN(4, "misaligned value access")
int lock_free(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    if ((void*)(eth + 1) > end) return XDP_DROP;
    if (!take(bpf_ktime_get_ns() >> 20)) return XDP_DROP;
    __u64 mine = __sync_fetch_and_add(&ticket, 1);
    __u32 key = mine & (SLOTS - 1);
    struct slot* s = bpf_map_lookup_elem(&slots, &key);
#if BREAK != 2
    if (!s) return XDP_ABORTED;
#endif
    __u64 owner = __sync_lock_test_and_set(&s->owner, mine); // xchg
    if (owner > mine) __atomic_fetch_sub(&s->owner, 1, __ATOMIC_RELAXED);
    __u32 generation = __sync_fetch_and_add(&s->generation, 1);
#if BREAK == 1
    __sync_fetch_and_or(&(s + 1)->bits, 1);
#elif BREAK == 3
    __sync_fetch_and_add((__u32*)&ctx->rx_queue_index, 1);
#elif BREAK == 4
    asm volatile("lock *(u64*)(%0 + 4) += %1" ::"r"(s), "r"(mine) : "memory");
#endif
    __u32 bit = 1u << (eth->h_source[5] & 31);
    __u32 before = __sync_fetch_and_or(&s->bits, bit);
    if (before & bit) __sync_fetch_and_and(&s->bits, ~bit);
    __sync_fetch_and_xor(&flags[generation & 3], bit);
    raise_high_water(end - data);
    if (__sync_add_and_fetch(&serving, 1) == 0) __sync_fetch_and_add(&flags[0], before);
    return XDP_PASS;
}

LICENSED;
