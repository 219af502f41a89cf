// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// Quotas of senders behind locks: a packet pays from its sender's bucket; now
// and then a packet walks all buckets (for_each_map_elem), fills them up under
// their locks, and a bpf_loop with a callback that calls a function picks the
// hungriest of a sample. What is decided goes into a ring buffer by a dynptr.
//
// Style: locks around few instructions, callbacks with a context structure.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>

struct bucket {
    struct bpf_spin_lock lock;
    __u32 tokens;
    __u64 last;
    __u64 dropped;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4096);
    __type(key, __be32);
    __type(value, struct bucket);
} buckets SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 16);
    __type(key, __u32);
    __type(value, __be32);
} sample SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 1 << 16);
} told SEC(".maps");

struct report {
    __be32 who;
    __u32 tokens;
    __u64 when;
};

struct walk {
    __u64 now;
    __u32 filled;
    __u32 limit;
};

static long fill_up(void* map, const __be32* key, struct bucket* b, struct walk* w) {
    __u64 passed = w->now - b->last;
    if (passed < 1000000) return 0;
    __u32 more = passed / 1000000;
    bpf_spin_lock(&b->lock);
#if BREAK == 1
    b->last = bpf_ktime_get_ns();
#else
    b->last = w->now;
#endif
    b->tokens = b->tokens + more > w->limit ? w->limit : b->tokens + more;
#if BREAK == 2
    if (more == 77) w->now = bpf_get_prandom_u32();
#endif
    bpf_spin_unlock(&b->lock);
    w->filled += more;
    return 0;
}

struct hunger {
    __be32 who;
    __u32 tokens;
};

static __noinline __u32 tokens_of(const __be32* who) {
    if (!who) return 0;
    __be32 key = *who;
    struct bucket* b = bpf_map_lookup_elem(&buckets, &key);
    if (!b) return ~0u;
    bpf_spin_lock(&b->lock);
    __u32 tokens = b->tokens;
    bpf_spin_unlock(&b->lock);
    return tokens;
}

static long hungrier(__u32 index, struct hunger* h) {
#if BREAK == 3
    __u32 slot = index;
#else
    __u32 slot = index & 15;
#endif
    __be32* who = bpf_map_lookup_elem(&sample, &slot);
#if BREAK != 3
    if (!who) return 1;
#endif
    __u32 tokens = tokens_of(who);
    if (tokens < h->tokens) {
        h->who = *who;
        h->tokens = tokens;
    }
    return tokens == 0;
}

SEC("xdp")
BROKEN(1, "function calls are not allowed while holding a lock")
BROKEN(2, "function calls are not allowed while holding a lock")
BROKEN(3, "invalid mem access")
BROKEN(4, "Unreleased reference")
BROKEN(5, "cannot be accessed directly by load/store")
int pay(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    struct iphdr* ip = (void*)(eth + 1);
    if ((void*)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP)) return XDP_PASS;
    __u64 now = bpf_ktime_get_ns();
    __be32 from = ip->saddr;
    struct bucket* b = bpf_map_lookup_elem(&buckets, &from);
    if (!b) {
        struct bucket fresh = {.tokens = 100, .last = now};
        bpf_map_update_elem(&buckets, &from, &fresh, BPF_NOEXIST);
        return XDP_PASS;
    }
    int verdict = XDP_PASS;
#if BREAK == 5
    *(__u32*)b = 1;
#endif
    bpf_spin_lock(&b->lock);
    if (b->tokens) {
        b->tokens--;
    } else {
        b->dropped++;
        verdict = XDP_DROP;
    }
    bpf_spin_unlock(&b->lock);
    if ((now & 0xffff) != 0) return verdict;

    struct walk w = {.now = now, .limit = 100};
    long seen = bpf_for_each_map_elem(&buckets, fill_up, &w, 0);
    struct hunger h = {.tokens = ~0u};
    if (bpf_loop(16, hungrier, &h, 0) < 0 || seen < 0) return XDP_ABORTED;

    struct bpf_dynptr record;
    struct report r = {.who = h.who, .tokens = h.tokens, .when = now};
    if (bpf_ringbuf_reserve_dynptr(&told, sizeof(r) + (w.filled & 7), 0, &record)) {
        bpf_ringbuf_discard_dynptr(&record, 0);
        return verdict;
    }
    bpf_dynptr_write(&record, 0, &r, sizeof(r), 0);
#if BREAK != 4
    bpf_ringbuf_submit_dynptr(&record, 0);
#endif
    return verdict;
}

LICENSED;
