// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
// Sends UDP flows on to one of two CPUs by their ports, and everything else to the first.
#include "include/filter.h"

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>

struct {
    __uint(type, BPF_MAP_TYPE_CPUMAP);
    __uint(max_entries, 256);
    __type(key, __u32);
    __type(value, __u32);
} cpus SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 2);
    __type(key, __u32);
    __type(value, __u32);
} which SEC(".maps");

SEC("xdp")
int to_cpus(struct xdp_md* ctx) {
    void* data_end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = (void*)(long)ctx->data;
    struct iphdr* ip = (void*)(eth + 1);
    struct udphdr* udp = (void*)(ip + 1);
    __u32 number = 0;
    if ((void*)(udp + 1) <= data_end && eth->h_proto == bpf_htons(ETH_P_IP) && ip->ihl == 5 &&
        ip->protocol == IPPROTO_UDP)
        number = (bpf_ntohs(udp->source) + bpf_ntohs(udp->dest)) & 1;
    __u32* cpu = bpf_map_lookup_elem(&which, &number);
    return cpu ? bpf_redirect_map(&cpus, *cpu, XDP_ABORTED) : XDP_ABORTED;
}

FILTER_LICENSE;
