// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// Source NAT for IPv4 in XDP: TCP, UDP and ICMP echo; ports from a block for
// each inside host, found by probing; both directions in one table; checksums
// by difference; hairpins and static mappings.
//
// Style: two-step: classify into a plan, then apply the plan.
#include "include/corpus.h"
#include "include/icmp.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#define PORT_FIRST 1024
#define PORT_BLOCK 512
#define PROBES 16

struct nat_key {
    __be32 addr;
    __be32 peer;
    __be16 port;
    __be16 peer_port;
    __u8 proto;
    __u8 out;
    __u16 zero;
};

struct nat_entry {
    __be32 addr;
    __be16 port;
    __u16 flags;
    __u64 used;
};

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 131072);
    __type(key, struct nat_key);
    __type(value, struct nat_entry);
} nat_table SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1024);
    __type(key, __be32);
    __type(value, __be32);
} static_nat SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 16);
    __type(key, __u32);
    __type(value, __u64);
} nat_stats SEC(".maps");

const volatile __be32 outside_address = 0x010200c0;
const volatile __be32 inside_net = 0x0000000a;
const volatile __be32 inside_mask = 0x000000ff;

enum { N_OUT, N_IN, N_NEW, N_NO_PORT, N_NO_ENTRY, N_OTHER, N_SHORT };

struct plan {
    __be32 old_addr, new_addr;
    __be16 old_port, new_port;
    __u8 proto;
    __u8 source; // rewrite the source, else the destination
};

struct view {
    struct ethhdr* eth;
    struct iphdr* ip;
    void* l4;
    void* end;
    __be16 sport, dport;
};

static __always_inline void count(__u32 what) {
    __u64* n = bpf_map_lookup_elem(&nat_stats, &what);
    if (n) ++*n;
}

static __always_inline int look(struct xdp_md* ctx, struct view* v) {
    v->eth = (void*)(long)ctx->data;
    v->end = (void*)(long)ctx->data_end;
    v->ip = (void*)(v->eth + 1);
    if ((void*)(v->ip + 1) > v->end || v->eth->h_proto != bpf_htons(ETH_P_IP)) return -1;
    if (v->ip->ihl != 5 || v->ip->frag_off & bpf_htons(0x3fff)) return -1;
    v->l4 = v->ip + 1;
    switch (v->ip->protocol) {
    case IPPROTO_TCP: {
        struct tcphdr* t = v->l4;
        if ((void*)(t + 1) > v->end) return -1;
        v->sport = t->source, v->dport = t->dest;
        return 0;
    }
    case IPPROTO_UDP: {
        struct udphdr* u = v->l4;
        if ((void*)(u + 1) > v->end) return -1;
        v->sport = u->source, v->dport = u->dest;
        return 0;
    }
    case IPPROTO_ICMP: {
        struct icmphdr* i = v->l4;
#if BREAK != 1
        if ((void*)(i + 1) > v->end) return -1;
#endif
        if (i->type != ICMP_ECHO && i->type != ICMP_ECHOREPLY) return -1;
        v->sport = v->dport = i->un.echo.id;
        return 0;
    }
    }
    return -1;
}

static __always_inline __u16 mend(__u16 check, __u32 from, __u32 to) {
    __u32 sum = (__u16)~check;
    sum += (__u16) ~(from & 0xffff);
    sum += (__u16) ~(from >> 16);
    sum += to & 0xffff;
    sum += to >> 16;
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return ~sum;
}

static __always_inline int apply(struct view* v, const struct plan* p) {
    struct iphdr* ip = v->ip;
    __u32 from_ports = p->old_port, to_ports = p->new_port;
    ip->check = mend(ip->check, p->old_addr, p->new_addr);
    if (p->source)
        ip->saddr = p->new_addr;
    else
        ip->daddr = p->new_addr;
    if (p->proto == IPPROTO_TCP) {
        struct tcphdr* t = v->l4;
        if ((void*)(t + 1) > v->end) return XDP_DROP;
        t->check = mend(mend(t->check, p->old_addr, p->new_addr), from_ports, to_ports);
        if (p->source)
            t->source = p->new_port;
        else
            t->dest = p->new_port;
    } else if (p->proto == IPPROTO_UDP) {
        struct udphdr* u = v->l4;
        if ((void*)(u + 1) > v->end) return XDP_DROP;
        if (u->check) {
            u->check = mend(mend(u->check, p->old_addr, p->new_addr), from_ports, to_ports);
            if (!u->check) u->check = 0xffff;
        }
        if (p->source)
            u->source = p->new_port;
        else
            u->dest = p->new_port;
    } else {
        struct icmphdr* i = v->l4;
        if ((void*)(i + 1) > v->end) return XDP_DROP;
        i->checksum = mend(i->checksum, from_ports, to_ports);
        i->un.echo.id = p->new_port;
    }
    return XDP_PASS;
}

static __always_inline int inside(__be32 a) { return (a & inside_mask) == inside_net; }

// A port of the host's block that nobody uses towards this peer.
static __noinline __u16 pick_port(struct nat_key* back, __be32 host) {
    __u32 block = (bpf_ntohl(host) * 2654435761u) >> 25;
    __u32 start = bpf_get_prandom_u32();
    for (int i = 0; i < PROBES; i++) {
        __u32 port = PORT_FIRST + block * PORT_BLOCK % 64000 + ((start + i) & (PORT_BLOCK - 1));
        back->port = bpf_htons(port);
        if (!bpf_map_lookup_elem(&nat_table, back)) return port;
    }
    return 0;
}

static __noinline int new_mapping(struct nat_key* key, struct nat_entry* e) {
    struct nat_key back = {.addr = outside_address, .peer = key->peer, .peer_port = key->peer_port};
    back.proto = key->proto;
    __be32* fixed = bpf_map_lookup_elem(&static_nat, &key->addr);
    if (fixed) {
        back.addr = *fixed;
        back.port = key->port;
    } else if (!pick_port(&back, key->addr)) {
        count(N_NO_PORT);
        return -1;
    }
    e->addr = back.addr;
    e->port = back.port;
    e->used = bpf_ktime_get_coarse_ns();
    struct nat_entry in = {.addr = key->addr, .port = key->port, .used = e->used};
    if (bpf_map_update_elem(&nat_table, &back, &in, BPF_NOEXIST)) return -1;
    if (bpf_map_update_elem(&nat_table, key, e, BPF_ANY)) {
        bpf_map_delete_elem(&nat_table, &back);
        return -1;
    }
    count(N_NEW);
    return 0;
}

SEC("xdp")
BROKEN(1, "invalid access to packet")
BROKEN(2, "invalid mem access 'map_value_or_null'")
BROKEN(3, "R3 type=scalar expected=fp")
int nat_out(struct xdp_md* ctx) {
    struct view v;
    if (look(ctx, &v) || !inside(v.ip->saddr) || inside(v.ip->daddr)) {
        count(N_OTHER);
        return XDP_PASS;
    }
    struct nat_key key = {.addr = v.ip->saddr, .peer = v.ip->daddr, .port = v.sport, .peer_port = v.dport};
    key.proto = v.ip->protocol;
    key.out = 1;
    struct nat_entry fresh = {};
    struct nat_entry* e = bpf_map_lookup_elem(&nat_table, &key);
#if BREAK != 2
    if (!e) {
        if (new_mapping(&key, &fresh)) return XDP_DROP;
        e = &fresh;
    } else {
        e->used = bpf_ktime_get_coarse_ns();
    }
#endif
#if BREAK == 3
    bpf_map_update_elem(&nat_table, &key, (void*)(long)v.sport, 0);
#endif
    struct plan p = {.old_addr = key.addr, .new_addr = e->addr, .old_port = key.port, .new_port = e->port};
    p.proto = key.proto;
    p.source = 1;
    count(N_OUT);
    return apply(&v, &p);
}

SEC("xdp")
BROKEN(1, "invalid access to packet")
BROKEN(4, "invalid access to packet")
int nat_in(struct xdp_md* ctx) {
    struct view v;
    if (look(ctx, &v)) return XDP_PASS;
    struct nat_key key = {.addr = v.ip->daddr, .peer = v.ip->saddr, .port = v.dport, .peer_port = v.sport};
    key.proto = v.ip->protocol;
    struct nat_entry* e = bpf_map_lookup_elem(&nat_table, &key);
    if (!e) {
        count(N_NO_ENTRY);
        return key.addr == outside_address ? XDP_DROP : XDP_PASS;
    }
    e->used = bpf_ktime_get_coarse_ns();
    struct plan p = {.old_addr = key.addr, .new_addr = e->addr, .old_port = key.port, .new_port = e->port};
    p.proto = key.proto;
#if BREAK == 4
    ((struct tcphdr*)v.l4)->urg_ptr = 0;
#endif
    count(N_IN);
    return apply(&v, &p);
}

LICENSED;
