// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
// Writes a number that comes from a map into each packet, twice: here, and behind a tail call.
#include "include/filter.h"

enum { kFirst = 60, kSecond = 64 };

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} number SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} packets SEC(".maps");

static __always_inline int stamp(struct xdp_md* ctx, __u32 where) {
    char* data = (char*)(long)ctx->data;
    char* end = (char*)(long)ctx->data_end;
    __u32 zero = 0;
    __u32* value = bpf_map_lookup_elem(&number, &zero);
    if (value == 0 || data + where + 4 > end) return XDP_ABORTED;
    *(__u32*)(data + where) = *value;
    return XDP_PASS;
}

SEC("xdp")
int second(struct xdp_md* ctx) { return stamp(ctx, kSecond); }

struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __array(values, int(void*));
} next SEC(".maps") = {.values = {(void*)&second}};

SEC("xdp")
int first(struct xdp_md* ctx) {
    __u32 zero = 0;
    __u64* count = bpf_map_lookup_elem(&packets, &zero);
    if (count != 0) ++*count;
    if (stamp(ctx, kFirst) != XDP_PASS) return XDP_ABORTED;
    bpf_tail_call(ctx, &next, 0);
    return XDP_ABORTED;
}

FILTER_LICENSE;
