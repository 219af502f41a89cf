// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// A label switch router: MPLS stacks (RFC 3032) swapped, popped and pushed by
// table, PPPoE sessions ended, SRv6 segments (RFC 8754) advanced.
//
// Style: one program for each protocol, goto for the common tail.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#define MAX_LABELS 5

struct pppoe {
    __u8 ver_type, code;
    __be16 session, length, protocol;
} __attribute__((packed));

struct srh {
    __u8 next, length, type, left, last, flags;
    __be16 tag;
};

enum op { OP_SWAP, OP_POP, OP_PUSH, OP_DROP };

struct ilm {
    __u32 op;
    __u32 label;
    __u32 label2;
    __u32 ifindex;
    __u8 mac[6];
    __u16 pad;
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 65536);
    __type(key, __u32);
    __type(value, struct ilm);
} labels SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 8192);
    __type(key, __u16);
    __type(value, __u32);
} pppoe_sessions SEC(".maps");

__u64 depth_seen[MAX_LABELS + 1];

static __always_inline __be32 entry(__u32 label, __u32 tc, int bottom, __u32 ttl) {
    return bpf_htonl(label << 12 | tc << 9 | bottom << 8 | ttl);
}

SEC("xdp")
BROKEN(1, "invalid access to map value")
BROKEN(2, "invalid access to packet")
BROKEN(3, "invalid mem access 'map_value_or_null'")
int lsr(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    __be32* stack = (void*)(eth + 1);
    if ((void*)(stack + 1) > end || eth->h_proto != bpf_htons(ETH_P_MPLS_UC)) return XDP_PASS;
    __u32 top = bpf_ntohl(*stack);
    __u32 label = top >> 12, tc = top >> 9 & 7, ttl = top & 0xff;
    int bottom = top >> 8 & 1;
    if (ttl <= 1) return XDP_DROP;
    // How deep is it?
    __u32 depth = 0;
    LOOP for (int i = 0; i < MAX_LABELS; i++) {
        if ((void*)(stack + i + 1) > end) return XDP_DROP;
        depth = i + 1;
        if (bpf_ntohl(stack[i]) & 0x100) break;
    }
#if BREAK == 1
    depth_seen[depth + 1]++;
#else
    depth_seen[depth]++;
#endif
    struct ilm* m = bpf_map_lookup_elem(&labels, &label);
#if BREAK != 3
    if (!m) return XDP_DROP;
#endif
    switch (m->op) {
    case OP_SWAP: *stack = entry(m->label, tc, bottom, ttl - 1); goto send;
    case OP_POP: {
        __be16 proto = eth->h_proto;
        if (bottom) {
            __u8* first = (void*)(stack + 1);
#if BREAK == 2
            if ((void*)first > end) return XDP_DROP;
#else
            if ((void*)(first + 1) > end) return XDP_DROP;
#endif
            if (*first >> 4 == 4)
                proto = bpf_htons(ETH_P_IP);
            else if (*first >> 4 == 6)
                proto = bpf_htons(ETH_P_IPV6);
            else
                return XDP_DROP;
        }
        struct ethhdr saved = *eth;
        saved.h_proto = proto;
        if (bpf_xdp_adjust_head(ctx, 4)) return XDP_ABORTED;
        data = (void*)(long)ctx->data;
        end = (void*)(long)ctx->data_end;
        eth = data;
        if ((void*)(eth + 1) > end) return XDP_DROP;
        *eth = saved;
        goto send;
    }
    case OP_PUSH: {
        struct ethhdr saved = *eth;
        *stack = entry(m->label, tc, bottom, ttl - 1);
        if (bpf_xdp_adjust_head(ctx, -4)) return XDP_ABORTED;
        data = (void*)(long)ctx->data;
        end = (void*)(long)ctx->data_end;
        eth = data;
        stack = (void*)(eth + 1);
        if ((void*)(stack + 1) > end) return XDP_DROP;
        *eth = saved;
        *stack = entry(m->label2, tc, 0, ttl - 1);
        goto send;
    }
    }
    return XDP_DROP;
send:
    __builtin_memcpy(eth->h_source, eth->h_dest, ETH_ALEN);
    __builtin_memcpy(eth->h_dest, m->mac, ETH_ALEN);
    return bpf_redirect(m->ifindex, 0);
}

SEC("xdp")
int pppoe_end(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    struct pppoe* p = (void*)(eth + 1);
    if ((void*)(p + 1) > end || eth->h_proto != bpf_htons(ETH_P_PPP_SES)) return XDP_PASS;
    if (p->ver_type != 0x11 || p->code) return XDP_DROP;
    __u16 session = bpf_ntohs(p->session);
    __u32* ifindex = bpf_map_lookup_elem(&pppoe_sessions, &session);
    if (!ifindex) return XDP_PASS;
    __be16 proto = p->protocol == bpf_htons(0x0021)   ? bpf_htons(ETH_P_IP)
                   : p->protocol == bpf_htons(0x0057) ? bpf_htons(ETH_P_IPV6)
                                                      : 0;
    if (!proto) return XDP_PASS;
    struct ethhdr saved = *eth;
    saved.h_proto = proto;
    if (bpf_xdp_adjust_head(ctx, sizeof(*p))) return XDP_ABORTED;
    data = (void*)(long)ctx->data;
    end = (void*)(long)ctx->data_end;
    if (data + sizeof(saved) > end) return XDP_DROP;
    *(struct ethhdr*)data = saved;
    return bpf_redirect(*ifindex, 0);
}

SEC("xdp")
BROKEN(4, "invalid access to packet")
int srv6_end(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    struct ipv6hdr* ip6 = (void*)(eth + 1);
    struct srh* srh = (void*)(ip6 + 1);
    if ((void*)(srh + 1) > end || eth->h_proto != bpf_htons(ETH_P_IPV6)) return XDP_PASS;
    if (ip6->nexthdr != IPPROTO_ROUTING || srh->type != 4) return XDP_PASS;
    if (srh->left == 0) return XDP_PASS;
    if (srh->left > srh->last + 1 || srh->last * 2 + 2 > srh->length + 1) return XDP_DROP;
    __u32 next = srh->left - 1;
    struct in6_addr* segment = (void*)(srh + 1) + (next & 15) * sizeof(*segment);
#if BREAK != 4
    if ((void*)(segment + 1) > end) return XDP_DROP;
#endif
    if (next > 15) return XDP_DROP;
    ip6->daddr = *segment;
    srh->left = next;
    if (ip6->hop_limit <= 1) return XDP_DROP;
    ip6->hop_limit--;
    return XDP_TX;
}

LICENSED;
