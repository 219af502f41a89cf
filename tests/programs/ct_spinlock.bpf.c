// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// Connection tracking with entries that several CPUs change at once: each has
// a spin lock. Connections per source are limited too, under a lock of their
// own.
//
// Style: two programs, one for each direction, that share macros.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>

struct tuple {
    __be32 client;
    __be32 server;
    __be16 cport;
    __be16 sport;
};

struct session {
    struct bpf_spin_lock lock;
    __u32 state;
    __u64 touched;
    __u64 bytes_up;
    __u64 bytes_down;
    __u32 packets_up;
    __u32 packets_down;
    __u32 isn_up;
    __u32 isn_down;
};

struct source {
    __u32 open;
    __u32 refused;
    struct bpf_spin_lock lock;
    __u64 window_start;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16384);
    __type(key, struct tuple);
    __type(value, struct session);
} sessions SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4096);
    __type(key, __be32);
    __type(value, struct source);
} sources SEC(".maps");

enum { S_NEW, S_HALF, S_OPEN, S_CLOSING };

#define LIMIT 100
#define WINDOW_NS 10000000000ull

#define LOCKED(lock, ...)                                                                                    \
    do {                                                                                                     \
        bpf_spin_lock(lock);                                                                                 \
        __VA_ARGS__;                                                                                         \
        bpf_spin_unlock(lock);                                                                               \
    } while (0)

struct headers {
    struct iphdr* ip;
    struct tcphdr* tcp;
};

static __always_inline int tcp_headers(struct __sk_buff* skb, struct headers* h) {
    void* data = (void*)(long)skb->data;
    void* end = (void*)(long)skb->data_end;
    if (skb->protocol != bpf_htons(ETH_P_IP)) return -1;
    h->ip = data + ETH_HLEN;
    h->tcp = (void*)(h->ip + 1);
    if ((void*)(h->tcp + 1) > end) return -1;
    if (h->ip->ihl != 5 || h->ip->protocol != IPPROTO_TCP) return -1;
    return 0;
}

static __always_inline int admit(__be32 client, __u64 now) {
    struct source* s = bpf_map_lookup_elem(&sources, &client);
    int refused = 0;
    if (!s) {
        struct source fresh = {.open = 1, .window_start = now};
        bpf_map_update_elem(&sources, &client, &fresh, BPF_NOEXIST);
        return 1;
    }
    bpf_spin_lock(&s->lock);
    if (now - s->window_start > WINDOW_NS) {
        s->window_start = now;
        s->open = 0;
    }
    if (s->open >= LIMIT) {
        s->refused++;
        refused = 1;
#if BREAK == 1
        return 0; // with the lock held
#endif
    } else {
        s->open++;
    }
    bpf_spin_unlock(&s->lock);
#if BREAK == 2
    bpf_spin_unlock(&s->lock);
#endif
    return !refused;
}

SEC("tc")
BROKEN(1, "BPF_EXIT instruction in main prog cannot be used inside bpf_spin_lock-ed region")
BROKEN(2, "bpf_spin_unlock without taking a lock")
BROKEN(3, "function calls are not allowed while holding a lock")
BROKEN(4, "bpf_spin_lock cannot be accessed directly by load/store")
int from_client(struct __sk_buff* skb) {
    struct headers h;
    if (tcp_headers(skb, &h)) return TC_ACT_OK;
    struct tuple t = {h.ip->saddr, h.ip->daddr, h.tcp->source, h.tcp->dest};
    __u32 seq = bpf_ntohl(h.tcp->seq);
    __u32 flags = ((__u8*)h.tcp)[13];
    __u64 now = bpf_ktime_get_ns();
    struct session* s = bpf_map_lookup_elem(&sessions, &t);
    if (!s) {
        if ((flags & 0x12) != 0x02) return TC_ACT_SHOT;
        if (!admit(t.client, now)) return TC_ACT_SHOT;
        struct session fresh = {.state = S_HALF, .touched = now, .isn_up = seq};
        fresh.packets_up = 1;
        fresh.bytes_up = skb->len;
        return bpf_map_update_elem(&sessions, &t, &fresh, BPF_NOEXIST) ? TC_ACT_SHOT : TC_ACT_OK;
    }
    int verdict = TC_ACT_OK;
    __u32 length = skb->len;
#if BREAK == 4
    *(volatile __u32*)&s->lock = 0;
#endif
    bpf_spin_lock(&s->lock);
#if BREAK == 3
    s->touched = bpf_ktime_get_ns();
#else
    s->touched = now;
#endif
    s->bytes_up += length;
    s->packets_up++;
    switch (s->state) {
    case S_HALF:
        if ((flags & 0x10) && seq == s->isn_up + 1) s->state = S_OPEN;
        break;
    case S_OPEN:
        if (flags & 0x05) s->state = S_CLOSING;
        break;
    case S_CLOSING:
        if (flags & 0x02) {
            s->state = S_HALF;
            s->isn_up = seq;
        }
        break;
    default: verdict = TC_ACT_SHOT;
    }
    bpf_spin_unlock(&s->lock);
    return verdict;
}

SEC("tc")
BROKEN(5, "bpf_spin_unlock of different lock")
int from_server(struct __sk_buff* skb) {
    struct headers h;
    if (tcp_headers(skb, &h)) return TC_ACT_OK;
    struct tuple t = {h.ip->daddr, h.ip->saddr, h.tcp->dest, h.tcp->source};
    __u32 seq = bpf_ntohl(h.tcp->seq), length = skb->len;
    __u32 fin_or_rst = h.tcp->fin | h.tcp->rst;
    __u32 synack = h.tcp->syn & h.tcp->ack;
    struct session* s = bpf_map_lookup_elem(&sessions, &t);
    if (!s) return TC_ACT_SHOT;
    __u64 now = bpf_ktime_get_ns();
    int closed = 0;
#if BREAK == 5
    struct source* other = bpf_map_lookup_elem(&sources, &t.client);
    if (!other) return TC_ACT_OK;
    bpf_spin_lock(&s->lock);
    s->touched = now;
    bpf_spin_unlock(&other->lock);
#else
    LOCKED(&s->lock, {
        s->touched = now;
        s->bytes_down += length;
        s->packets_down++;
        if (synack) s->isn_down = seq;
        if (fin_or_rst) {
            s->state = S_CLOSING;
            closed = 1;
        }
    });
#endif
    if (closed) {
        struct source* from = bpf_map_lookup_elem(&sources, &t.client);
        if (from) LOCKED(&from->lock, from->open -= from->open > 0);
    }
    return TC_ACT_OK;
}

LICENSED;
