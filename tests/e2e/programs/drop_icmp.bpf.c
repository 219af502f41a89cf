// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
// Drops ICMP over IPv4, passes the rest.
#include "include/filter.h"

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>

SEC("xdp")
int drop_icmp(struct xdp_md* ctx) {
    void* data_end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = (void*)(long)ctx->data;
    struct iphdr* ip = (void*)(eth + 1);
    if ((void*)(ip + 1) > data_end || eth->h_proto != bpf_htons(ETH_P_IP)) return XDP_PASS;
    return ip->protocol == IPPROTO_ICMP ? XDP_DROP : XDP_PASS;
}

FILTER_LICENSE;
