// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// Geneve (RFC 8926) in XDP and at tc: the options are walked as records of
// variable length; an option of ours carries the policy of the sender.
//
// Style: macros for bounds checks, table of option classes, a loop with a
// variable step.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>

#define GENEVE_PORT 6081
#define GENEVE_ETH 0x6558
#define MAX_OPTIONS 4
#define OUR_CLASS 0x0107
#define OPTION_POLICY 0x01
#define OPTION_TRACE 0x02
#define CRITICAL 0x80

struct genevehdr {
    __u8 ver_optlen;
    __u8 flags;
    __be16 proto;
    __u8 vni[3];
    __u8 reserved;
};

struct geneve_opt {
    __be16 class;
    __u8 type;
    __u8 length; // low five bits, in words
};

struct policy_opt {
    struct geneve_opt opt;
    __be32 policy;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1024);
    __type(key, __u32);
    __type(value, __u32);
} policies SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 64);
    __type(key, __u32);
    __type(value, __u64);
} option_stats SEC(".maps");

struct options {
    __u32 policy;
    __u32 trace;
    __u8 seen;
    __u8 unknown_critical;
};

#define FITS(ptr, size, end) ((void*)(ptr) + (size) <= (void*)(long)(end))

static __always_inline int walk_options(void* at, __u32 length, void* end, struct options* out) {
    __u32 left = length;
    LOOP for (int i = 0; i < MAX_OPTIONS; i++) {
        if (left < sizeof(struct geneve_opt)) return left == 0 ? 0 : -1;
        struct geneve_opt* opt = at;
#if BREAK != 1
        if (!FITS(opt, sizeof(*opt), end)) return -1;
#endif
        __u32 body = (opt->length & 0x1f) * 4;
        __u32 kind = opt->type;
        if (body + sizeof(*opt) > left) return -1;
        if (opt->class == bpf_htons(OUR_CLASS)) {
            if ((kind & 0x7f) == OPTION_POLICY && body >= 4) {
                if (!FITS(opt, sizeof(struct policy_opt), end)) return -1;
                out->policy = bpf_ntohl(((struct policy_opt*)opt)->policy);
                out->seen |= 1;
            } else if ((kind & 0x7f) == OPTION_TRACE && body >= 4) {
                if (!FITS(opt, sizeof(struct policy_opt), end)) return -1;
                out->trace = ((struct policy_opt*)opt)->policy;
                out->seen |= 2;
            }
        } else if (kind & CRITICAL) {
            out->unknown_critical = 1;
        }
        __u32 slot = kind & 63;
        __u64* n = bpf_map_lookup_elem(&option_stats, &slot);
        if (n) ++*n;
        at += sizeof(*opt) + body;
        left -= sizeof(*opt) + body;
    }
    return left == 0 ? 0 : -1;
}

SEC("xdp")
BROKEN(1, "invalid access to packet")
BROKEN(2, "invalid mem access 'map_value_or_null'")
int geneve_decap(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    struct iphdr* ip = data + sizeof(*eth);
    struct udphdr* udp = (void*)(ip + 1);
    struct genevehdr* g = (void*)(udp + 1);
    if (!FITS(g, sizeof(*g), end)) return XDP_PASS;
    if (eth->h_proto != bpf_htons(ETH_P_IP) || ip->protocol != IPPROTO_UDP || ip->ihl != 5) return XDP_PASS;
    if (udp->dest != bpf_htons(GENEVE_PORT)) return XDP_PASS;
    if (g->ver_optlen >> 6 != 0 || g->proto != bpf_htons(GENEVE_ETH)) return XDP_DROP;
    __u32 length = (g->ver_optlen & 0x3f) * 4;
    struct options found = {};
    if (walk_options(g + 1, length, end, &found)) return XDP_DROP;
    if (found.unknown_critical && (g->flags & 0x40)) return XDP_DROP;
    __u32 vni = g->vni[0] << 16 | g->vni[1] << 8 | g->vni[2];
    __u32* want = bpf_map_lookup_elem(&policies, &vni);
#if BREAK == 2
    if (*want != found.policy) return XDP_DROP;
#else
    if (want && (!(found.seen & 1) || *want != found.policy)) return XDP_DROP;
#endif
    int off = sizeof(*eth) + sizeof(*ip) + sizeof(*udp) + sizeof(*g) + length;
    if (bpf_xdp_adjust_head(ctx, off)) return XDP_ABORTED;
    return XDP_PASS;
}

SEC("xdp")
int geneve_encap(struct xdp_md* ctx) {
    struct {
        struct ethhdr eth;
        struct iphdr ip;
        struct udphdr udp;
        struct genevehdr g;
        struct policy_opt opt;
    } __attribute__((packed)) * h;
    __u32 length = ctx->data_end - ctx->data;
    __u32 vni = ctx->rx_queue_index + 100;
    __u32* policy = bpf_map_lookup_elem(&policies, &vni);
    if (!policy) return XDP_PASS;
    if (bpf_xdp_adjust_head(ctx, -(int)sizeof(*h))) return XDP_DROP;
    h = (void*)(long)ctx->data;
    if (!FITS(h, sizeof(*h), ctx->data_end)) return XDP_DROP;
    __builtin_memset(h, 0, sizeof(*h));
    h->eth.h_dest[5] = 1;
    h->eth.h_source[5] = 2;
    h->eth.h_proto = bpf_htons(ETH_P_IP);
    h->ip.version = 4, h->ip.ihl = 5, h->ip.ttl = 255, h->ip.protocol = IPPROTO_UDP;
    h->ip.tot_len = bpf_htons(length + sizeof(*h) - sizeof(h->eth));
    h->ip.saddr = bpf_htonl(0x0a000001), h->ip.daddr = bpf_htonl(0x0a000002);
    __u32 sum = bpf_csum_diff(0, 0, (__be32*)&h->ip, sizeof(h->ip), 0);
    sum = (sum & 0xffff) + (sum >> 16);
    h->ip.check = ~((sum & 0xffff) + (sum >> 16));
    h->udp.source = bpf_htons(40000), h->udp.dest = bpf_htons(GENEVE_PORT);
    h->udp.len = bpf_htons(length + sizeof(*h) - sizeof(h->eth) - sizeof(h->ip));
    h->g.ver_optlen = sizeof(h->opt) / 4;
    h->g.proto = bpf_htons(GENEVE_ETH);
    h->g.vni[0] = vni >> 16, h->g.vni[1] = vni >> 8, h->g.vni[2] = vni;
    h->opt.opt.class = bpf_htons(OUR_CLASS);
    h->opt.opt.type = OPTION_POLICY;
    h->opt.opt.length = 1;
    h->opt.policy = bpf_htonl(*policy);
    return XDP_TX;
}

// At tc the tunnel device has taken the header off; its options wait in the metadata.
SEC("tc")
BROKEN(3, "invalid variable-offset read from stack R2")
int geneve_options(struct __sk_buff* skb) {
    struct bpf_tunnel_key key = {};
    __u8 raw[64] = {};
    if (bpf_skb_get_tunnel_key(skb, &key, sizeof(key), 0)) return TC_ACT_OK;
    int length = bpf_skb_get_tunnel_opt(skb, raw, sizeof(raw));
    if (length < (int)sizeof(struct policy_opt)) return TC_ACT_SHOT;
    __u64 at = 0; // of 64 bits: -mcpu=v2 would shift bounds away
    LOOP for (int i = 0; i < 4; i++) {
        if (at > sizeof(raw) - sizeof(struct policy_opt)) break;
        struct geneve_opt* opt = (void*)(raw + at);
        if (opt->class == bpf_htons(OUR_CLASS) && opt->type == OPTION_POLICY) {
            skb->mark = bpf_ntohl(((struct policy_opt*)opt)->policy);
            return TC_ACT_OK;
        }
        at += sizeof(*opt) + (opt->length & 0x1f) * 4;
    }
    struct policy_opt out = {.opt = {.class = bpf_htons(OUR_CLASS), .type = OPTION_POLICY, .length = 1}};
    out.policy = bpf_htonl(skb->mark);
#if BREAK == 3
    bpf_skb_set_tunnel_opt(skb, raw + (skb->mark & 0x1ff), 8);
#else
    bpf_skb_set_tunnel_opt(skb, &out, sizeof(out));
#endif
    return TC_ACT_OK;
}

LICENSED;
