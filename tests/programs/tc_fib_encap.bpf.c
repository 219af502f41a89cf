// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// A router that wraps what it forwards in IPv4: route and neighbour by
// fib_lookup, room by adjust_room, a header checksum over the words of a local
// header, and, on the way back, the outer header taken off.
//
// Style: one function per step, called, not inlined; a context structure on
// the stack that they share.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>

#ifndef AF_INET
#define AF_INET 2
#endif

struct tunnel {
    __be32 local;
    __be32 remote;
    __u32 hits;
};

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, 1000);
    __type(key, __u64);
    __type(value, struct tunnel);
} tunnels SEC(".maps");

struct work {
    struct iphdr inner;
    struct iphdr outer;
    __u8 source[ETH_ALEN];
    __u8 target[ETH_ALEN];
    __u32 port;
};

static __noinline int read_inner(struct __sk_buff* skb, struct work* w) {
    if (!w) return -1;
    if (skb->protocol != bpf_htons(ETH_P_IP)) return -1;
    return bpf_skb_load_bytes(skb, sizeof(struct ethhdr), &w->inner, sizeof(w->inner));
}

static __noinline __u16 header_check(const struct iphdr* ip) {
    if (!ip) return 0;
    __u32 sum = 0;
    const __u16* words = (const void*)ip;
    LOOP for (unsigned i = 0; i < sizeof(*ip) / 2; i++) sum += words[i];
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return ~sum;
}

static __noinline int route(struct __sk_buff* skb, struct work* w) {
    if (!w) return -1;
    struct bpf_fib_lookup fib = {};
    fib.family = AF_INET;
    fib.tot_len = bpf_ntohs(w->inner.tot_len);
    fib.ifindex = skb->ingress_ifindex;
    fib.ipv4_src = w->outer.saddr;
    fib.ipv4_dst = w->outer.daddr;
#if BREAK == 1
    long found = bpf_fib_lookup(skb, &fib, 600, 0);
#else
    long found = bpf_fib_lookup(skb, &fib, sizeof(fib), 0);
#endif
    if (found != BPF_FIB_LKUP_RET_SUCCESS) return -1;
    __builtin_memcpy(w->source, fib.smac, ETH_ALEN);
    __builtin_memcpy(w->target, fib.dmac, ETH_ALEN);
    w->port = fib.ifindex;
    return 0;
}

SEC("tc")
BROKEN(1, "invalid write to stack")
BROKEN(2, "invalid mem access 'scalar'")
BROKEN(3, "invalid access to map value")
int encap(struct __sk_buff* skb) {
    struct work w = {};
    if (read_inner(skb, &w)) return TC_ACT_OK;
    __u64 key = 32 | (__u64)w.inner.daddr << 32;
    struct tunnel* t = bpf_map_lookup_elem(&tunnels, &key);
    if (!t) return TC_ACT_OK;
#if BREAK == 3
    __sync_fetch_and_add((__u32*)(t + 1), 1);
#else
    __sync_fetch_and_add(&t->hits, 1);
#endif
    w.outer.version = 4, w.outer.ihl = 5, w.outer.ttl = 64, w.outer.protocol = IPPROTO_IPIP;
    w.outer.saddr = t->local, w.outer.daddr = t->remote;
    w.outer.tot_len = bpf_htons(bpf_ntohs(w.inner.tot_len) + sizeof(struct iphdr));
    w.outer.check = header_check(&w.outer);
    if (route(skb, &w)) return TC_ACT_SHOT;
    struct ethhdr* eth = (void*)(long)skb->data;
    if (bpf_skb_adjust_room(skb, sizeof(struct iphdr), BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_ENCAP_L3_IPV4))
        return TC_ACT_SHOT;
#if BREAK != 2
    eth = (void*)(long)skb->data;
#endif
    if ((void*)(eth + 1) > (void*)(long)skb->data_end) return TC_ACT_SHOT;
    __builtin_memcpy(eth->h_source, w.source, ETH_ALEN);
    __builtin_memcpy(eth->h_dest, w.target, ETH_ALEN);
    if (bpf_skb_store_bytes(skb, sizeof(*eth), &w.outer, sizeof(w.outer), BPF_F_INVALIDATE_HASH))
        return TC_ACT_SHOT;
    return bpf_redirect(w.port, 0);
}

SEC("tc")
int decap(struct __sk_buff* skb) {
    struct work w = {};
    if (read_inner(skb, &w) || w.inner.protocol != IPPROTO_IPIP || w.inner.ihl != 5) return TC_ACT_OK;
    if (header_check(&w.inner)) return TC_ACT_SHOT;
    if (bpf_skb_adjust_room(skb, -(int)sizeof(struct iphdr), BPF_ADJ_ROOM_MAC, 0)) return TC_ACT_SHOT;
    if (bpf_skb_change_type(skb, 0)) return TC_ACT_SHOT;
    return TC_ACT_UNSPEC;
}

LICENSED;
