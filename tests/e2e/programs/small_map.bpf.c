// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
// Wants an entry for each packet, by the number in its payload, in a map that has room for a few. 0 stands
// for any number. Packets that get none are dropped.
#include "include/filter.h"

enum { kNumber = 42 };

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 8);
    __type(key, __u32);
    __type(value, __u32);
} small SEC(".maps");

__s64 last_error;

SEC("xdp")
int small_map(struct xdp_md* ctx) {
    char* data = (char*)(long)ctx->data;
    char* end = (char*)(long)ctx->data_end;
    if (data + kNumber + 4 > end) return XDP_ABORTED;
    __u32 key = *(__u32*)(data + kNumber);
    if (key == 0) key = bpf_get_prandom_u32();
    __u32 value = 1;
    long error = bpf_map_update_elem(&small, &key, &value, BPF_ANY);
    if (error == 0) return XDP_PASS;
    last_error = error;
    return XDP_DROP;
}

FILTER_LICENSE;
