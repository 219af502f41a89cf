// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
// One object with a bit of everything that libbpf has to put in place: BTF maps, global data, static and
// global functions, several programs, a program array filled by declaration.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct value {
    __u64 packets;
    __u64 bytes;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 64);
    __type(key, __u32);
    __type(value, struct value);
} by_length SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 4);
    __type(key, __u32);
    __type(value, __u64);
} counts SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} per_cpu SEC(".maps");

const volatile __u32 min_length = 20; // .rodata
const volatile __u32 verdict_long = XDP_TX;
__u64 step = 3; // .data
__u64 total;    // .bss

static __attribute__((noinline)) int count(__u32 index, __u64 by) {
    __u64* value = bpf_map_lookup_elem(&counts, &index);
    if (!value) return -1;
    __sync_fetch_and_add(value, by);
    return 0;
}

__attribute__((noinline)) int classify(__u32 length) { return length < min_length ? XDP_DROP : XDP_PASS; }

SEC("xdp")
int account(struct xdp_md* ctx) {
    __u32 length = ctx->data_end - ctx->data;
    __u32 zero = 0;
    struct value* seen = bpf_map_lookup_elem(&by_length, &length);
    if (seen) {
        seen->packets++;
        seen->bytes += length;
    } else {
        struct value first = {1, length};
        bpf_map_update_elem(&by_length, &length, &first, BPF_NOEXIST);
    }
    __u64* mine = bpf_map_lookup_elem(&per_cpu, &zero);
    if (mine) (*mine)++;
    count(1, step);
    total += length;
    return classify(length);
}

SEC("xdp")
int swap_first(struct xdp_md* ctx) {
    __u8* data = (__u8*)(long)ctx->data;
    __u8* end = (__u8*)(long)ctx->data_end;
    if (data + 2 > end) return XDP_ABORTED;
    __u8 first = data[0];
    data[0] = data[1];
    data[1] = first;
    return XDP_TX;
}

SEC("xdp")
int push_two(struct xdp_md* ctx) {
    if (bpf_xdp_adjust_head(ctx, -2)) return XDP_ABORTED;
    __u8* data = (__u8*)(long)ctx->data;
    __u8* end = (__u8*)(long)ctx->data_end;
    if (data + 2 > end) return XDP_ABORTED;
    data[0] = 0xaa;
    data[1] = 0xbb;
    return XDP_PASS;
}

SEC("xdp")
int target_drop(struct xdp_md* ctx) { return XDP_DROP; }

struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 4);
    __uint(key_size, sizeof(__u32));
    __array(values, int(struct xdp_md*));
} jumps SEC(".maps") = {
    .values = {[1] = (void*)&target_drop, [2] = (void*)&swap_first},
};

SEC("xdp")
int jump(struct xdp_md* ctx) {
    __u8* data = (__u8*)(long)ctx->data;
    __u8* end = (__u8*)(long)ctx->data_end;
    if (data + 1 > end) return XDP_ABORTED;
    bpf_tail_call(ctx, &jumps, data[0]);
    return verdict_long;
}

char _license[] SEC("license") = "Dual BSD/GPL";
