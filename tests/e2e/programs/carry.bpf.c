// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
// One program in several versions, whose map changes its shape from one to the next.
#include "include/filter.h"

struct flow {
#if CARRY == 1
    __u64 packets;
    __u32 mark;
#elif CARRY == 2 // another order, one member more, one wider, one gone
    __u32 bytes;
    __u64 mark;
    __u64 packets;
#else
    __u64 packets;
    __u32 mark;
#endif
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16);
#if CARRY == 3
    __type(key, __u64);
#else
    __type(key, __u32);
#endif
    __type(value, struct flow);
} flows SEC(".maps");

#if CARRY == 4
__u32 runs;
#else
__u64 runs;
#endif

SEC("xdp")
int carry(struct xdp_md* ctx __attribute__((unused))) {
#if CARRY == 3
    __u64 key = 7;
#else
    __u32 key = 7;
#endif
    struct flow fresh = {.packets = 1, .mark = 5};
    struct flow* flow = bpf_map_lookup_elem(&flows, &key);
    ++runs;
    if (flow != 0)
        ++flow->packets;
    else
        bpf_map_update_elem(&flows, &key, &fresh, BPF_ANY);
    return XDP_DROP;
}

FILTER_LICENSE;
