// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// Sorts egress traffic into classes of a queueing discipline: by socket mark,
// cgroup, DSCP, port and size; sets priority, tc_classid, queue and departure
// time; learns elephants with a sketch of counters.
//
// Style: cilium-like: macros for helpers, drop reasons as negative returns,
// always_inline, a struct of metadata in cb[].
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <stdbool.h>
#include <stddef.h>

#define DROP_INVALID -134
#define DROP_SHORT -135
#define DROP_CLASS -140
#define CTX_ACT_OK TC_ACT_OK
#define CTX_ACT_DROP TC_ACT_SHOT
#define CB_CLASS 0
#define CB_REASON 1
#define CB_HASH 2

#define ctx_load_bytes bpf_skb_load_bytes
#define likely(X) __builtin_expect(!!(X), 1)
#define unlikely(X) __builtin_expect(!!(X), 0)

#define SKETCH_ROWS 4
#define SKETCH_COLUMNS 1024

enum class_id { CLASS_BULK = 1, CLASS_DEFAULT, CLASS_INTERACTIVE, CLASS_REALTIME, CLASS_MAX };

struct class_policy {
    __u32 classid;
    __u32 priority;
    __u32 bytes_per_ms;
    __u32 flags;
};

struct sketch {
    __u32 cells[SKETCH_ROWS][SKETCH_COLUMNS];
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, CLASS_MAX);
    __type(key, __u32);
    __type(value, struct class_policy);
} class_policies SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 512);
    __type(key, __u16);
    __type(value, __u8);
} port_classes SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct sketch);
} sketches SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, CLASS_MAX);
    __type(key, __u32);
    __type(value, __u64);
} departures SEC(".maps");

static __always_inline bool revalidate(struct __sk_buff* ctx, void** data, void** end, void** l3,
                                       __u32 size) {
    *data = (void*)(long)ctx->data;
    *end = (void*)(long)ctx->data_end;
    if (unlikely(*data + ETH_HLEN + size > *end)) {
        if (bpf_skb_pull_data(ctx, ETH_HLEN + size)) return false;
        *data = (void*)(long)ctx->data;
        *end = (void*)(long)ctx->data_end;
        if (*data + ETH_HLEN + size > *end) return false;
    }
    *l3 = *data + ETH_HLEN;
    return true;
}

static __always_inline int class_by_dscp(__u8 tos) {
    __u8 dscp = tos >> 2;
    if (dscp == 46 || dscp == 44) return CLASS_REALTIME;
    if (dscp >= 24 && dscp < 40) return CLASS_INTERACTIVE;
    if (dscp == 8) return CLASS_BULK;
    return 0;
}

static __always_inline int class_by_port(__be16 sport, __be16 dport) {
    __u16 port = bpf_ntohs(dport);
    __u8* c = bpf_map_lookup_elem(&port_classes, &port);
    if (c) return *c;
    port = bpf_ntohs(sport);
    c = bpf_map_lookup_elem(&port_classes, &port);
    return c ? *c : 0;
}

// Smallest of the cells after counting: never below what the flow sent.
static __always_inline __u32 sketch_add(__u32 hash, __u32 bytes) {
    __u32 zero = 0, least = ~0u;
    struct sketch* s = bpf_map_lookup_elem(&sketches, &zero);
    if (!s) return 0;
#pragma unroll
    for (int row = 0; row < SKETCH_ROWS; row++) {
        hash = hash * 0x9e3779b1u + row;
#if BREAK == 1
        __u32 column = hash >> 21;
#else
        __u32 column = hash >> 22;
#endif
        __u32* cell = &s->cells[row][column];
        *cell += bytes;
        if (*cell < least) least = *cell;
    }
    return least;
}

static __always_inline int l4_ports(struct __sk_buff* ctx, __u8 proto, __u32 off, __be16* ports) {
    switch (proto) {
    case IPPROTO_TCP:
    case IPPROTO_UDP:
    case IPPROTO_SCTP: return ctx_load_bytes(ctx, off, ports, 4) < 0 ? DROP_SHORT : 0;
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6: return 0;
    default: return DROP_INVALID;
    }
}

static __always_inline int classify(struct __sk_buff* ctx, __u32* class) {
    void *data, *end;
    __be16 ports[2] = {};
    int c, ret;
    __u8 proto, tos;
    __u32 l4;

    if (ctx->protocol == bpf_htons(ETH_P_IP)) {
        struct iphdr* ip4;
        if (!revalidate(ctx, &data, &end, (void**)&ip4, sizeof(*ip4))) return DROP_SHORT;
        proto = ip4->protocol;
        tos = ip4->tos;
        l4 = ETH_HLEN + ip4->ihl * 4;
    } else if (ctx->protocol == bpf_htons(ETH_P_IPV6)) {
        struct ipv6hdr* ip6;
        if (!revalidate(ctx, &data, &end, (void**)&ip6, sizeof(*ip6))) return DROP_SHORT;
        proto = ip6->nexthdr;
        tos = bpf_ntohs(*(__be16*)ip6) >> 4;
        l4 = ETH_HLEN + sizeof(*ip6);
    } else {
        *class = CLASS_DEFAULT;
        return 0;
    }
    c = class_by_dscp(tos);
    if (!c) {
        ret = l4_ports(ctx, proto, l4, ports);
        if (ret == DROP_SHORT) return ret;
        if (!ret) c = class_by_port(ports[0], ports[1]);
    }
    if (!c) {
        __u32 hash = bpf_get_hash_recalc(ctx);
        ctx->cb[CB_HASH] = hash;
        c = sketch_add(hash, ctx->len) > 10000000 ? CLASS_BULK : CLASS_DEFAULT;
    }
    *class = c;
    return 0;
}

static __always_inline int send_drop_notify(struct __sk_buff* ctx, int reason) {
    ctx->cb[CB_REASON] = -reason;
    return CTX_ACT_DROP;
}

SEC("tc")
BROKEN(1, "invalid access to map value")
BROKEN(2, "invalid bpf_context access off=0 size=4")
BROKEN(3, "invalid bpf_context access off=80")
int egress_classify(struct __sk_buff* ctx) {
    __u32 class = 0;
    if (ctx->mark & 0xff00) {
        class = (ctx->mark >> 8) & 0xff;
    } else {
        int ret = classify(ctx, &class);
        if (ret < 0) return send_drop_notify(ctx, ret);
    }
    if (class >= CLASS_MAX) return send_drop_notify(ctx, DROP_CLASS);
    struct class_policy* p = bpf_map_lookup_elem(&class_policies, &class);
    __u64* departure = bpf_map_lookup_elem(&departures, &class);
    if (!p || !departure) return send_drop_notify(ctx, DROP_CLASS);
    ctx->tc_classid = p->classid;
    ctx->priority = p->priority;
    ctx->queue_mapping = class;
    ctx->cb[CB_CLASS] = class;
#if BREAK == 2
    *(volatile __u32*)&ctx->len = 0;
#elif BREAK == 3
    *(volatile __u32*)&ctx->data_end = 0;
#endif
    if (p->bytes_per_ms) {
        __u64 now = bpf_ktime_get_ns();
        __u64 at = *departure > now ? *departure : now;
        at += (__u64)ctx->len * 1000000 / p->bytes_per_ms;
        *departure = at;
        if (at - now > 2000000000ull) return send_drop_notify(ctx, DROP_CLASS);
        if (ctx->tstamp < at) ctx->tstamp = at;
    }
    return CTX_ACT_OK;
}

SEC("tc")
int ingress_mirror(struct __sk_buff* ctx) {
    __u32 class = ctx->cb[CB_CLASS];
    if (class == 0 || class >= CLASS_MAX) class = CLASS_DEFAULT;
    struct class_policy* p = bpf_map_lookup_elem(&class_policies, &class);
    if (p && p->flags & 1) bpf_clone_redirect(ctx, ctx->ifindex, BPF_F_INGRESS);
    if (p && p->flags & 2) {
        bpf_skb_change_type(ctx, 0);
        return bpf_redirect_peer(ctx->ifindex, 0);
    }
    return CTX_ACT_OK;
}

LICENSED;
