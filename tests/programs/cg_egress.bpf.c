// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// Accounting for a cgroup: bytes by remote prefix and protocol, a quota, and
// events in a ring buffer when a quota runs out or a new peer shows up.
// cgroup_skb programs see packets from the network header on.
//
// Style: libbpf-bootstrap, volatile const options, events.
#include "include/corpus.h"
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#define BLOCK 0
#define ALLOW 1

enum event_kind { EVENT_NEW_PEER = 1, EVENT_QUOTA, EVENT_DENIED };

struct event {
    __u64 time;
    __u64 cgroup;
    __u32 kind;
    __u32 family;
    __u32 peer[4];
    __u32 length;
    __u32 ifindex;
    __u64 total;
};

struct usage {
    __u64 bytes;
    __u64 packets;
    __u64 first;
    __u64 last;
};

struct peer_key {
    __u32 family;
    __u32 addr[4];
};

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 256 * 1024);
} events SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 8192);
    __type(key, struct peer_key);
    __type(value, struct usage);
} peers SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1024);
    __type(key, __u64); // cgroup id
    __type(value, __u64);
} quotas SEC(".maps");

const volatile __u32 min_event_length = 0;
const volatile __u8 report_new_peers = 1;
__u64 total_bytes;
__u64 lost_events;

static int report(struct __sk_buff* skb, enum event_kind kind, const struct peer_key* k, __u64 total) {
    if (skb->len < min_event_length) return 0;
#if BREAK == 1
    struct event* e = bpf_ringbuf_reserve(&events, skb->len, 0);
#else
    struct event* e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
#endif
#if BREAK != 2
    if (!e) {
        __sync_fetch_and_add(&lost_events, 1);
        return -1;
    }
#endif
    e->time = bpf_ktime_get_boot_ns();
    e->cgroup = bpf_skb_cgroup_id(skb);
    e->kind = kind;
    e->family = k->family;
    __builtin_memcpy(e->peer, k->addr, sizeof(e->peer));
    e->length = skb->len;
    e->ifindex = skb->ifindex;
    e->total = total;
#if BREAK == 3
    if (kind == EVENT_QUOTA) return 0;
#endif
#if BREAK == 4
    *(__u64*)(e + 1) = 0;
#endif
    bpf_ringbuf_submit(e, bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) > 65536 ? BPF_RB_FORCE_WAKEUP : 0);
#if BREAK == 5
    e->total = 0;
#elif BREAK == 6
    bpf_ringbuf_discard(e, 0);
#endif
    return 0;
}

static __always_inline int read_peer(struct __sk_buff* skb, struct peer_key* k, int outward) {
    k->family = skb->family;
    if (skb->protocol == bpf_htons(0x0800)) {
        struct iphdr ip;
        if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip))) return -1;
        k->addr[0] = outward ? ip.daddr : ip.saddr;
        return ip.protocol;
    }
    if (skb->protocol == bpf_htons(0x86dd)) {
        struct ipv6hdr ip6;
        if (bpf_skb_load_bytes(skb, 0, &ip6, sizeof(ip6))) return -1;
        __builtin_memcpy(k->addr, outward ? &ip6.daddr : &ip6.saddr, 16);
        return ip6.nexthdr;
    }
    return -1;
}

static __always_inline int account(struct __sk_buff* skb, int outward) {
    struct peer_key k = {};
    int proto = read_peer(skb, &k, outward);
    if (proto < 0) return BLOCK;
    __u64 now = bpf_ktime_get_ns();
    struct usage* u = bpf_map_lookup_elem(&peers, &k);
    if (u) {
        __sync_fetch_and_add(&u->bytes, skb->len);
        __sync_fetch_and_add(&u->packets, 1);
        u->last = now;
    } else {
        struct usage fresh = {.bytes = skb->len, .packets = 1, .first = now, .last = now};
        bpf_map_update_elem(&peers, &k, &fresh, BPF_ANY);
        if (report_new_peers) report(skb, EVENT_NEW_PEER, &k, skb->len);
    }
    __sync_fetch_and_add(&total_bytes, skb->len);
    if (!outward) return ALLOW;
    __u64 cgroup = bpf_skb_cgroup_id(skb);
    __u64* quota = bpf_map_lookup_elem(&quotas, &cgroup);
    if (!quota) return ALLOW;
    if (*quota < skb->len) {
        report(skb, EVENT_QUOTA, &k, *quota);
        return BLOCK;
    }
    __sync_fetch_and_add(quota, -(__u64)skb->len);
    return ALLOW;
}

SEC("cgroup_skb/egress")
BROKEN(1, "R2 is not a known constant")
BROKEN(2, "invalid mem access 'ringbuf_mem_or_null'")
BROKEN(3, "Unreleased reference")
BROKEN(4, "invalid access to memory, mem_size=56 off=56 size=8")
BROKEN(5, "invalid mem access 'scalar'")
BROKEN(6, "R1 type=scalar expected=ringbuf_mem")
BROKEN(7, "At program exit the register R0 has")
int account_egress(struct __sk_buff* skb) {
#if BREAK == 7
    account(skb, 1);
    return 7;
#else
    return account(skb, 1);
#endif
}

SEC("cgroup_skb/ingress")
BROKEN(1, "R2 is not a known constant")
BROKEN(2, "invalid mem access 'ringbuf_mem_or_null'")
BROKEN(4, "invalid access to memory, mem_size=56 off=56 size=8")
BROKEN(5, "invalid mem access 'scalar'")
BROKEN(6, "R1 type=scalar expected=ringbuf_mem")
int account_ingress(struct __sk_buff* skb) { return account(skb, 0); }

// Which processes may talk to the name server: by the socket of the packet.
SEC("cgroup_skb/egress")
BROKEN(8, "invalid mem access 'sock_common_or_null'")
int dns_only_for_root(struct __sk_buff* skb) {
    struct bpf_sock* sk = skb->sk;
#if BREAK != 8
    if (!sk) return ALLOW;
#endif
    if (sk->family != 2 && sk->family != 10) return ALLOW;
    sk = bpf_sk_fullsock(sk);
    if (!sk) return ALLOW;
    if (sk->protocol != IPPROTO_UDP) return ALLOW;
    if (bpf_ntohs(sk->dst_port) != 53) return ALLOW;
    return bpf_get_socket_uid(skb) == 0 ? ALLOW : BLOCK;
}

LICENSED;
