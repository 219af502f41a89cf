// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// pass: lets every packet through. The cost of a chain with nothing in it, and
// a slot to fill while a chain is being built.
//
// Maps: none. Verdict: XDP_PASS.
//
//   xdplane replay -r in.pcap --prog build/filters/pass.bpf.o
#include "include/filter.h"

SEC("xdp")
int pass(struct xdp_md* ctx) {
    (void)ctx;
    return XDP_PASS;
}

FILTER_LICENSE;
