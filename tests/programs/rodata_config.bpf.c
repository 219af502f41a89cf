// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// One source for many products: options in .rodata switch whole features off,
// and the verifier removes what frozen constants make unreachable, including
// code that would not pass if it were reachable.
//
// Style: feature switches, constant tables, dead code on purpose.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

const volatile struct {
    __u8 ipv4;
    __u8 ipv6;
    __u8 vlans;
    __u8 counters;
    __u8 dangerous;
    __u8 debug;
    __u16 max_length;
    __u32 rounds;
    __u32 mode;
} options = {.ipv4 = 1, .ipv6 = 1, .vlans = 2, .counters = 1, .max_length = 1500, .rounds = 5, .mode = 2};

const volatile __u8 drop_protocols[256] = {[IPPROTO_GRE] = 1, [IPPROTO_ESP] = 1, [132] = 2};
const volatile __u16 port_table[16] = {7, 9, 13, 17, 19, 37, 111, 123, 137, 161, 389, 1900, 5353, 11211};
static const char* const mode_names[] = {"off", "observe", "enforce"};
static const __u32 thresholds[4][3] = {{10, 100, 1000}, {20, 200, 2000}, {40, 400, 4000}, {80, 800, 8000}};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 256);
    __type(key, __u32);
    __type(value, __u64);
} per_protocol SEC(".maps");

__u32 level_hits[3];
char mode_now[8];

static __always_inline int bad_port(__u16 port) {
#pragma clang loop unroll(disable)
    for (int i = 0; i < 16; i++) {
        if (port_table[i] == 0) return 0;
        if (port_table[i] == port) return 1;
    }
    return 0;
}

static __noinline int level_of(__u32 length, __u32 round) {
    int level = -1;
    for (int i = 0; i < 3; i++)
        if (length >= thresholds[round & 3][i]) level = i;
    return level;
}

SEC("xdp")
BROKEN(1, "invalid mem access 'scalar'")
BROKEN(2, "write into map forbidden")
BROKEN(3, "invalid access to map value")
BROKEN(4, "unbounded memory access")
int product(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    if ((void*)(eth + 1) > end) return XDP_DROP;
    void* l3 = eth + 1;
    __be16 proto = eth->h_proto;
    __u8 l4 = 0;
    __u16 dport = 0;

    for (int i = 0; i < 2; i++) {
        if (i >= options.vlans) break;
        if (proto != bpf_htons(ETH_P_8021Q) && proto != bpf_htons(ETH_P_8021AD)) break;
        __be16* tag = l3;
        if ((void*)(tag + 2) > end) return XDP_DROP;
        proto = tag[1];
        l3 = tag + 2;
    }
#if BREAK == 1
    if (options.mode == 2)
#else
    if (options.dangerous)
#endif
        *(volatile int*)(long)options.rounds = 1; // never verified while the option is zero
#if BREAK == 2
    *(volatile __u8*)&options.ipv4 = 0;
#endif
    if (options.ipv4 && proto == bpf_htons(ETH_P_IP)) {
        struct iphdr* ip = l3;
        if ((void*)(ip + 1) > end) return XDP_DROP;
        l4 = ip->protocol;
        if (l4 == IPPROTO_UDP) {
            struct udphdr* udp = (void*)ip + ip->ihl * 4;
            if ((void*)(udp + 1) > end) return XDP_DROP;
            dport = bpf_ntohs(udp->dest);
        }
    } else if (options.ipv6 && proto == bpf_htons(ETH_P_IPV6)) {
        struct ipv6hdr* ip6 = l3;
        if ((void*)(ip6 + 1) > end) return XDP_DROP;
        l4 = ip6->nexthdr;
    } else {
        return XDP_PASS;
    }
    if (options.counters) {
        __u32 key = l4;
        __u64* n = bpf_map_lookup_elem(&per_protocol, &key);
        if (n) ++*n;
    }
    if (options.debug) bpf_printk("proto %d port %d", l4, dport);
#if BREAK == 3
    if (drop_protocols[l4 + 300] == 1) return XDP_DROP;
#elif BREAK == 4
    if (drop_protocols[bpf_get_prandom_u32()] == 1) return XDP_DROP;
#else
    if (drop_protocols[l4] == 1) return XDP_DROP;
#endif
    __u32 length = end - data;
    if (length > options.max_length) return XDP_DROP;
    // A loop whose bound is a constant only the verifier knows.
    for (__u32 i = 0; i < options.rounds; i++) {
        int level = level_of(length, i);
        if (level >= 0 && level < 3) level_hits[level]++;
    }
    const char* name = mode_names[0];
    switch (options.mode) {
    case 1: name = mode_names[1]; break;
    case 2: name = mode_names[2]; break;
    }
    for (int i = 0; i < 7; i++) {
        char c = name[i];
        mode_now[i] = c;
        if (!c) break;
    }
    if (bad_port(dport)) return options.mode == 2 ? XDP_DROP : XDP_PASS;
    return XDP_PASS;
}

LICENSED;
