// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// Receive side scaling in software: the Toeplitz hash of what a NIC would hash
// picks a CPU from an indirection table, and the packet goes there through a
// cpumap, whose own program counts it.
//
// Style: bit loops, unrolled or not; several program sections.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#define TABLE 128
#define MAX_CPUS 64

struct {
    __uint(type, BPF_MAP_TYPE_CPUMAP);
    __uint(max_entries, MAX_CPUS);
    __uint(key_size, sizeof(__u32));
    __uint(value_size, sizeof(struct bpf_cpumap_val));
} cpus SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, TABLE);
    __type(key, __u32);
    __type(value, __u32);
} indirection SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, MAX_CPUS);
    __type(key, __u32);
    __type(value, __u64);
} handled SEC(".maps");

// Microsoft's example key.
const volatile __u8 rss_key[40] = {0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
                                   0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
                                   0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
                                   0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

static __always_inline __u32 key_word(int at) {
    return (__u32)rss_key[at] << 24 | rss_key[at + 1] << 16 | rss_key[at + 2] << 8 | rss_key[at + 3];
}

// Four bytes of input against the key at the same place, without branches.
static __always_inline __u32 toeplitz_word(__u32 hash, __u32 input, __u32 key, __u32 next) {
    for (int bit = 31; bit >= 0; bit--) {
        hash ^= key & -(input >> bit & 1);
        key = key << 1 | (next >> 31);
        next <<= 1;
    }
    return hash;
}

static __always_inline __u32 toeplitz(const __be32* words, int count) {
    __u32 hash = 0;
    LOOP for (int i = 0; i < 9; i++) {
        if (i >= count) break;
        hash = toeplitz_word(hash, bpf_ntohl(words[i]), key_word(i * 4), key_word(i * 4 + 4));
    }
    return hash;
}

struct input {
    __be32 words[9];
    int count;
};

static __always_inline int collect(struct xdp_md* ctx, struct input* in) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    if ((void*)(eth + 1) > end) return -1;
    if (eth->h_proto == bpf_htons(ETH_P_IP)) {
        struct iphdr* ip = (void*)(eth + 1);
        if ((void*)(ip + 1) > end) return -1;
        in->words[0] = ip->saddr;
        in->words[1] = ip->daddr;
        in->count = 2;
        if ((ip->protocol == IPPROTO_TCP || ip->protocol == IPPROTO_UDP) && ip->ihl == 5) {
            __be32* ports = (void*)(ip + 1);
#if BREAK == 1
            if ((void*)ports + 2 > end) return -1;
#else
            if ((void*)(ports + 1) > end) return -1;
#endif
            in->words[2] = *ports;
            in->count = 3;
        }
        return 0;
    }
    if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
        struct ipv6hdr* ip6 = (void*)(eth + 1);
        __be32* ports = (void*)(ip6 + 1);
        if ((void*)(ports + 1) > end) return -1;
        __builtin_memcpy(in->words, &ip6->saddr, 32);
        in->words[8] = *ports;
        in->count = ip6->nexthdr == IPPROTO_TCP || ip6->nexthdr == IPPROTO_UDP ? 9 : 8;
        return 0;
    }
    return -1;
}

SEC("xdp")
BROKEN(1, "invalid access to packet")
BROKEN(2, "invalid access to map value")
BROKEN(3, "cannot pass map_type 2 into func bpf_redirect_map")
BROKEN(4, "cannot pass map_type 16 into func bpf_map_lookup_elem")
int steer(struct xdp_md* ctx) {
    struct input in = {};
    if (collect(ctx, &in)) return XDP_PASS;
    __u32 hash = toeplitz(in.words, in.count);
    __u32 slot = hash & (TABLE - 1);
    __u32* cpu = bpf_map_lookup_elem(&indirection, &slot);
    if (!cpu) return XDP_ABORTED;
#if BREAK == 2
    if (rss_key[hash & 63] == 0) return XDP_DROP;
#elif BREAK == 3
    return bpf_redirect_map(&indirection, *cpu, 0);
#elif BREAK == 4
    if (!bpf_map_lookup_elem(&cpus, cpu)) return XDP_PASS;
#endif
    if (*cpu >= MAX_CPUS) return XDP_PASS;
    return bpf_redirect_map(&cpus, *cpu, XDP_PASS);
}

SEC("xdp/cpumap")
int on_cpu(struct xdp_md* ctx) {
    __u32 cpu = bpf_get_smp_processor_id();
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    if (data + ETH_HLEN > end) return XDP_DROP;
    if (ctx->ingress_ifindex == 0) return XDP_DROP;
    cpu &= MAX_CPUS - 1;
    __u64* n = bpf_map_lookup_elem(&handled, &cpu);
    if (n) ++*n;
    return XDP_PASS;
}

LICENSED;
