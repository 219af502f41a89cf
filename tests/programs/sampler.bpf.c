// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// One packet in N goes to user space, in three ways: perf_event_output with
// the packet behind the metadata, ringbuf_output, and ringbuf_reserve with a
// record filled in place.
//
// Style: bcc-like: short names, one file many entry points.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>

#define SNAP 128
#define MAX_SNAP 256

struct meta {
    __u64 ts;
    __u32 ifindex;
    __u32 queue;
    __u16 length;
    __u16 cookie;
    __u32 hash;
};

struct sample {
    struct meta m;
    __u8 data[MAX_SNAP];
};

struct {
    __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
    __uint(key_size, 4);
    __uint(value_size, 4);
} perf SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 1 << 20);
} ring SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct sample);
} heap SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} countdown SEC(".maps");

const volatile __u32 one_in = 1000;
__u64 drops;

static __always_inline int chosen(void) {
    __u32 zero = 0;
    __u32* left = bpf_map_lookup_elem(&countdown, &zero);
    if (!left) return 0;
    if (*left) {
        --*left;
        return 0;
    }
    *left = one_in ? bpf_get_prandom_u32() % (2 * one_in) : 0;
    return 1;
}

SEC("xdp")
BROKEN(1, "helper access to the packet is not allowed")
BROKEN(2, "invalid read from stack R4")
BROKEN(3, "cannot pass map_type 27 into func bpf_perf_event_output")
int sample_perf(struct xdp_md* ctx) {
    if (!chosen()) return XDP_PASS;
    __u64 length = ctx->data_end - ctx->data;
    struct meta m = {.ts = bpf_ktime_get_ns(),
                     .ifindex = ctx->ingress_ifindex,
                     .queue = ctx->rx_queue_index,
                     .length = length,
                     .cookie = 0xd00d};
    if (length > SNAP) length = SNAP;
    __u64 flags = BPF_F_CURRENT_CPU | length << 32;
#if BREAK == 1
    bpf_perf_event_output((void*)(long)ctx->data, &perf, flags, &m, sizeof(m));
#elif BREAK == 2
    bpf_perf_event_output(ctx, &perf, flags, &m, sizeof(m) + 8);
#elif BREAK == 3
    bpf_perf_event_output(ctx, &ring, flags, &m, sizeof(m));
#else
    if (bpf_perf_event_output(ctx, &perf, flags, &m, sizeof(m)) < 0) drops++;
#endif
    return XDP_PASS;
}

SEC("xdp")
BROKEN(4, "R4 unbounded memory access, use")
BROKEN(5, "invalid access to map value")
int sample_heap(struct xdp_md* ctx) {
    __u32 zero = 0;
    if (!chosen()) return XDP_PASS;
    struct sample* s = bpf_map_lookup_elem(&heap, &zero);
    if (!s) return XDP_PASS;
    s->m.ts = bpf_ktime_get_ns();
    s->m.ifindex = ctx->ingress_ifindex;
    s->m.queue = ctx->rx_queue_index;
    s->m.cookie = 0xd00d;
    __u32 length = bpf_xdp_get_buff_len(ctx);
    s->m.length = length;
#if BREAK == 4
    __s32 snap = (__s32)length - 14;
    if (snap > MAX_SNAP) snap = MAX_SNAP;
#elif BREAK == 5
    __u32 snap = length > MAX_SNAP + 1 ? MAX_SNAP + 1 : length;
#else
    __u32 snap = length > MAX_SNAP ? MAX_SNAP : length;
#endif
    if (snap == 0) return XDP_PASS;
#if BREAK != 4 && BREAK != 5
    // clang compares the length instead: say once more what is known.
    barrier_var(snap);
    snap = ((snap - 1) & (MAX_SNAP - 1)) + 1;
#endif
    if (bpf_xdp_load_bytes(ctx, 0, s->data, snap)) return XDP_PASS;
    if (bpf_ringbuf_output(&ring, s, sizeof(s->m) + snap, 0)) drops++;
    return XDP_PASS;
}

SEC("tc")
BROKEN(6, "Unreleased reference")
int sample_reserve(struct __sk_buff* skb) {
    if (!chosen()) return TC_ACT_OK;
    struct sample* s = bpf_ringbuf_reserve(&ring, sizeof(*s), 0);
    if (!s) {
        drops++;
        return TC_ACT_OK;
    }
    s->m.ts = bpf_ktime_get_ns();
    s->m.ifindex = skb->ifindex;
    s->m.queue = skb->queue_mapping;
    s->m.length = skb->len;
    s->m.hash = bpf_get_hash_recalc(skb);
    __u32 snap = skb->len;
    if (snap > sizeof(s->data)) snap = sizeof(s->data);
    if (snap < ETH_HLEN) {
#if BREAK != 6
        bpf_ringbuf_discard(s, BPF_RB_NO_WAKEUP);
#endif
        return TC_ACT_SHOT;
    }
    if (bpf_skb_load_bytes(skb, 0, s->data, snap) < 0) {
        bpf_ringbuf_discard(s, 0);
        return TC_ACT_OK;
    }
    bpf_ringbuf_submit(s, 0);
    return TC_ACT_OK;
}

SEC("cgroup_skb/ingress")
int sample_cgroup(struct __sk_buff* skb) {
    struct meta m = {.length = skb->len, .ifindex = skb->ifindex};
    if (!chosen()) return 1;
    m.ts = bpf_ktime_get_ns();
    bpf_perf_event_output(skb, &perf, BPF_F_CURRENT_CPU | (__u64)64 << 32, &m, sizeof(m));
    return 1;
}

LICENSED;
