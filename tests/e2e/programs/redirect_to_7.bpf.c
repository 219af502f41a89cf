// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
// Sends everything out of interface 7, grown at the front by 200 bytes of 0xab.
#include "include/filter.h"

#define FRONT 200

SEC("xdp")
int redirect_to_7(struct xdp_md* ctx) {
    if (bpf_xdp_adjust_head(ctx, -FRONT)) return XDP_ABORTED;
    __u8* data = (void*)(long)ctx->data;
    if (data + FRONT > (__u8*)(long)ctx->data_end) return XDP_ABORTED;
    for (int i = 0; i < FRONT; i++) data[i] = 0xab;
    return bpf_redirect(7, 0);
}

FILTER_LICENSE;
