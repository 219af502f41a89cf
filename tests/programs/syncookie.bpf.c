// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// SYN cookies that the kernel's own TCP understands, from its helpers: raw ones
// in XDP, and at tc those that belong to a listening socket, which is looked up
// and released.
//
// Style: references on every path, helpers with fixed-size memory.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 4);
    __type(key, __u32);
    __type(value, __u64);
} cookie_stats SEC(".maps");

static __always_inline void count(__u32 i) {
    __u64* n = bpf_map_lookup_elem(&cookie_stats, &i);
    if (n) *n += 1;
}

SEC("xdp")
BROKEN(1, "R3 unbounded memory access, use")
BROKEN(2, "invalid access to packet")
int cookies_xdp(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    if ((void*)(eth + 1) > end) return XDP_DROP;
    __s64 cookie;
    if (eth->h_proto == bpf_htons(ETH_P_IP)) {
        struct iphdr* ip = (void*)(eth + 1);
        struct tcphdr* tcp = (void*)(ip + 1);
        if ((void*)(tcp + 1) > end || ip->protocol != IPPROTO_TCP || ip->ihl != 5) return XDP_PASS;
        if (!tcp->syn) {
            if (!tcp->ack) return XDP_PASS;
            if (bpf_tcp_raw_check_syncookie_ipv4(ip, tcp)) {
                count(1);
                return XDP_DROP;
            }
            count(2);
            return XDP_PASS;
        }
        __u32 length = tcp->doff * 4;
        if (length < sizeof(*tcp) || length > 60) return XDP_DROP;
        // The helper wants all of the header readable.
#if BREAK == 1
        cookie = bpf_tcp_raw_gen_syncookie_ipv4(ip, tcp, (int)tcp->seq);
#elif BREAK == 2
        cookie = bpf_tcp_raw_gen_syncookie_ipv4(ip, tcp, length);
#else
        if ((void*)tcp + 60 > end) return XDP_PASS;
        cookie = bpf_tcp_raw_gen_syncookie_ipv4(ip, tcp, length);
#endif
        if (cookie < 0) return XDP_DROP;
        tcp->ack_seq = bpf_htonl(bpf_ntohl(tcp->seq) + 1);
        tcp->seq = bpf_htonl((__u32)cookie);
        count(0);
        return XDP_TX;
    }
    if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
        struct ipv6hdr* ip6 = (void*)(eth + 1);
        struct tcphdr* tcp = (void*)(ip6 + 1);
        if ((void*)(tcp + 1) > end || ip6->nexthdr != IPPROTO_TCP || !tcp->ack) return XDP_PASS;
        return bpf_tcp_raw_check_syncookie_ipv6(ip6, tcp) ? XDP_DROP : XDP_PASS;
    }
    return XDP_PASS;
}

static __always_inline struct bpf_sock* find_listener(struct __sk_buff* skb, const struct iphdr* ip,
                                                      const struct tcphdr* tcp) {
    struct bpf_sock_tuple tuple = {};
    tuple.ipv4.saddr = ip->saddr;
    tuple.ipv4.daddr = ip->daddr;
    tuple.ipv4.sport = tcp->source;
    tuple.ipv4.dport = tcp->dest;
    return bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
}

SEC("tc")
BROKEN(3, "Unreleased reference")
BROKEN(4, "R1 type=sock_common_or_null expected=")
BROKEN(5, "invalid mem access 'scalar'")
BROKEN(6, "R1 type=scalar expected=sock_common")
int cookies_tc(struct __sk_buff* skb) {
    void* data = (void*)(long)skb->data;
    void* end = (void*)(long)skb->data_end;
    struct iphdr* ip = data + ETH_HLEN;
    struct tcphdr* tcp = (void*)(ip + 1);
    if (skb->protocol != bpf_htons(ETH_P_IP) || (void*)(tcp + 1) > end) return TC_ACT_OK;
    if (ip->protocol != IPPROTO_TCP || ip->ihl != 5 || !tcp->ack || tcp->syn) return TC_ACT_OK;
    struct bpf_sock* sk = find_listener(skb, ip, tcp);
#if BREAK != 4
    if (!sk) return TC_ACT_OK;
#endif
    int action = TC_ACT_OK;
#if BREAK == 4
    bpf_sk_release(sk);
#elif BREAK == 6
    bpf_sk_release(sk);
    bpf_sk_release(sk);
#else
    if (sk->state != BPF_TCP_LISTEN) {
#if BREAK != 3
        bpf_sk_release(sk);
#endif
        return TC_ACT_OK;
    }
    long good = bpf_tcp_check_syncookie(sk, ip, sizeof(*ip), tcp, sizeof(*tcp));
    if (good != 0) {
        count(1);
        action = TC_ACT_SHOT;
    } else {
        count(2);
    }
    bpf_sk_release(sk);
#if BREAK == 5
    skb->mark = sk->state;
#endif
#endif
    return action;
}

LICENSED;
