// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// Maps without keys: a queue of free ports, a stack of recent offenders, and a
// Bloom filter of what was seen, so that a large table is asked only then.
//
// Style: one feature, one function; push, pop and peek.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>

struct offender {
    __be32 addr;
    __u32 count;
    __u64 time;
};

struct {
    __uint(type, BPF_MAP_TYPE_QUEUE);
    __uint(max_entries, 4096);
    __type(value, __u16);
} free_ports SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_STACK);
    __uint(max_entries, 64);
    __type(value, struct offender);
} recent SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_BLOOM_FILTER);
    __uint(max_entries, 100000);
    __uint(map_extra, 3);
    __type(value, __be32);
} maybe_seen SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 100000);
    __type(key, __be32);
    __type(value, __u16);
} port_of SEC(".maps");

static __always_inline int known(__be32 addr, __u16* port) {
    if (bpf_map_peek_elem(&maybe_seen, &addr)) return 0; // for certain not
    __u16* p = bpf_map_lookup_elem(&port_of, &addr);
    if (!p) return 0;
    *port = *p;
    return 1;
}

static __always_inline int assign(__be32 addr, __u16* port) {
    if (bpf_map_pop_elem(&free_ports, port)) return -1;
    if (bpf_map_update_elem(&port_of, &addr, port, BPF_NOEXIST)) {
        bpf_map_push_elem(&free_ports, port, BPF_EXIST);
        return -1;
    }
    bpf_map_push_elem(&maybe_seen, &addr, 0);
    return 0;
}

static __noinline void blame(__be32 addr) {
    struct offender last = {}, now = {.addr = addr, .count = 1};
    now.time = bpf_ktime_get_ns();
    if (!bpf_map_peek_elem(&recent, &last) && last.addr == addr) {
        now.count = last.count + 1;
        bpf_map_pop_elem(&recent, &last);
    }
    bpf_map_push_elem(&recent, &now, BPF_EXIST);
}

SEC("xdp")
BROKEN(1, "cannot pass map_type 1 into func bpf_map_pop_elem")
BROKEN(2, "invalid zero-sized read")
BROKEN(3, "invalid write to stack")
BROKEN(4, "cannot pass map_type 30 into func bpf_map_pop_elem")
int assign_ports(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    struct iphdr* ip = (void*)(eth + 1);
    struct udphdr* udp = (void*)(ip + 1);
    if ((void*)(udp + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP)) return XDP_PASS;
    if (ip->ihl != 5 || ip->protocol != IPPROTO_UDP) return XDP_PASS;
    __be32 addr = ip->saddr;
    __u16 port = 0;
#if BREAK == 1
    bpf_map_pop_elem(&port_of, &port);
#elif BREAK == 2
    if (bpf_map_lookup_elem(&free_ports, &port)) return XDP_DROP;
#elif BREAK == 3
    bpf_map_pop_elem(&recent, (void*)&port);
#elif BREAK == 4
    bpf_map_pop_elem(&maybe_seen, &addr);
#endif
    if (!known(addr, &port) && assign(addr, &port)) {
        blame(addr);
        return XDP_DROP;
    }
    udp->source = bpf_htons(port);
    udp->check = 0;
    return XDP_TX;
}

SEC("xdp")
int give_back(struct xdp_md* ctx) {
    __u32 key = 0;
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    if (data + 34 > end) return XDP_PASS;
    __be32 addr = *(__be32*)(data + 26);
    __u16* p = bpf_map_lookup_elem(&port_of, &addr);
    if (!p) return XDP_PASS;
    __u16 port = *p;
    if (!bpf_map_delete_elem(&port_of, &addr)) bpf_map_push_elem(&free_ports, &port, 0);
    return key ? XDP_DROP : XDP_PASS;
}

LICENSED;
