// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
// Answers ICMP echo requests over IPv4 itself, with XDP_TX; passes the rest.
#include "include/filter.h"

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>

// <linux/icmp.h> wants the C library of a target that BPF is not.
enum { ICMP_ECHOREPLY = 0, ICMP_ECHO = 8 };
struct icmphdr {
    __u8 type;
    __u8 code;
    __sum16 checksum;
    __be32 rest;
};

SEC("xdp")
int echo(struct xdp_md* ctx) {
    void* data_end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = (void*)(long)ctx->data;
    struct iphdr* ip = (void*)(eth + 1);
    struct icmphdr* icmp = (void*)(ip + 1);
    if ((void*)(icmp + 1) > data_end || eth->h_proto != bpf_htons(ETH_P_IP)) return XDP_PASS;
    if (ip->ihl != 5 || ip->protocol != IPPROTO_ICMP || icmp->type != ICMP_ECHO) return XDP_PASS;

    __u8 mac[ETH_ALEN];
    __builtin_memcpy(mac, eth->h_dest, ETH_ALEN);
    __builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
    __builtin_memcpy(eth->h_source, mac, ETH_ALEN);
    __be32 address = ip->daddr;
    ip->daddr = ip->saddr;
    ip->saddr = address;
    // One word less by 0x0800: the checksum, a complement, is more by as much (RFC 1624).
    icmp->type = ICMP_ECHOREPLY;
    __u32 sum = (__u32)icmp->checksum + bpf_htons(ICMP_ECHO << 8);
    icmp->checksum = (__u16)(sum + (sum >> 16));
    return XDP_TX;
}

FILTER_LICENSE;
