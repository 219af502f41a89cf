// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
// Programs that tell user space of packets, send them elsewhere, and count in a map that is pinned by name.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct event {
    __u32 length;
    __u32 number;
};

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 4096);
} ring SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
    __uint(key_size, 4);
    __uint(value_size, 4);
} stream SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_DEVMAP);
    __uint(max_entries, 4);
    __type(key, __u32);
    __type(value, struct bpf_devmap_val);
} ports SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4);
    __type(key, __u32);
    __type(value, __u64);
    __uint(pinning, LIBBPF_PIN_BY_NAME);
} xdplane_pinned SEC(".maps");

__u64 flags;  // of the helpers
__u32 key;    // of the redirect
__u32 number; // of packets so far
__u64 answers[4];
__s64 result;

SEC("xdp")
int to_ring(struct xdp_md* ctx) {
    struct event event = {.length = ctx->data_end - ctx->data, .number = number++};
    result = bpf_ringbuf_output(&ring, &event, sizeof event, flags);
    answers[0] = bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA);
    answers[1] = bpf_ringbuf_query(&ring, BPF_RB_RING_SIZE);
    answers[2] = bpf_ringbuf_query(&ring, BPF_RB_CONS_POS);
    answers[3] = bpf_ringbuf_query(&ring, BPF_RB_PROD_POS);
    return XDP_PASS;
}

SEC("?xdp")
int reserves(struct xdp_md* ctx) {
    struct event* event = bpf_ringbuf_reserve(&ring, sizeof *event, 0);
    if (!event) return XDP_ABORTED;
    event->length = ctx->data_end - ctx->data;
    event->number = number++;
    if (event->number % 2) {
        bpf_ringbuf_discard(event, flags);
        return XDP_DROP;
    }
    bpf_ringbuf_submit(event, flags);
    return XDP_PASS;
}

SEC("xdp")
int to_stream(struct xdp_md* ctx) {
    struct event event = {.length = ctx->data_end - ctx->data, .number = number++};
    result = bpf_perf_event_output(ctx, &stream, flags, &event, sizeof event);
    return XDP_PASS;
}

SEC("socket")
int from_socket(struct __sk_buff* skb) {
    struct event event = {.length = skb->len, .number = number++};
    result = bpf_perf_event_output(skb, &stream, flags, &event, sizeof event);
    return 1;
}

SEC("xdp")
int to_port(struct xdp_md* ctx) { return bpf_redirect_map(&ports, key, flags); }

SEC("xdp")
int looks_up(struct xdp_md* ctx) {
    struct bpf_devmap_val* port = bpf_map_lookup_elem(&ports, &key);
    return port ? port->ifindex + 100 : XDP_DROP;
}

SEC("xdp/devmap")
int leaves(struct xdp_md* ctx) { return XDP_PASS; }

SEC("xdp")
int counts(struct xdp_md* ctx) {
    __u32 zero = 0;
    __u64 one = 1;
    __u64* count = bpf_map_lookup_elem(&xdplane_pinned, &zero);
    if (count)
        ++*count;
    else
        bpf_map_update_elem(&xdplane_pinned, &zero, &one, BPF_ANY);
    return XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
