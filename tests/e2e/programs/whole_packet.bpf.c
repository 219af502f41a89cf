// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
// Looks at long packets as programs of XDP fragments do, through helpers, and passes them if they are all
// there.
#include "include/filter.h"

enum { kLong = 4096 };

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} long_packets SEC(".maps");

SEC("xdp.frags")
int whole_packet(struct xdp_md* ctx) {
    const __u64 length = bpf_xdp_get_buff_len(ctx);
    __u32 zero = 0;
    __u8 last[4];
    if (length <= kLong) return XDP_PASS;
    // The last bytes can be read, be written back, and nothing lies behind them.
    if (bpf_xdp_load_bytes(ctx, length - sizeof last, last, sizeof last)) return XDP_ABORTED;
    if (bpf_xdp_store_bytes(ctx, length - sizeof last, last, sizeof last)) return XDP_ABORTED;
    if (bpf_xdp_load_bytes(ctx, length - sizeof last + 1, last, sizeof last) == 0) return XDP_ABORTED;
    __u64* count = bpf_map_lookup_elem(&long_packets, &zero);
    if (count) __sync_fetch_and_add(count, 1);
    return XDP_PASS;
}

FILTER_LICENSE;
