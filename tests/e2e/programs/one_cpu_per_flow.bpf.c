// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
// Passes everything, but XDP_ABORTED for a UDP packet whose flow, either direction, was on another CPU
// before. Counts every packet in a per-CPU array.
#include "include/filter.h"

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>

struct flow {
    __u32 addresses; // sums do not mind the direction
    __u32 ports;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4096);
    __type(key, struct flow);
    __type(value, __u32); // CPU + 1
} flows SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} packets SEC(".maps");

SEC("xdp")
int one_cpu_per_flow(struct xdp_md* ctx) {
    void* data_end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = (void*)(long)ctx->data;
    struct iphdr* ip = (void*)(eth + 1);
    struct udphdr* udp = (void*)(ip + 1);
    __u32 zero = 0;
    __u64* count = bpf_map_lookup_elem(&packets, &zero);
    if (count) ++*count;
    if ((void*)(udp + 1) > data_end || eth->h_proto != bpf_htons(ETH_P_IP)) return XDP_PASS;
    if (ip->ihl != 5 || ip->protocol != IPPROTO_UDP) return XDP_PASS;

    struct flow flow = {.addresses = ip->saddr + ip->daddr, .ports = (__u32)udp->source + udp->dest};
    __u32 here = bpf_get_smp_processor_id() + 1;
    __u32* before = bpf_map_lookup_elem(&flows, &flow);
    if (before) return *before == here ? XDP_PASS : XDP_ABORTED;
    bpf_map_update_elem(&flows, &flow, &here, BPF_ANY);
    return XDP_PASS;
}

FILTER_LICENSE;
