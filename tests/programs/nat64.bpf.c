// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// Translation between IPv6 and IPv4 (RFC 7915), stateless: at tc with
// skb_change_proto and csum_diff, in XDP with adjust_head. The prefix
// 64:ff9b::/96 stands for IPv4.
//
// Style: headers on the stack, written back whole.
#include "include/corpus.h"
#include "include/icmp.h"
#include <linux/icmpv6.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <stddef.h>

struct v6_key {
    __be32 w[4];
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4096);
    __type(key, struct v6_key);
    __type(value, __be32);
} v6_to_v4 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4096);
    __type(key, __be32);
    __type(value, struct v6_key);
} v4_to_v6 SEC(".maps");

#define PREFIX0 bpf_htonl(0x0064ff9b)

static __always_inline int is_translated(const __be32* w) { return w[0] == PREFIX0 && !w[1] && !w[2]; }

static __always_inline __u32 l4_check_offset(__u8 proto) {
    switch (proto) {
    case IPPROTO_TCP: return offsetof(struct tcphdr, check);
    case IPPROTO_UDP: return offsetof(struct udphdr, check);
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6: return offsetof(struct icmphdr, checksum);
    }
    return 0;
}

static __noinline int icmp_4_from_6(__u8 type) {
    switch (type) {
    case ICMPV6_ECHO_REQUEST: return ICMP_ECHO;
    case ICMPV6_ECHO_REPLY: return ICMP_ECHOREPLY;
    case ICMPV6_DEST_UNREACH: return ICMP_DEST_UNREACH;
    case ICMPV6_TIME_EXCEED: return ICMP_TIME_EXCEEDED;
    case ICMPV6_PARAMPROB: return ICMP_PARAMETERPROB;
    }
    return -1;
}

static __noinline int icmp_6_from_4(__u8 type) {
    switch (type) {
    case ICMP_ECHO: return ICMPV6_ECHO_REQUEST;
    case ICMP_ECHOREPLY: return ICMPV6_ECHO_REPLY;
    case ICMP_DEST_UNREACH: return ICMPV6_DEST_UNREACH;
    case ICMP_TIME_EXCEEDED: return ICMPV6_TIME_EXCEED;
    }
    return -1;
}

static __always_inline __u16 fold(__u64 sum) {
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return ~sum;
}

SEC("tc")
BROKEN(1, "invalid read from stack R1")
BROKEN(2, "invalid read from stack")
BROKEN(3, "R2 unbounded memory access, use")
int v6_to_v4_tc(struct __sk_buff* skb) {
    struct ipv6hdr ip6;
    if (skb->protocol != bpf_htons(ETH_P_IPV6)) return TC_ACT_OK;
    if (bpf_skb_load_bytes(skb, ETH_HLEN, &ip6, sizeof(ip6))) return TC_ACT_OK;
    if (!is_translated(ip6.daddr.in6_u.u6_addr32)) return TC_ACT_OK;
    struct v6_key from;
    __builtin_memcpy(from.w, &ip6.saddr, sizeof(from));
    __be32* own = bpf_map_lookup_elem(&v6_to_v4, &from);
    if (!own) return TC_ACT_SHOT;
    __u8 proto = ip6.nexthdr == IPPROTO_ICMPV6 ? IPPROTO_ICMP : ip6.nexthdr;
    struct iphdr ip = {.version = 4,
                       .ihl = 5,
                       .tot_len = bpf_htons(bpf_ntohs(ip6.payload_len) + sizeof(ip)),
                       .frag_off = bpf_htons(0x4000),
                       .ttl = ip6.hop_limit,
                       .protocol = proto,
                       .saddr = *own,
                       .daddr = ip6.daddr.in6_u.u6_addr32[3]};
    ip.check = fold(bpf_csum_diff(0, 0, (__be32*)&ip, sizeof(ip), 0));
    // What the pseudo header's change does to the checksum of the transport.
    __be32 old_pseudo[8];
    __builtin_memcpy(old_pseudo, &ip6.saddr, 32);
    __be32 new_pseudo[2] = {ip.saddr, ip.daddr};
#if BREAK == 1
    __s64 diff = bpf_csum_diff(old_pseudo, ip6.flow_lbl[0] * 16, new_pseudo, skb->len, 0);
#elif BREAK == 2
    __s64 diff = bpf_csum_diff(old_pseudo, 36 + 512, new_pseudo, sizeof(new_pseudo), 0);
#elif BREAK == 3
    __s64 diff = bpf_csum_diff(old_pseudo, (int)skb->mark, new_pseudo, sizeof(new_pseudo), 0);
#else
    __s64 diff = bpf_csum_diff(old_pseudo, sizeof(old_pseudo), new_pseudo, sizeof(new_pseudo), 0);
#endif
    __u32 off = l4_check_offset(proto);
    if (!off) return TC_ACT_SHOT;
    if (proto == IPPROTO_ICMP) {
        __u8 type;
        if (bpf_skb_load_bytes(skb, ETH_HLEN + sizeof(ip6), &type, 1)) return TC_ACT_SHOT;
        int t4 = icmp_4_from_6(type);
        if (t4 < 0) return TC_ACT_SHOT;
        __u8 to = t4;
        bpf_l4_csum_replace(skb, ETH_HLEN + sizeof(ip6) + off, bpf_htons(type << 8), bpf_htons(to << 8), 2);
        bpf_skb_store_bytes(skb, ETH_HLEN + sizeof(ip6), &to, 1, 0);
    }
    if (bpf_skb_change_proto(skb, bpf_htons(ETH_P_IP), 0)) return TC_ACT_SHOT;
    if (bpf_skb_store_bytes(skb, ETH_HLEN, &ip, sizeof(ip), 0)) return TC_ACT_SHOT;
    if (proto != IPPROTO_ICMP)
        bpf_l4_csum_replace(skb, ETH_HLEN + sizeof(ip) + off, 0, diff,
                            BPF_F_PSEUDO_HDR | (proto == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0));
    return TC_ACT_OK;
}

SEC("tc")
int v4_to_v6_tc(struct __sk_buff* skb) {
    struct iphdr ip;
    if (skb->protocol != bpf_htons(ETH_P_IP)) return TC_ACT_OK;
    if (bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip))) return TC_ACT_OK;
    if (ip.ihl != 5 || ip.frag_off & bpf_htons(0x3fff)) return TC_ACT_OK;
    struct v6_key* to = bpf_map_lookup_elem(&v4_to_v6, &ip.daddr);
    if (!to) return TC_ACT_OK;
    __u8 next = ip.protocol == IPPROTO_ICMP ? IPPROTO_ICMPV6 : ip.protocol;
    struct ipv6hdr ip6 = {.version = 6, .nexthdr = next, .hop_limit = ip.ttl};
    ip6.payload_len = bpf_htons(bpf_ntohs(ip.tot_len) - sizeof(ip));
    ip6.saddr.in6_u.u6_addr32[0] = PREFIX0;
    ip6.saddr.in6_u.u6_addr32[3] = ip.saddr;
    __builtin_memcpy(&ip6.daddr, to->w, 16);
    __be32 old_pseudo[2] = {ip.saddr, ip.daddr};
    __s64 diff = bpf_csum_diff(old_pseudo, sizeof(old_pseudo), (__be32*)&ip6.saddr, 32, 0);
    __u32 off = l4_check_offset(ip.protocol);
    if (!off) return TC_ACT_SHOT;
    if (bpf_skb_change_proto(skb, bpf_htons(ETH_P_IPV6), 0)) return TC_ACT_SHOT;
    if (bpf_skb_store_bytes(skb, ETH_HLEN, &ip6, sizeof(ip6), 0)) return TC_ACT_SHOT;
    if (next == IPPROTO_ICMPV6) {
        __u8 type;
        if (bpf_skb_load_bytes(skb, ETH_HLEN + sizeof(ip6), &type, 1)) return TC_ACT_SHOT;
        int t6 = icmp_6_from_4(type);
        if (t6 < 0) return TC_ACT_SHOT;
        __u8 t = t6;
        bpf_skb_store_bytes(skb, ETH_HLEN + sizeof(ip6), &t, 1, BPF_F_RECOMPUTE_CSUM);
        return TC_ACT_OK;
    }
    bpf_l4_csum_replace(skb, ETH_HLEN + sizeof(ip6) + off, 0, diff, BPF_F_PSEUDO_HDR);
    return TC_ACT_OK;
}

// 46 in XDP: twenty bytes more in front.
SEC("xdp")
BROKEN(4, "invalid access to packet")
int v4_to_v6_xdp(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ethhdr eth;
    struct iphdr ip;
    if (data + sizeof(eth) + sizeof(ip) > end) return XDP_PASS;
    __builtin_memcpy(&eth, data, sizeof(eth));
    __builtin_memcpy(&ip, data + sizeof(eth), sizeof(ip));
    if (eth.h_proto != bpf_htons(ETH_P_IP) || ip.ihl != 5 || ip.protocol != IPPROTO_TCP) return XDP_PASS;
    struct v6_key* to = bpf_map_lookup_elem(&v4_to_v6, &ip.daddr);
    if (!to) return XDP_PASS;
    if (bpf_xdp_adjust_head(ctx, (int)sizeof(struct iphdr) - (int)sizeof(struct ipv6hdr))) return XDP_DROP;
    data = (void*)(long)ctx->data;
    end = (void*)(long)ctx->data_end;
    struct ipv6hdr* ip6 = data + sizeof(eth);
    struct tcphdr* tcp = (void*)(ip6 + 1);
#if BREAK == 4
    if ((void*)(ip6 + 1) > end) return XDP_DROP;
#else
    if ((void*)(tcp + 1) > end) return XDP_DROP;
#endif
    eth.h_proto = bpf_htons(ETH_P_IPV6);
    __builtin_memcpy(data, &eth, sizeof(eth));
    *(__be32*)ip6 = bpf_htonl(0x60000000);
    ip6->payload_len = bpf_htons(bpf_ntohs(ip.tot_len) - sizeof(ip));
    ip6->nexthdr = IPPROTO_TCP;
    ip6->hop_limit = ip.ttl;
    struct v6_key source = {.w = {PREFIX0, 0, 0, ip.saddr}};
    __builtin_memcpy(&ip6->saddr, &source, 16);
    __builtin_memcpy(&ip6->daddr, to->w, 16);
    __be32 old_pseudo[2] = {ip.saddr, ip.daddr};
    __s64 sum = bpf_csum_diff(old_pseudo, 8, (__be32*)&ip6->saddr, 32, (__u16)~tcp->check);
    tcp->check = fold(sum);
    return XDP_PASS;
}

LICENSED;
