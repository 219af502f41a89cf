// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// A stage machine of tail calls: Ethernet, IPv4 or IPv6, transport, policy,
// end. The programs stand in the array that the object declares; what one
// learnt goes to the next through a per-CPU map. A tail call from a sub-program
// and one with an index that only the packet knows are among them.
//
// Style: cilium: calls by number, a scratch map, missed calls are drops.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

enum { STAGE_V4 = 1, STAGE_V6, STAGE_L4, STAGE_POLICY, STAGE_END, STAGES = 8 };

struct scratch {
    __u32 offset;
    __u32 visited;
    __u32 src, dst;
    __u16 sport, dport;
    __u8 proto;
    __u8 family;
    __u8 verdict;
    __u8 pad;
};

int stage_v4(struct xdp_md* ctx);
int stage_v6(struct xdp_md* ctx);
int stage_l4(struct xdp_md* ctx);
int stage_policy(struct xdp_md* ctx);
int stage_end(struct xdp_md* ctx);

struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, STAGES);
    __type(key, __u32);
    __array(values, int(struct xdp_md*));
} stages SEC(".maps") = {.values = {[STAGE_V4] = &stage_v4,
                                    [STAGE_V6] = &stage_v6,
                                    [STAGE_L4] = &stage_l4,
                                    [STAGE_POLICY] = &stage_policy,
                                    [STAGE_END] = &stage_end}};

struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 256);
    __type(key, __u32);
    __type(value, __u32);
} by_protocol SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct scratch);
} pass_along SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, STAGES * 2);
    __type(key, __u32);
    __type(value, __u64);
} stage_stats SEC(".maps");

static __always_inline struct scratch* scratch(void) {
    __u32 zero = 0;
    return bpf_map_lookup_elem(&pass_along, &zero);
}

static __always_inline void reached(struct scratch* s, __u32 stage) {
    s->visited |= 1u << stage;
    __u64* n = bpf_map_lookup_elem(&stage_stats, &stage);
    if (n) ++*n;
}

static __always_inline int missed(__u32 stage) {
    stage += STAGES;
    __u64* n = bpf_map_lookup_elem(&stage_stats, &stage);
    if (n) ++*n;
    return XDP_DROP;
}

// Tail call in a sub-program.
static __noinline int go_to_policy(struct xdp_md* ctx, __u32 why) {
    bpf_tail_call(ctx, &stages, STAGE_POLICY);
    return missed(STAGE_POLICY) + (why & 0);
}

SEC("xdp")
BROKEN(2, "R2 type=map_value expected=map_ptr")
BROKEN(3, "expected prog array map for tail call")
BROKEN(4, "tail_call would lead to reference leak")
int stage_ethernet(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    struct scratch* s = scratch();
    if (!s || (void*)(eth + 1) > end) return XDP_DROP;
    __builtin_memset(s, 0, sizeof(*s));
    s->offset = sizeof(*eth);
    reached(s, 0);
#if BREAK == 2
    bpf_tail_call(ctx, s, STAGE_V4);
#elif BREAK == 3
    bpf_tail_call(ctx, &pass_along, STAGE_V4);
#elif BREAK == 4
    struct bpf_sock_tuple t = {};
    struct bpf_sock* sk = bpf_sk_lookup_tcp(ctx, &t, sizeof(t.ipv4), -1, 0);
    bpf_tail_call(ctx, &stages, STAGE_V4);
    if (sk) bpf_sk_release(sk);
#endif
    switch (bpf_ntohs(eth->h_proto)) {
    case ETH_P_IP: bpf_tail_call(ctx, &stages, STAGE_V4); return missed(STAGE_V4);
    case ETH_P_IPV6: bpf_tail_call(ctx, &stages, STAGE_V6); return missed(STAGE_V6);
    }
    return XDP_PASS;
}

SEC("xdp")
int stage_v4(struct xdp_md* ctx) {
    struct scratch* s = scratch();
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct iphdr* ip = data + sizeof(struct ethhdr);
    if (!s || (void*)(ip + 1) > end || ip->ihl < 5) return XDP_DROP;
    reached(s, STAGE_V4);
    s->family = 4;
    s->src = ip->saddr;
    s->dst = ip->daddr;
    s->proto = ip->protocol;
    s->offset += ip->ihl * 4;
    __u32 proto = ip->protocol;
    bpf_tail_call(ctx, &by_protocol, proto); // whoever registered
    bpf_tail_call(ctx, &stages, STAGE_L4);
    return missed(STAGE_L4);
}

SEC("xdp")
int stage_v6(struct xdp_md* ctx) {
    struct scratch* s = scratch();
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ipv6hdr* ip6 = data + sizeof(struct ethhdr);
    if (!s || (void*)(ip6 + 1) > end) return XDP_DROP;
    reached(s, STAGE_V6);
    s->family = 6;
    s->src = ip6->saddr.in6_u.u6_addr32[0] ^ ip6->saddr.in6_u.u6_addr32[3];
    s->dst = ip6->daddr.in6_u.u6_addr32[0] ^ ip6->daddr.in6_u.u6_addr32[3];
    s->proto = ip6->nexthdr;
    s->offset += sizeof(*ip6);
    __u32 next = s->proto == IPPROTO_ICMPV6 ? STAGE_END : STAGE_L4;
    bpf_tail_call(ctx, &stages, next);
    return missed(next);
}

SEC("xdp")
BROKEN(1, "tail_calls are not allowed when call stack of previous frames is")
BROKEN(5, "invalid access to packet")
int stage_l4(struct xdp_md* ctx) {
    struct scratch* s = scratch();
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    if (!s) return XDP_DROP;
    reached(s, STAGE_L4);
    if (s->proto != IPPROTO_TCP && s->proto != IPPROTO_UDP) return go_to_policy(ctx, 1);
    __u32 offset = s->offset;
#if BREAK == 1
    volatile char big[300];
    big[offset & 255] = 1;
    barrier();
    if (big[17]) offset++;
#endif
#if BREAK != 5
    if (offset > 256) return XDP_DROP;
#endif
    __be16* ports = data + offset;
    if ((void*)(ports + 2) > end) return XDP_DROP;
    s->sport = bpf_ntohs(ports[0]);
    s->dport = bpf_ntohs(ports[1]);
    return go_to_policy(ctx, 2);
}

SEC("xdp")
int stage_policy(struct xdp_md* ctx) {
    struct scratch* s = scratch();
    if (!s) return XDP_DROP;
    reached(s, STAGE_POLICY);
    s->verdict = s->dport == 22 || s->src == s->dst ? XDP_DROP : XDP_PASS;
    bpf_tail_call(ctx, &stages, STAGE_END);
    return missed(STAGE_END);
}

SEC("xdp")
int stage_end(struct xdp_md* ctx) {
    struct scratch* s = scratch();
    if (!s) return XDP_DROP;
    reached(s, STAGE_END);
    if (!(s->visited & 1)) return XDP_ABORTED;
    return s->verdict ? s->verdict & 3 : XDP_PASS;
}

LICENSED;
