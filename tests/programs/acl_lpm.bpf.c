// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// Access lists: source and destination prefixes in LPM tries (IPv4 and IPv6)
// give bit sets of rules; where both agree, the first rule wins. A second
// program walks a small rule table with for_each_map_elem instead.
//
// Style: set algebra on 64-bit words; a callback.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#define RULES 256
#define WORDS (RULES / 64)

struct rule_set {
    __u64 words[WORDS];
};

struct lpm4 {
    __u32 bits;
    __be32 addr;
};

struct lpm6 {
    __u32 bits;
    __u8 addr[16];
};

struct action {
    __u8 verdict;
    __u8 log;
    __u16 proto; // 0: any
    __be16 port_low;
    __be16 port_high;
    __u64 hits;
};

#define TRIE(name, key_type, entries)                                                                        \
    struct {                                                                                                 \
        __uint(type, BPF_MAP_TYPE_LPM_TRIE);                                                                 \
        __uint(map_flags, BPF_F_NO_PREALLOC);                                                                \
        __uint(max_entries, entries);                                                                        \
        __type(key, key_type);                                                                               \
        __type(value, struct rule_set);                                                                      \
    } name SEC(".maps")

TRIE(sources4, struct lpm4, 10000);
TRIE(targets4, struct lpm4, 10000);
TRIE(sources6, struct lpm6, 10000);
TRIE(targets6, struct lpm6, 10000);

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, RULES);
    __type(key, __u32);
    __type(value, struct action);
} actions SEC(".maps");

struct rule {
    __be32 saddr, smask, daddr, dmask;
    __u16 low, high;
    __u8 proto;
    __u8 verdict;
    __u8 pad[2];
    __u64 hits;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 32);
    __type(key, __u32);
    __type(value, struct rule);
} rules SEC(".maps");

struct packet {
    __be32 saddr, daddr;
    __u16 dport;
    __u8 proto;
    __u8 family;
};

static __always_inline __u32 lowest_bit(__u64 w) {
    // clang has no instruction for it: halves.
    __u32 n = 0;
    if (!(w & 0xffffffff)) n += 32, w >>= 32;
    if (!(w & 0xffff)) n += 16, w >>= 16;
    if (!(w & 0xff)) n += 8, w >>= 8;
    if (!(w & 0xf)) n += 4, w >>= 4;
    if (!(w & 0x3)) n += 2, w >>= 2;
    return n + !(w & 1);
}

static __always_inline int transport(struct packet* p, void* l4, void* end) {
    if (p->proto != IPPROTO_TCP && p->proto != IPPROTO_UDP) return 0;
    __be16* ports = l4;
    if ((void*)(ports + 2) > end) return -1;
    p->dport = bpf_ntohs(ports[1]);
    return 0;
}

static __noinline int judge(const struct rule_set* a, const struct rule_set* b, const struct packet* p) {
    if (!a || !b) return XDP_PASS;
    for (int i = 0; i < WORDS; i++) {
        __u64 both = a->words[i] & b->words[i];
        for (int tries = 0; tries < 4 && both; tries++) {
            __u32 index = i * 64 + lowest_bit(both);
            both &= both - 1;
            struct action* act = bpf_map_lookup_elem(&actions, &index);
            if (!act) return XDP_ABORTED;
            if (act->proto && act->proto != p->proto) continue;
            if (p->dport < act->port_low || p->dport > act->port_high) continue;
            __sync_fetch_and_add(&act->hits, 1);
            return act->verdict & 3;
        }
    }
    return XDP_PASS;
}

SEC("xdp")
BROKEN(1, "invalid read from stack")
BROKEN(2, "invalid mem access 'map_value_or_null'")
int acl_sets(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    struct packet p = {};
    if ((void*)(eth + 1) > end) return XDP_DROP;
    struct rule_set *from, *to;
    if (eth->h_proto == bpf_htons(ETH_P_IP)) {
        struct iphdr* ip = (void*)(eth + 1);
        if ((void*)(ip + 1) > end || ip->ihl < 5) return XDP_DROP;
        p.proto = ip->protocol;
        if (transport(&p, (void*)ip + ip->ihl * 4, end)) return XDP_DROP;
        struct lpm4 s = {32, ip->saddr}, d = {32, ip->daddr};
        from = bpf_map_lookup_elem(&sources4, &s);
        to = bpf_map_lookup_elem(&targets4, &d);
    } else if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
        struct ipv6hdr* ip6 = (void*)(eth + 1);
        if ((void*)(ip6 + 1) > end) return XDP_DROP;
        p.proto = ip6->nexthdr;
        if (transport(&p, ip6 + 1, end)) return XDP_DROP;
        struct lpm6 k = {.bits = 128};
        __builtin_memcpy(k.addr, &ip6->saddr, 16);
        from = bpf_map_lookup_elem(&sources6, &k);
        __builtin_memcpy(k.addr, &ip6->daddr, 16);
#if BREAK == 1
        to = bpf_map_lookup_elem(&targets6, (void*)&k + 512);
#else
        to = bpf_map_lookup_elem(&targets6, &k);
#endif
    } else {
        return XDP_PASS;
    }
#if BREAK == 2
    if (from->words[0] == 0) return XDP_DROP;
#endif
    return judge(from, to, &p);
}

struct search {
    struct packet p;
    __u32 best;
    int verdict;
};

static long match(void* map, const __u32* key, struct rule* r, struct search* s) {
    if (*key >= s->best) return 0;
    if ((s->p.saddr & r->smask) != r->saddr || (s->p.daddr & r->dmask) != r->daddr) return 0;
    if (r->proto && r->proto != s->p.proto) return 0;
    if (s->p.dport < r->low || s->p.dport > r->high) return 0;
    s->best = *key;
    s->verdict = r->verdict;
    r->hits++;
#if BREAK == 3
    return r->hits;
#elif BREAK == 4
    *(__u32*)key = 0;
    return 0;
#else
    return *key == 0;
#endif
}

SEC("xdp")
BROKEN(3, "At callback return the register R0 has unknown scalar value should have been in [0, 1]")
BROKEN(4, "write to change key R2 not allowed")
BROKEN(5, "R1 type=")
int acl_walk(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    struct iphdr* ip = (void*)(eth + 1);
    if ((void*)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP) || ip->ihl != 5) return XDP_PASS;
    struct search s = {.best = ~0u, .verdict = XDP_PASS};
    s.p.saddr = ip->saddr, s.p.daddr = ip->daddr, s.p.proto = ip->protocol;
    if (transport(&s.p, ip + 1, end)) return XDP_DROP;
#if BREAK == 5
    long seen = bpf_for_each_map_elem(ctx, match, &s, 0);
#else
    long seen = bpf_for_each_map_elem(&rules, match, &s, 0);
#endif
    if (seen < 0) return XDP_ABORTED;
    return s.verdict & 3;
}

LICENSED;
