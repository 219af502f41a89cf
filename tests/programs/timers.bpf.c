// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// Rate windows that a timer closes: one timer in an array, started by the
// first packet, whose callback rolls the counters of all CPUs' sums over and
// starts itself again; a second kind of callback for alarms.
//
// Style: XDP, two callbacks, spin lock and timer in one value.
#include "include/corpus.h"
#include <linux/if_ether.h>

#define CLOCK_MONOTONIC 1
#define CLOCK_BOOTTIME 7
#define WINDOW_NS 100000000ull
#define HISTORY 16

struct window {
    struct bpf_spin_lock lock;
    __u32 index;
    struct bpf_timer timer;
    __u64 current;
    __u64 history[HISTORY];
    __u64 limit;
    __u32 alarms;
    __u32 started;
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 4);
    __type(key, __u32);
    __type(value, struct window);
} windows SEC(".maps");

struct alarm {
    struct bpf_timer timer;
    __u64 until;
};

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 1024);
    __type(key, __u64);
    __type(value, struct alarm);
} alarms SEC(".maps");

static int end_alarm(void* map, __u64* key, struct alarm* a) {
#if BREAK == 1
    bpf_map_delete_elem(&windows, key);
    return *key;
#else
    bpf_map_delete_elem(map, key);
    return 0;
#endif
}

static void raise_alarm(__u64 what) {
    struct alarm fresh = {.until = bpf_ktime_get_ns() + 10 * WINDOW_NS};
    bpf_map_update_elem(&alarms, &what, &fresh, BPF_ANY);
    struct alarm* a = bpf_map_lookup_elem(&alarms, &what);
    if (!a) return;
    if (bpf_timer_init(&a->timer, &alarms, CLOCK_BOOTTIME)) return;
#if BREAK == 3
    bpf_timer_set_callback((void*)&a->until, end_alarm);
#else
    bpf_timer_set_callback(&a->timer, end_alarm);
#endif
    bpf_timer_start(&a->timer, 10 * WINDOW_NS, 0);
}

static int roll_over(void* map, __u32* key, struct window* w) {
    __u64 sum, limit;
    bpf_spin_lock(&w->lock);
    sum = w->current;
    limit = w->limit;
    w->current = 0;
    w->history[w->index & (HISTORY - 1)] = sum;
    w->index++;
#if BREAK == 4
    bpf_timer_start(&w->timer, WINDOW_NS, 0);
    bpf_spin_unlock(&w->lock);
#else
    bpf_spin_unlock(&w->lock);
    bpf_timer_start(&w->timer, WINDOW_NS, 0);
#endif
    if (limit && sum > limit) {
        w->alarms++;
        raise_alarm(*key);
    }
    return 0;
}

SEC("xdp")
BROKEN(1, "At async callback return the register R0 has")
BROKEN(3, "off 16 doesn't point to 'struct bpf_timer'")
BROKEN(4, "function calls are not allowed while holding a lock")
int rate(struct xdp_md* ctx) {
    __u32 slot = ctx->rx_queue_index & 3;
    struct window* w = bpf_map_lookup_elem(&windows, &slot);
    if (!w) return XDP_PASS;
    __u64 length = ctx->data_end - ctx->data;
    bpf_spin_lock(&w->lock);
    w->current += length;
    __u32 first = !w->started;
    w->started = 1;
    bpf_spin_unlock(&w->lock);
    if (first) {
        if (bpf_timer_init(&w->timer, &windows, CLOCK_MONOTONIC)) return XDP_ABORTED;
        bpf_timer_set_callback(&w->timer, roll_over);
        bpf_timer_start(&w->timer, WINDOW_NS, 0);
    }
    __u64 key = slot;
    struct alarm* a = bpf_map_lookup_elem(&alarms, &key);
    return a && a->until > bpf_ktime_get_ns() ? XDP_DROP : XDP_PASS;
}

LICENSED;
