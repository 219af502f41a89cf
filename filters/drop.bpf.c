// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// drop: lets no packet through. The upper bound of a filter's speed, and an
// emergency stop to swap into a chain.
//
// Maps: none. Verdict: XDP_DROP.
//
//   xdplane replay -r in.pcap --prog build/filters/drop.bpf.o
#include "include/filter.h"

SEC("xdp")
int drop(struct xdp_md* ctx) {
    (void)ctx;
    return XDP_DROP;
}

FILTER_LICENSE;
