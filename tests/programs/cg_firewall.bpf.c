// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// A firewall for a cgroup that reads packets directly, and what hands XDP's
// findings to tc: metadata in front of the packet, written in XDP and read at
// tc and in the cgroup's own context fields.
//
// Style: three hooks in one object sharing a header struct.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>

struct finding {
    __u32 magic;
    __u32 score;
};

#define MAGIC 0x66696e64

struct rule_key {
    __u32 bits;
    __u8 proto;
    __u8 zero;
    __be16 port;
    __be32 addr;
};

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, 1000);
    __type(key, struct rule_key);
    __type(value, __u32);
} rules SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_CGROUP_STORAGE);
    __uint(key_size, sizeof(struct bpf_cgroup_storage_key));
    __uint(value_size, 8);
} per_cgroup SEC(".maps");

SEC("xdp")
BROKEN(1, "invalid access to packet")
BROKEN(2, "invalid access to packet")
int score_xdp(struct xdp_md* ctx) {
    if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(struct finding))) return XDP_PASS;
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct finding* f = (void*)(long)ctx->data_meta;
#if BREAK == 1
    if ((void*)f + 4 > data) return XDP_ABORTED;
#else
    if ((void*)(f + 1) > data) return XDP_ABORTED;
#endif
    f->magic = MAGIC;
    f->score = 0;
    struct ethhdr* eth = data;
#if BREAK != 2
    if ((void*)(eth + 1) > end) return XDP_DROP;
#endif
    if (eth->h_dest[0] & 1) f->score += 10;
    if (eth->h_proto != bpf_htons(ETH_P_IP)) return XDP_PASS;
    struct iphdr* ip = (void*)(eth + 1);
    if ((void*)(ip + 1) > end) return XDP_DROP;
    if (ip->ttl < 5) f->score += 20;
    if (ip->ihl > 5) f->score += 30;
    return XDP_PASS;
}

SEC("tc")
BROKEN(3, "invalid access to packet")
int act_on_score(struct __sk_buff* skb) {
    void* data = (void*)(long)skb->data;
    struct finding* f = (void*)(long)skb->data_meta;
#if BREAK == 3
    if ((void*)(f + 1) > (void*)(long)skb->data_end) return TC_ACT_OK;
#else
    if ((void*)(f + 1) > data) return TC_ACT_OK;
#endif
    if (f->magic != MAGIC) return TC_ACT_OK;
    skb->mark = f->score;
    return f->score > 50 ? TC_ACT_SHOT : TC_ACT_OK;
}

static __always_inline int allowed(__u8 proto, __be16 port, __be32 addr) {
    struct rule_key k = {.bits = 64, .proto = proto, .port = port, .addr = addr};
    __u32* verdict = bpf_map_lookup_elem(&rules, &k);
    return verdict ? *verdict != 0 : 1;
}

SEC("cgroup_skb/ingress")
BROKEN(4, "At program exit the register R0 has")
BROKEN(5, "cannot write into packet")
int firewall_in(struct __sk_buff* skb) {
    void* data = (void*)(long)skb->data;
    void* end = (void*)(long)skb->data_end;
    __u64* used = bpf_get_local_storage(&per_cgroup, 0);
    __sync_fetch_and_add(used, skb->len);
    struct iphdr* ip = data;
    if (skb->protocol != bpf_htons(ETH_P_IP) || (void*)(ip + 1) > end) return 1;
    __be16 port = 0;
    if (ip->protocol == IPPROTO_TCP && ip->ihl == 5) {
        struct tcphdr* tcp = (void*)(ip + 1);
        if ((void*)(tcp + 1) > end) return 0;
        port = tcp->dest;
    }
#if BREAK == 5
    ip->ttl = 1;
#endif
#if BREAK == 4
    return skb->mark;
#else
    return allowed(ip->protocol, port, ip->saddr);
#endif
}

SEC("cgroup_skb/egress")
int firewall_out(struct __sk_buff* skb) {
    struct iphdr ip;
    if (skb->protocol != bpf_htons(ETH_P_IP)) return 1;
    if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip))) return 0;
    if (!allowed(ip.protocol, 0, ip.daddr)) return 0;
    // 3: sent, and congestion is told to TCP.
    return skb->priority == 1 ? 3 : 1;
}

LICENSED;
