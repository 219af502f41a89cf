// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// An sFlow-like agent: flow samples with the header of one packet in N, counter
// samples at intervals, sampling that gets coarser under load, all in one ring
// buffer with a sequence per source.
//
// Style: protocol structs in network order, XDR writer by hand.
#include "include/corpus.h"
#include <linux/if_ether.h>

#define HEADER 64
#define MIN_INTERVAL 1000000000ull

struct flow_sample {
    __be32 format;
    __be32 length;
    __be32 sequence;
    __be32 source;
    __be32 rate;
    __be32 pool;
    __be32 drops;
    __be32 protocol;
    __be32 frame_length;
    __be32 header_length;
    __u8 header[HEADER];
};

struct counter_sample {
    __be32 format;
    __be32 length;
    __be32 sequence;
    __be32 source;
    __be64 octets;
    __be32 packets;
    __be32 multicast;
    __be32 broadcast;
    __be32 zero;
};

struct source {
    __u64 octets;
    __u64 last_counters;
    __u64 window_start;
    __u32 packets, multicast, broadcast;
    __u32 sequence, counter_sequence;
    __u32 skip, rate, in_window, drops;
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, 64);
    __type(key, __u32);
    __type(value, struct source);
} sources SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 1 << 20);
} datagrams SEC(".maps");

const volatile __u32 base_rate = 512;
const volatile __u32 most_per_second = 100;

static __noinline int emit_counters(struct source* s, __u32 ifindex) {
    if (!s) return -1;
    struct counter_sample* c = bpf_ringbuf_reserve(&datagrams, sizeof(*c), 0);
    if (!c) return -1;
    c->format = bpf_htonl(2);
    c->length = bpf_htonl(sizeof(*c) - 8);
    c->sequence = bpf_htonl(++s->counter_sequence);
    c->source = bpf_htonl(ifindex);
    c->octets = bpf_cpu_to_be64(s->octets);
    c->packets = bpf_htonl(s->packets);
    c->multicast = bpf_htonl(s->multicast);
    c->broadcast = bpf_htonl(s->broadcast);
    c->zero = 0;
    bpf_ringbuf_submit(c, BPF_RB_NO_WAKEUP);
    return 0;
}

static __noinline int emit_flow(struct xdp_md* ctx, struct source* s, __u32 ifindex) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct flow_sample* f = bpf_ringbuf_reserve(&datagrams, sizeof(*f), 0);
    if (!f) {
        s->drops++;
        return -1;
    }
    f->format = bpf_htonl(1);
    f->length = bpf_htonl(sizeof(*f) - 8);
    f->sequence = bpf_htonl(++s->sequence);
    f->source = bpf_htonl(ifindex);
    f->rate = bpf_htonl(s->rate);
    f->pool = bpf_htonl(s->packets);
    f->drops = bpf_htonl(s->drops);
    f->protocol = bpf_htonl(1);
    f->frame_length = bpf_htonl(end - data);
    __u32 copied = 0;
#if BREAK == 1
    for (int i = 0; i <= HEADER; i++) {
#else
    for (int i = 0; i < HEADER; i++) {
#endif
        if (data + i + 1 > end) break;
        f->header[i] = *(__u8*)(data + i);
        copied = i + 1;
    }
    if (copied < ETH_HLEN) {
#if BREAK != 2
        bpf_ringbuf_discard(f, 0);
#endif
        return -1;
    }
    f->header_length = bpf_htonl(copied);
    bpf_ringbuf_submit(f, 0);
    return 0;
}

SEC("xdp")
BROKEN(1, "invalid access to memory, mem_size=104 off=104 size=1")
BROKEN(2, "BPF_EXIT instruction in main prog would lead to reference leak")
int sample(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    __u32 ifindex = ctx->ingress_ifindex;
    if ((void*)(eth + 1) > end) return XDP_PASS;
    struct source* s = bpf_map_lookup_elem(&sources, &ifindex);
    if (!s) {
        struct source fresh = {.rate = base_rate, .skip = base_rate / 2};
        bpf_map_update_elem(&sources, &ifindex, &fresh, BPF_NOEXIST);
        s = bpf_map_lookup_elem(&sources, &ifindex);
        if (!s) return XDP_PASS;
    }
    s->packets++;
    s->octets += end - data;
    if (eth->h_dest[0] & 1) {
        if ((eth->h_dest[0] & eth->h_dest[1] & eth->h_dest[2]) == 0xff)
            s->broadcast++;
        else
            s->multicast++;
    }
    __u64 now = bpf_ktime_get_ns();
    if (now - s->last_counters > 20 * MIN_INTERVAL) {
        s->last_counters = now;
        emit_counters(s, ifindex);
    }
    if (s->skip) {
        s->skip--;
        return XDP_PASS;
    }
    if (now - s->window_start > MIN_INTERVAL) {
        if (s->in_window < most_per_second / 2 && s->rate > base_rate) s->rate /= 2;
        s->window_start = now;
        s->in_window = 0;
    }
    if (++s->in_window > most_per_second && s->rate < 1u << 20) s->rate *= 2;
    s->skip = s->rate ? bpf_get_prandom_u32() % (2 * s->rate) : 0;
    emit_flow(ctx, s, ifindex);
    return XDP_PASS;
}

LICENSED;
