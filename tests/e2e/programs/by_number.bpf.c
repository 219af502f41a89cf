// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
// The verdict of a packet is what its number leaves over from 5; a redirected one goes to a port that is not
// there. All of them leave with a mark.
#include "include/filter.h"

enum { kNumber = 42, kMark = 50, kNobody = 77 };

SEC("xdp")
int by_number(struct xdp_md* ctx) {
    unsigned char* data = (unsigned char*)(long)ctx->data;
    unsigned char* end = (unsigned char*)(long)ctx->data_end;
    if (data + kMark + 1 > end) return XDP_ABORTED;
    data[kMark] = 0xee;
    __u32 verdict = *(__u32*)(data + kNumber) % 5;
    return verdict == XDP_REDIRECT ? bpf_redirect(kNobody, 0) : verdict;
}

FILTER_LICENSE;
