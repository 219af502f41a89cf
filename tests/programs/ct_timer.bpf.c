// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// UDP sessions that end by themselves: every entry owns a timer, which deletes
// the entry or starts again if there was traffic meanwhile.
//
// Style: tc, early returns, a callback.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>

#ifndef CLOCK_MONOTONIC
#define CLOCK_MONOTONIC 1
#endif

#define IDLE_NS (30ull * 1000 * 1000 * 1000)
#define MAX_REARM 1000

struct udp_key {
    __be32 saddr;
    __be32 daddr;
    __be16 sport;
    __be16 dport;
};

struct udp_session {
    struct bpf_timer idle;
    __u64 last_seen;
    __u64 packets;
    __u32 rearmed;
    __u32 flags;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 8192);
    __type(key, struct udp_key);
    __type(value, struct udp_session);
} udp_sessions SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 1024);
    __type(key, struct udp_key);
    __type(value, __u64);
} ended SEC(".maps");

__u64 expired_sessions = 0;
__u64 rearmed_timers = 0;

static int on_idle(void* map, struct udp_key* key, struct udp_session* s) {
    __u64 now = bpf_ktime_get_ns();
    __u64 idle = now - s->last_seen;
    if (idle < IDLE_NS && s->rearmed < MAX_REARM) {
        s->rearmed++;
        __sync_fetch_and_add(&rearmed_timers, 1);
        bpf_timer_start(&s->idle, IDLE_NS - idle, 0);
        return 0;
    }
    __u64 packets = s->packets;
    bpf_map_update_elem(&ended, key, &packets, BPF_ANY);
    bpf_map_delete_elem(map, key);
    __sync_fetch_and_add(&expired_sessions, 1);
#if BREAK == 1
    return 1;
#else
    return 0;
#endif
}

static __noinline int open_session(struct udp_key* key) {
    struct udp_session fresh = {};
    if (bpf_map_update_elem(&udp_sessions, key, &fresh, BPF_NOEXIST)) return -1;
    struct udp_session* s = bpf_map_lookup_elem(&udp_sessions, key);
    if (!s) return -1;
    s->last_seen = bpf_ktime_get_ns();
    s->packets = 1;
#if BREAK == 2
    if (bpf_timer_init(&s->idle, &ended, CLOCK_MONOTONIC)) return -1;
#elif BREAK == 3
    if (bpf_timer_init((void*)&s->packets, &udp_sessions, CLOCK_MONOTONIC)) return -1;
#elif BREAK == 4
    struct bpf_timer on_stack = {};
    if (bpf_timer_init(&on_stack, &udp_sessions, CLOCK_MONOTONIC)) return -1;
#elif BREAK == 5
    if (bpf_timer_init(&s->idle, &udp_sessions, CLOCK_MONOTONIC)) return -1;
    *(volatile __u64*)&s->idle = 0;
#else
    if (bpf_timer_init(&s->idle, &udp_sessions, CLOCK_MONOTONIC)) return -1;
#endif
    bpf_timer_set_callback(&s->idle, on_idle);
    return bpf_timer_start(&s->idle, IDLE_NS, 0) ? -1 : 0;
}

SEC("tc")
BROKEN(1, "At async callback return the register R0 has smin=1 smax=1 should have been in [0, 0]")
BROKEN(2, "timer pointer in R1 map_uid=")
BROKEN(3, "off 24 doesn't point to 'struct bpf_timer'")
BROKEN(4, "R1 type=fp expected=map_value")
BROKEN(5, "bpf_timer cannot be accessed directly by load/store")
int udp_track(struct __sk_buff* skb) {
    void* data = (void*)(long)skb->data;
    void* end = (void*)(long)skb->data_end;
    struct iphdr* ip = data + ETH_HLEN;
    struct udphdr* udp = (void*)(ip + 1);
    if (skb->protocol != bpf_htons(ETH_P_IP)) return TC_ACT_OK;
    if ((void*)(udp + 1) > end) {
        if (bpf_skb_pull_data(skb, ETH_HLEN + sizeof(*ip) + sizeof(*udp))) return TC_ACT_OK;
        data = (void*)(long)skb->data;
        end = (void*)(long)skb->data_end;
        ip = data + ETH_HLEN;
        udp = (void*)(ip + 1);
        if ((void*)(udp + 1) > end) return TC_ACT_OK;
    }
    if (ip->ihl != 5 || ip->protocol != IPPROTO_UDP) return TC_ACT_OK;
    struct udp_key key = {ip->saddr, ip->daddr, udp->source, udp->dest};
    struct udp_session* s = bpf_map_lookup_elem(&udp_sessions, &key);
    if (s) {
        s->last_seen = bpf_ktime_get_ns();
        __sync_fetch_and_add(&s->packets, 1);
        return TC_ACT_OK;
    }
    struct udp_key back = {ip->daddr, ip->saddr, udp->dest, udp->source};
    s = bpf_map_lookup_elem(&udp_sessions, &back);
    if (s) {
        s->last_seen = bpf_ktime_get_ns();
        s->flags |= 1;
        return TC_ACT_OK;
    }
    return open_session(&key) ? TC_ACT_SHOT : TC_ACT_OK;
}

SEC("tc")
int udp_close(struct __sk_buff* skb) {
    struct udp_key key = {};
    if (bpf_skb_load_bytes(skb, ETH_HLEN + 12, &key.saddr, 8) < 0) return TC_ACT_OK;
    if (bpf_skb_load_bytes(skb, ETH_HLEN + 20, &key.sport, 4) < 0) return TC_ACT_OK;
    struct udp_session* s = bpf_map_lookup_elem(&udp_sessions, &key);
    if (!s) return TC_ACT_OK;
    bpf_timer_cancel(&s->idle);
    bpf_map_delete_elem(&udp_sessions, &key);
    return TC_ACT_OK;
}

LICENSED;
