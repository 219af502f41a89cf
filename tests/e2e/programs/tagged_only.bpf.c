// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
// Passes frames with a VLAN tag of number 5, drops the rest.
#include "include/filter.h"

#include <linux/if_ether.h>

struct tagged {
    struct ethhdr eth;
    __be16 tci;
    __be16 type;
};

SEC("xdp")
int tagged_only(struct xdp_md* ctx) {
    void* data_end = (void*)(long)ctx->data_end;
    struct tagged* frame = (void*)(long)ctx->data;
    if ((void*)(frame + 1) > data_end || frame->eth.h_proto != bpf_htons(ETH_P_8021Q)) return XDP_DROP;
    return (frame->tci & bpf_htons(0xfff)) == bpf_htons(5) ? XDP_PASS : XDP_DROP;
}

FILTER_LICENSE;
