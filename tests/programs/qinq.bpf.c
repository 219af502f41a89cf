// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// A provider edge: customer tags are kept inside, a service tag is pushed
// outside (802.1ad), priorities are mapped, and at tc the same with the
// kernel's own VLAN helpers.
//
// Style: written twice, once over raw bytes and once with helpers; unrolled.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>

#define VID(tci) ((tci) & 0x0fff)
#define PCP(tci) ((tci) >> 13)
#define TAGS 3

struct vlan {
    __be16 tci;
    __be16 proto;
};

struct service {
    __u16 vid;
    __u8 keep_pcp;
    __u8 max_tags;
    __u8 pcp_map[8];
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 4096);
    __type(key, __u32);
    __type(value, struct service);
} services SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4096);
    __type(key, __u32); // service << 16 | customer
    __type(value, __u32);
} customers SEC(".maps");

static __always_inline int is_tag(__be16 proto) {
    return proto == bpf_htons(ETH_P_8021Q) || proto == bpf_htons(ETH_P_8021AD);
}

struct tags {
    __u16 tci[TAGS];
    __u8 count;
    __be16 proto;
};

static __always_inline int read_tags(void* data, void* end, struct tags* t) {
    struct ethhdr* eth = data;
    struct vlan* v = data + sizeof(*eth);
    if ((void*)(eth + 1) > end) return -1;
    t->proto = eth->h_proto;
#pragma clang loop unroll(full)
    for (int i = 0; i < TAGS; i++) {
        if (!is_tag(t->proto)) break;
        if ((void*)(v + 1) > end) return -1;
        t->tci[i] = bpf_ntohs(v->tci);
        t->proto = v->proto;
        t->count = i + 1;
        v++;
    }
    return 0;
}

SEC("xdp")
BROKEN(1, "invalid access to packet")
BROKEN(2, "invalid access to map value")
int service_push(struct xdp_md* ctx) {
    struct tags t = {};
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    if (read_tags(data, end, &t)) return XDP_DROP;
    if (!t.count) return XDP_PASS;
    __u32 vid = VID(t.tci[0]);
    struct service* s = bpf_map_lookup_elem(&services, &vid);
    if (!s || !s->vid) return XDP_PASS;
    if (t.count >= s->max_tags) return XDP_DROP;
    __u16 pcp = PCP(t.tci[0]);
#if BREAK == 2
    __u16 tci = s->pcp_map[t.tci[0] >> 12] << 13 | VID(s->vid);
#else
    __u16 tci = (s->keep_pcp ? pcp : s->pcp_map[pcp & 7]) << 13 | VID(s->vid);
#endif
    if (bpf_xdp_adjust_head(ctx, -4)) return XDP_DROP;
    data = (void*)(long)ctx->data;
    end = (void*)(long)ctx->data_end;
#if BREAK == 1
    if (data + 14 > end) return XDP_DROP;
#else
    if (data + 18 > end) return XDP_DROP;
#endif
    __u32* w = data;
    w[0] = w[1];
    w[1] = w[2];
    w[2] = w[3];
    struct ethhdr* eth = data;
    eth->h_proto = bpf_htons(ETH_P_8021AD);
    struct vlan* v = (void*)(eth + 1);
    v->tci = bpf_htons(tci);
    return XDP_TX;
}

SEC("xdp")
BROKEN(3, "invalid access to packet")
int service_pop(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    struct vlan* outer = (void*)(eth + 1);
    struct vlan* inner = outer + 1;
    if ((void*)(inner + 1) > end || eth->h_proto != bpf_htons(ETH_P_8021AD)) return XDP_PASS;
    __u32 key = VID(bpf_ntohs(outer->tci)) << 16;
    if (is_tag(outer->proto)) key |= VID(bpf_ntohs(inner->tci));
    __u32* to = bpf_map_lookup_elem(&customers, &key);
    if (!to) return XDP_DROP;
    __u8 macs[12];
    __builtin_memcpy(macs, data, 12);
    if (bpf_xdp_adjust_head(ctx, 4)) return XDP_DROP;
    data = (void*)(long)ctx->data;
    end = (void*)(long)ctx->data_end;
#if BREAK == 3
    if (data + 12 < end) return XDP_DROP;
#else
    if (data + 12 > end) return XDP_DROP;
#endif
    __builtin_memcpy(data, macs, 12);
    return bpf_redirect(*to, 0);
}

SEC("tc")
int tc_push(struct __sk_buff* skb) {
    __u32 vid = skb->vlan_present ? VID(skb->vlan_tci) : 0;
    struct service* s = bpf_map_lookup_elem(&services, &vid);
    if (!s || !s->vid) return TC_ACT_OK;
    __u16 tci = s->vid & 0xfff;
    __u32 pcp = PCP(skb->vlan_tci);
    if (s->keep_pcp)
        tci |= pcp << 13;
    else
        tci |= s->pcp_map[pcp & 7] << 13;
    if (bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021AD), tci)) return TC_ACT_SHOT;
    skb->priority = pcp;
    return TC_ACT_OK;
}

SEC("tc")
BROKEN(4, "invalid mem access 'scalar'")
int tc_pop(struct __sk_buff* skb) {
    if (!skb->vlan_present || skb->vlan_proto != bpf_htons(ETH_P_8021AD)) return TC_ACT_OK;
    __u32 outer = VID(skb->vlan_tci);
    void* data = (void*)(long)skb->data;
    void* end = (void*)(long)skb->data_end;
    struct ethhdr* eth = data;
    if ((void*)(eth + 1) > end) return TC_ACT_SHOT;
    if (bpf_skb_vlan_pop(skb)) return TC_ACT_SHOT;
#if BREAK == 4
    if (eth->h_dest[0] & 1) return TC_ACT_SHOT;
#endif
    if (skb->vlan_present) {
        __u32 key = outer << 16 | VID(skb->vlan_tci);
        __u32* to = bpf_map_lookup_elem(&customers, &key);
        if (!to) return TC_ACT_SHOT;
        return bpf_redirect(*to, 0);
    }
    return TC_ACT_OK;
}

LICENSED;
