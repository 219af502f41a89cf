// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// Connection tracking for a stateful firewall: a TCP state machine driven by a
// table, UDP by time, both directions of a flow in one LRU entry under a key
// whose ends are sorted. Only the inside may open connections.
//
// Style: libbpf with static noinline functions and a context struct on the
// stack.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <stddef.h>

#define NS_PER_SEC 1000000000ull

enum tcp_state {
    TCP_NONE,
    TCP_SYN_SENT,
    TCP_SYN_RECV,
    TCP_ESTABLISHED,
    TCP_FIN_WAIT,
    TCP_CLOSE_WAIT,
    TCP_LAST_ACK,
    TCP_TIME_WAIT,
    TCP_CLOSE,
    TCP_STATES,
    TCP_IGNORE = 0xfe,
    TCP_BAD = 0xff
};

enum tcp_event { EV_SYN, EV_SYNACK, EV_FIN, EV_ACK, EV_RST, EV_NONE, EVENTS };

// What [direction][event][state] leads to.
static const __u8 transitions[2][EVENTS][TCP_STATES] = {
    {
        [EV_SYN] = {TCP_SYN_SENT, TCP_SYN_SENT, TCP_IGNORE, TCP_IGNORE, TCP_IGNORE, TCP_IGNORE, TCP_IGNORE,
                    TCP_SYN_SENT, TCP_SYN_SENT},
        [EV_SYNACK] = {TCP_BAD, TCP_BAD, TCP_SYN_RECV, TCP_BAD, TCP_BAD, TCP_BAD, TCP_BAD, TCP_BAD, TCP_BAD},
        [EV_FIN] = {TCP_BAD, TCP_BAD, TCP_FIN_WAIT, TCP_FIN_WAIT, TCP_LAST_ACK, TCP_LAST_ACK, TCP_LAST_ACK,
                    TCP_TIME_WAIT, TCP_CLOSE},
        [EV_ACK] = {TCP_ESTABLISHED, TCP_BAD, TCP_ESTABLISHED, TCP_ESTABLISHED, TCP_CLOSE_WAIT,
                    TCP_CLOSE_WAIT, TCP_TIME_WAIT, TCP_TIME_WAIT, TCP_CLOSE},
        [EV_RST] = {TCP_BAD, TCP_CLOSE, TCP_CLOSE, TCP_CLOSE, TCP_CLOSE, TCP_CLOSE, TCP_CLOSE, TCP_CLOSE,
                    TCP_CLOSE},
        [EV_NONE] = {TCP_BAD, TCP_BAD, TCP_BAD, TCP_BAD, TCP_BAD, TCP_BAD, TCP_BAD, TCP_BAD, TCP_BAD},
    },
    {
        [EV_SYN] = {TCP_BAD, TCP_SYN_RECV, TCP_BAD, TCP_BAD, TCP_BAD, TCP_BAD, TCP_BAD, TCP_SYN_SENT,
                    TCP_BAD},
        [EV_SYNACK] = {TCP_BAD, TCP_SYN_RECV, TCP_IGNORE, TCP_IGNORE, TCP_IGNORE, TCP_IGNORE, TCP_IGNORE,
                       TCP_IGNORE, TCP_IGNORE},
        [EV_FIN] = {TCP_BAD, TCP_BAD, TCP_FIN_WAIT, TCP_FIN_WAIT, TCP_LAST_ACK, TCP_LAST_ACK, TCP_LAST_ACK,
                    TCP_TIME_WAIT, TCP_CLOSE},
        [EV_ACK] = {TCP_BAD, TCP_IGNORE, TCP_SYN_RECV, TCP_ESTABLISHED, TCP_CLOSE_WAIT, TCP_CLOSE_WAIT,
                    TCP_TIME_WAIT, TCP_TIME_WAIT, TCP_CLOSE},
        [EV_RST] = {TCP_BAD, TCP_CLOSE, TCP_CLOSE, TCP_CLOSE, TCP_CLOSE, TCP_CLOSE, TCP_CLOSE, TCP_CLOSE,
                    TCP_CLOSE},
        [EV_NONE] = {TCP_BAD, TCP_BAD, TCP_BAD, TCP_BAD, TCP_BAD, TCP_BAD, TCP_BAD, TCP_BAD, TCP_BAD},
    }};

static const __u32 lifetimes[TCP_STATES] = {0, 120, 60, 432000, 120, 60, 30, 120, 10};

struct ct_key {
    __be32 low_addr;
    __be32 high_addr;
    __be16 low_port;
    __be16 high_port;
    __u8 proto;
    __u8 pad[3];
};

struct ct_entry {
    __u64 expires;
    __u64 packets[2];
    __u64 bytes[2];
    __u32 last_end[2];   // highest sequence number seen, plus its length
    __u32 max_window[2]; // the largest window offered
    __u8 state;
    __u8 swapped; // the opener was the high end of the key
    __u8 scale[2];
    __u32 mark;
};

struct ct_ctx {
    struct ct_key key;
    __u32 length;
    __u32 seq;
    __u32 ack;
    __u32 payload;
    __u16 window;
    __u8 event;
    __u8 swapped;
    __u8 outbound;
};

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __type(key, struct ct_key);
    __type(value, struct ct_entry);
    __uint(max_entries, 65536);
} connections SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __type(key, __u32);
    __type(value, __u64);
    __uint(max_entries, 16);
} ct_stats SEC(".maps");

const volatile __u32 inside_ifindex = 2;

enum { CT_NEW, CT_HIT, CT_INVALID, CT_EXPIRED, CT_TABLE_FULL, CT_UNSOLICITED, CT_OUT_OF_WINDOW, CT_OTHER };

static void count(__u32 what) {
    __u64* n = bpf_map_lookup_elem(&ct_stats, &what);
    if (n) (*n)++;
}

static __noinline int event_of(const struct tcphdr* tcp) {
    if (tcp->rst) return EV_RST;
    if (tcp->syn) return tcp->ack ? EV_SYNACK : EV_SYN;
    if (tcp->fin) return EV_FIN;
    return tcp->ack ? EV_ACK : EV_NONE;
}

static __always_inline void sort_ends(struct ct_ctx* c, const struct iphdr* ip, __be16 sport, __be16 dport) {
    if (ip->saddr < ip->daddr || (ip->saddr == ip->daddr && sport < dport)) {
        c->key.low_addr = ip->saddr, c->key.high_addr = ip->daddr;
        c->key.low_port = sport, c->key.high_port = dport;
        c->swapped = 0;
    } else {
        c->key.low_addr = ip->daddr, c->key.high_addr = ip->saddr;
        c->key.low_port = dport, c->key.high_port = sport;
        c->swapped = 1;
    }
}

// 1: the segment may be of this connection.
static __noinline int in_window(const struct ct_entry* e, const struct ct_ctx* c, __u32 dir) {
    dir &= 1;
    __u32 other = dir ^ 1;
    if (e->last_end[dir] == 0) return 1;
    __u32 window = e->max_window[other];
    __s32 ahead = (__s32)(c->seq + c->payload - e->last_end[dir]);
    if (ahead > (__s32)window) return 0;
    if (ahead < -(__s32)window - 66000) return 0;
    return 1;
}

static __noinline void learn(struct ct_entry* e, const struct ct_ctx* c, __u32 dir) {
    dir &= 1;
    __u32 end = c->seq + c->payload;
    if ((__s32)(end - e->last_end[dir]) > 0 || e->last_end[dir] == 0) e->last_end[dir] = end;
    __u32 window = (__u32)c->window << (e->scale[dir] & 15);
    if (window > e->max_window[dir]) e->max_window[dir] = window;
}

static __noinline int track_existing(struct ct_entry* e, const struct ct_ctx* c, __u64 now) {
    __u32 dir = (e->swapped != c->swapped) & 1;
    e->packets[dir]++;
    e->bytes[dir] += c->length;
    if (c->key.proto != IPPROTO_TCP) {
        e->expires = now + (e->packets[1] ? 180 : 30) * NS_PER_SEC;
        return XDP_PASS;
    }
    __u32 state = e->state;
    __u32 event = c->event;
#if BREAK != 1
    if (state >= TCP_STATES || event >= EVENTS) return XDP_DROP;
#endif
    __u8 next = transitions[dir][event][state];
    if (next == TCP_BAD) {
        count(CT_INVALID);
        return XDP_DROP;
    }
    if (!in_window(e, c, dir)) {
        count(CT_OUT_OF_WINDOW);
        return XDP_DROP;
    }
    learn(e, c, dir);
    if (next != TCP_IGNORE) {
        e->state = next;
        if (next < TCP_STATES) e->expires = now + lifetimes[next] * NS_PER_SEC;
    }
    count(CT_HIT);
    return XDP_PASS;
}

static __noinline int track_new(struct ct_ctx* c, __u64 now) {
    struct ct_entry fresh = {};
    if (!c->outbound) {
        count(CT_UNSOLICITED);
        return XDP_DROP;
    }
    if (c->key.proto == IPPROTO_TCP) {
        if (c->event != EV_SYN) {
            count(CT_INVALID);
            return XDP_DROP;
        }
        fresh.state = TCP_SYN_SENT;
        fresh.expires = now + lifetimes[TCP_SYN_SENT] * NS_PER_SEC;
        fresh.last_end[0] = c->seq + 1;
        fresh.max_window[0] = c->window;
    } else {
        fresh.expires = now + 30 * NS_PER_SEC;
    }
    fresh.swapped = c->swapped;
    fresh.packets[0] = 1;
    fresh.bytes[0] = c->length;
    if (bpf_map_update_elem(&connections, &c->key, &fresh, BPF_NOEXIST)) {
        count(CT_TABLE_FULL);
        return XDP_DROP;
    }
    count(CT_NEW);
    return XDP_PASS;
}

static __always_inline int parse(struct xdp_md* ctx, struct ct_ctx* c) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    struct iphdr* ip = data + sizeof(*eth);
    if ((void*)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP)) return -1;
    __u32 ihl = ip->ihl * 4;
    if (ihl < sizeof(*ip) || ip->frag_off & bpf_htons(0x3fff)) return -1;
    c->length = bpf_ntohs(ip->tot_len);
    c->key.proto = ip->protocol;
    void* l4 = (void*)ip + ihl;
    if (ip->protocol == IPPROTO_TCP) {
        struct tcphdr* tcp = l4;
        if ((void*)(tcp + 1) > end) return -1;
        __u32 header = ihl + tcp->doff * 4;
        c->payload = c->length > header ? c->length - header : 0;
        c->payload += tcp->syn + tcp->fin;
        c->seq = bpf_ntohl(tcp->seq);
        c->ack = bpf_ntohl(tcp->ack_seq);
        c->window = bpf_ntohs(tcp->window);
        c->event = event_of(tcp);
        sort_ends(c, ip, tcp->source, tcp->dest);
        return 0;
    }
    if (ip->protocol == IPPROTO_UDP) {
        struct udphdr* udp = l4;
#if BREAK == 2
        if ((void*)udp > end) return -1;
#else
        if ((void*)(udp + 1) > end) return -1;
#endif
        sort_ends(c, ip, udp->source, udp->dest);
        return 0;
    }
    return -1;
}

SEC("xdp")
BROKEN(1, "invalid access to map value")
BROKEN(2, "invalid access to packet")
BROKEN(3, "invalid mem access 'map_value_or_null'")
int track(struct xdp_md* ctx) {
    struct ct_ctx c = {};
    c.outbound = ctx->ingress_ifindex == inside_ifindex;
    if (parse(ctx, &c) < 0) {
        count(CT_OTHER);
        return XDP_PASS;
    }
    __u64 now = bpf_ktime_get_ns();
    struct ct_entry* e = bpf_map_lookup_elem(&connections, &c.key);
#if BREAK == 3
    if (e->expires > now) return track_existing(e, &c, now);
#else
    if (e && e->expires > now) return track_existing(e, &c, now);
#endif
    if (e) {
        count(CT_EXPIRED);
        bpf_map_delete_elem(&connections, &c.key);
    }
    return track_new(&c, now);
}

LICENSED;
