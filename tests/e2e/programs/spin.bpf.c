// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Does not come back for a long time: what a worker that hangs looks like.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

static int inner(__u32 i, __u64* sum) {
    *sum += i;
    return 0;
}
static int outer(__u32 i, __u64* sum) {
    *sum += i;
    bpf_loop(1 << 23, inner, sum, 0);
    return 0;
}

SEC("xdp") int spin(struct xdp_md* ctx) {
    __u64 sum = ctx->data_end - ctx->data;
    bpf_loop(1 << 20, outer, &sum, 0);
    return sum != 0 ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
