// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// A parser by recursive descent without recursion: one noinline function for
// each layer, eight frames deep with the program itself, all working on one
// cursor in the outermost frame.
//
// Style: static noinline chain; pointers to the callers' stack.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/udp.h>

struct cursor {
    void* pos;
    void* end;
    __u32 depth;
    __u32 findings;
    __u16 ports[2];
    __u8 path[8];
};

__u64 findings_seen[16];

#define DEEPER(c) ((c)->depth < 7 ? (c)->path[(c)->depth++ & 7] = __LINE__ & 0xff : 0)

static __noinline int payload(struct cursor* c, __u32 port) {
    __u8* b = c->pos;
    if ((void*)(b + 4) > c->end) return 0;
    if (b[0] == 'G' && b[1] == 'E' && b[2] == 'T' && b[3] == ' ') c->findings |= 1;
    if (b[0] == 0x16 && b[1] == 3) c->findings |= 2;
    if (port == 53 && b[2] & 0x80) c->findings |= 4;
#if BREAK == 1
    return b[4];
#else
    return b[0];
#endif
}

static __noinline int tcp_payload(struct cursor* c, struct tcphdr* tcp) {
#if BREAK == 2
    volatile __u64 waste[30];
    for (int i = 0; i < 30; i++) waste[i] = i;
    c->findings += waste[3] & 0;
#endif
    c->pos = (void*)tcp + tcp->doff * 4;
    DEEPER(c);
    return payload(c, bpf_ntohs(tcp->dest));
}

static __noinline int transport(struct cursor* c, __u8 proto) {
#if BREAK == 2
    volatile __u64 waste[30];
    for (int i = 0; i < 30; i++) waste[i] = i;
    c->findings += waste[3] & 0;
#endif
    DEEPER(c);
    if (proto == IPPROTO_TCP) {
        struct tcphdr* tcp = c->pos;
        if ((void*)(tcp + 1) > c->end) return -1;
        c->ports[0] = tcp->source;
        c->ports[1] = tcp->dest;
        return tcp_payload(c, tcp);
    }
    if (proto == IPPROTO_UDP) {
        struct udphdr* udp = c->pos;
        if ((void*)(udp + 1) > c->end) return -1;
        c->ports[0] = udp->source;
        c->ports[1] = udp->dest;
        c->pos = udp + 1;
        return payload(c, bpf_ntohs(udp->dest));
    }
    return 0;
}

static __noinline int inner_ip(struct cursor* c) {
    struct iphdr* ip = c->pos;
    DEEPER(c);
    if ((void*)(ip + 1) > c->end) return -1;
    c->pos = (void*)ip + ip->ihl * 4;
    return transport(c, ip->protocol);
}

static __noinline int gre(struct cursor* c) {
    __be16* h = c->pos;
    DEEPER(c);
    if ((void*)(h + 2) > c->end) return -1;
    __u32 size = 4;
    if (h[0] & bpf_htons(0x8000)) size += 4;
    if (h[0] & bpf_htons(0x2000)) size += 4;
    if (h[0] & bpf_htons(0x1000)) size += 4;
    if (h[1] != bpf_htons(ETH_P_IP)) return 0;
    c->pos += size;
    return inner_ip(c);
}

static __noinline int network(struct cursor* c) {
    struct iphdr* ip = c->pos;
    DEEPER(c);
    if ((void*)(ip + 1) > c->end) return -1;
    c->pos = (void*)ip + ip->ihl * 4;
    if (ip->protocol == IPPROTO_GRE) return gre(c);
    if (ip->protocol == IPPROTO_IPIP) return inner_ip(c);
    return transport(c, ip->protocol);
}

static __noinline int ethernet(struct cursor* c) {
    struct ethhdr* eth = c->pos;
    DEEPER(c);
    if ((void*)(eth + 1) > c->end) return -1;
    c->pos = eth + 1;
    if (eth->h_proto != bpf_htons(ETH_P_IP)) return 0;
    return network(c);
}

#if BREAK == 3
static __noinline int one_more(struct cursor* c) {
    int r = ethernet(c);
    barrier_var(r);
    return r + 1;
}
#define ethernet one_more
#endif

SEC("xdp")
BROKEN(1, "invalid access to packet")
BROKEN(2, "combined stack size of")
BROKEN(3, "the call stack of 9 frames is too deep")
int descend(struct xdp_md* ctx) {
    struct cursor c = {.pos = (void*)(long)ctx->data, .end = (void*)(long)ctx->data_end};
    int r = ethernet(&c);
    if (r < 0) return XDP_DROP;
    findings_seen[c.findings & 15]++;
    if (c.findings & 1 && c.ports[1] != bpf_htons(80)) return XDP_DROP;
    return XDP_PASS;
}

LICENSED;
