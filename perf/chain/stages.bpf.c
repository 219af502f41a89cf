// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Stages that look at a byte and count: as programs of a chain, and in a row by tail calls.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 64);
    __type(key, __u32);
    __type(value, __u64);
} counters SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 64);
    __uint(key_size, 4);
    __uint(value_size, 4);
} next SEC(".maps");

static __always_inline int look(struct xdp_md* ctx) {
    unsigned char *data = (void*)(long)ctx->data, *end = (void*)(long)ctx->data_end;
    return data + 14 > end || data[12] == 200;
}

/// Alone in its chain's object: stages share nothing.
SEC("xdp")
int pass(struct xdp_md* ctx) { return look(ctx) ? XDP_DROP : XDP_PASS; }

/// Shares its counters with the other stages of the chain.
SEC("xdp")
int count(struct xdp_md* ctx) {
    __u32 zero = 0;
    __u64* counter = bpf_map_lookup_elem(&counters, &zero);
    if (counter) *counter += 1;
    return look(ctx) ? XDP_DROP : XDP_PASS;
}

#define STAGE(n)                                                                                             \
    SEC("xdp") int stage##n(struct xdp_md* ctx) {                                                            \
        __u32 key = n;                                                                                       \
        __u64* counter = bpf_map_lookup_elem(&counters, &key);                                               \
        if (counter) *counter += 1;                                                                          \
        if (look(ctx)) return XDP_DROP;                                                                      \
        bpf_tail_call(ctx, &next, n + 1);                                                                    \
        return XDP_PASS;                                                                                     \
    }
char _license[] SEC("license") = "BSD";

// clang-format off
STAGE(0) STAGE(1) STAGE(2) STAGE(3) STAGE(4) STAGE(5) STAGE(6) STAGE(7)
STAGE(8) STAGE(9) STAGE(10) STAGE(11) STAGE(12) STAGE(13) STAGE(14) STAGE(15)
STAGE(16) STAGE(17) STAGE(18) STAGE(19) STAGE(20) STAGE(21) STAGE(22) STAGE(23)
STAGE(24) STAGE(25) STAGE(26) STAGE(27) STAGE(28) STAGE(29) STAGE(30) STAGE(31)
    // clang-format on
