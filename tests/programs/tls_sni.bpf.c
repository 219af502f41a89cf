// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// Finds the server name in a TLS ClientHello: over session id, cipher suites
// and compression methods, each of variable length, then along the extensions;
// the name selects a policy, and a fingerprint of versions and extensions is
// kept.
//
// Style: offsets into the packet, each masked before use.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>

#define EXTENSIONS 12
#define NAME 32
#define FAR 0x7ff

struct server_name {
    char text[NAME];
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4096);
    __type(key, struct server_name);
    __type(value, __u32);
} policies SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 4096);
    __type(key, __u32);
    __type(value, __u64);
} fingerprints SEC(".maps");

// Byte or half at an offset; -1 if the packet ends before.
static __always_inline int byte_at(void* data, void* end, __u32 off) {
    barrier_var(off);
    __u8* p = data + (off & FAR);
#if BREAK == 1
    if ((void*)p > end) return -1;
#else
    if ((void*)(p + 1) > end) return -1;
#endif
    return *p;
}

static __always_inline int half_at(void* data, void* end, __u32 off) {
    barrier_var(off);
    __u8* p = data + (off & FAR);
    if ((void*)(p + 2) > end) return -1;
    return p[0] << 8 | p[1];
}

static __noinline int read_name(struct xdp_md* ctx, __u32 off, struct server_name* name) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    if (!name) return -1;
    int length = half_at(data, end, off + 3);
    if (length <= 0) return -1;
    __u8* p = data + ((off + 5) & FAR);
    for (int i = 0; i < NAME - 1; i++) {
        if (i >= length || (void*)(p + i + 1) > end) break;
        name->text[i] = p[i];
    }
    return length;
}

SEC("xdp")
BROKEN(1, "invalid access to packet")
BROKEN(2, "R2 type=scalar expected=fp")
BROKEN(3, "variable ctx access var_off=")
int sni_filter(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    struct iphdr* ip = (void*)(eth + 1);
    if ((void*)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP)) return XDP_PASS;
    if (ip->protocol != IPPROTO_TCP || ip->ihl < 5) return XDP_PASS;
    struct tcphdr* tcp = (void*)ip + ip->ihl * 4;
    if ((void*)(tcp + 1) > end || tcp->dest != bpf_htons(443)) return XDP_PASS;
    __u32 off = sizeof(*eth) + ip->ihl * 4 + tcp->doff * 4;
    if (byte_at(data, end, off) != 22 || byte_at(data, end, off + 5) != 1) return XDP_PASS;
    __u32 fingerprint = half_at(data, end, off + 9);
    off += 43; // record, handshake, version, random
    int n = byte_at(data, end, off);
    if (n < 0) return XDP_PASS;
    off += 1 + n;
    n = half_at(data, end, off);
    if (n < 0) return XDP_PASS;
    fingerprint = fingerprint * 31 + n;
    off += 2 + n;
    n = byte_at(data, end, off);
    if (n < 0) return XDP_PASS;
    off += 1 + n;
    int left = half_at(data, end, off);
    if (left < 0) return XDP_PASS;
    off += 2;
    struct server_name name = {};
    int named = 0;
    LOOP for (int i = 0; i < EXTENSIONS; i++) {
        int type = half_at(data, end, off);
        int length = half_at(data, end, off + 2);
        if (type < 0 || length < 0) break;
        fingerprint = fingerprint * 31 + type;
        if (type == 0) {
#if BREAK == 2
            named = bpf_map_lookup_elem(&policies, (void*)(long)type) != 0;
#else
            named = read_name(ctx, off + 4, &name) > 0;
#endif
            break;
        }
        off += 4 + length;
    }
#if BREAK == 3
    fingerprint += *(__u32*)((void*)ctx + (fingerprint & 4));
#endif
    __u64* seen = bpf_map_lookup_elem(&fingerprints, &fingerprint);
    if (seen) {
        __sync_fetch_and_add(seen, 1);
    } else {
        __u64 one = 1;
        bpf_map_update_elem(&fingerprints, &fingerprint, &one, BPF_ANY);
    }
    if (!named) return XDP_PASS;
    __u32* policy = bpf_map_lookup_elem(&policies, &name);
    return policy && *policy ? XDP_DROP : XDP_PASS;
}

LICENSED;
