// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// Blocks DNS queries by name: the labels of the question are walked byte by
// byte, lower-cased and hashed, and looked up from the last to the first, so
// that a rule for a domain catches its sub-domains. Two programs: loops in the program, and the
// same with a per-CPU scratch buffer and the name as the key.
//
// Style: loops over bytes, hashes.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>

#define MAX_NAME 64
#define MAX_LABELS 8
#define MAX_LABEL 16 // hashed bytes of each

struct dns_header {
    __be16 id;
    __be16 flags;
    __be16 questions;
    __be16 answers;
    __be16 authorities;
    __be16 additional;
};

struct name {
    __u8 length;
    __u8 text[MAX_NAME - 1];
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 100000);
    __type(key, __u32);
    __type(value, __u8);
    __uint(map_flags, BPF_F_NO_PREALLOC);
} blocked_hashes SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 10000);
    __type(key, struct name);
    __type(value, __u64);
} blocked_names SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct name);
} scratch SEC(".maps");

static __always_inline __u8 lower(__u8 c) { return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c; }

static __always_inline void* find_question(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    struct iphdr* ip = (void*)(eth + 1);
    if ((void*)(ip + 1) > end) return 0;
    if (eth->h_proto != bpf_htons(ETH_P_IP) || ip->protocol != IPPROTO_UDP || ip->ihl != 5) return 0;
    struct udphdr* udp = (void*)(ip + 1);
    struct dns_header* dns = (void*)(udp + 1);
    if ((void*)(dns + 1) > end) return 0;
    if (udp->dest != bpf_htons(53)) return 0;
    if (dns->flags & bpf_htons(0xf800) || dns->questions != bpf_htons(1)) return 0;
    return dns + 1;
}

SEC("xdp")
BROKEN(1, "invalid access to packet")
BROKEN(3, "invalid write to stack")
int dns_block_hash(struct xdp_md* ctx) {
    __u8* at = find_question(ctx);
    __u8* end = (void*)(long)ctx->data_end;
    __u32 hashes[MAX_LABELS] = {};
    __u32 labels = 0;
    if (!at) return XDP_PASS;
    LOOP for (int i = 0; i < MAX_LABELS; i++) {
        if (at + 1 > end) return XDP_DROP;
        __u32 length = *at++;
        if (length == 0) break;
        if (length > 63) return XDP_DROP; // a pointer: not in a question
        __u32 hash = 5381 + length;
        LOOP for (__u32 j = 0; j < MAX_LABEL; j++) {
            if (j >= length) break;
#if BREAK != 1
            if (at + j + 1 > end) return XDP_DROP;
#endif
            hash = hash * 33 + lower(at[j]);
        }
        hashes[i] = hash;
        labels = i + 1;
        // Read again: the loop taught the verifier the length, path by path, and that is too many paths.
        at += *(volatile __u8*)(at - 1) & 63;
    }
#if BREAK == 3
    hashes[labels & 15] = 0;
#endif
    // From the last label to the first: com, example.com, www.example.com.
    __u32 hash = 0;
    LOOP for (int i = MAX_LABELS - 1; i >= 0; i--) {
        if ((__u32)i >= labels) continue;
        hash = hash * 31 + hashes[i];
        __u8* rule = bpf_map_lookup_elem(&blocked_hashes, &hash);
        if (rule && *rule) return XDP_DROP;
    }
    return XDP_PASS;
}

SEC("xdp")
BROKEN(4, "invalid access to map value")
BROKEN(5, "invalid zero-sized read")
int dns_block_name(struct xdp_md* ctx) {
    __u32 zero = 0;
    __u8* at = find_question(ctx);
    __u8* end = (void*)(long)ctx->data_end;
    struct name* n = bpf_map_lookup_elem(&scratch, &zero);
    if (!at || !n) return XDP_PASS;
    __builtin_memset(n, 0, sizeof(*n));
    __u32 length = 0;
    for (int i = 0; i < MAX_NAME - 1; i++) {
        if (at + 1 > end) return XDP_DROP;
        __u8 c = *at++;
        if (c == 0) break;
#if BREAK == 4
        n->text[i + 1] = lower(c);
#else
        n->text[i] = lower(c);
#endif
        length = i + 1;
    }
    n->length = length;
#if BREAK == 5
    bpf_trace_printk((char*)n, length - 1);
#endif
    __u64* hits = bpf_map_lookup_elem(&blocked_names, n);
    if (!hits) return XDP_PASS;
    __sync_fetch_and_add(hits, 1);
    return XDP_DROP;
}

LICENSED;
