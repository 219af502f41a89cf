// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause")
// Copyright (c) 2026, the xdplane authors
//
// Clamps the MSS of TCP at tc (helpers mend the checksum) and in XDP (bytes and
// checksum are rewritten by hand), for IPv4 and IPv6.
//
// Style: goto-free option loops; the checksum update of RFC 1624 by hand.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <stddef.h>

#define OPT_END 0
#define OPT_NOP 1
#define OPT_MSS 2
#define MAX_TCP_OPTIONS 10

const volatile __u16 mss4 = 1360;
const volatile __u16 mss6 = 1340;

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 64);
    __type(key, __u32); // ifindex
    __type(value, __u16);
} mss_of_interface SEC(".maps");

__u32 clamped;

static __always_inline __u16 wanted(__u32 ifindex, int v6) {
    __u16* of = bpf_map_lookup_elem(&mss_of_interface, &ifindex);
    return of ? *of : v6 ? mss6 : mss4;
}

SEC("tc")
BROKEN(1, "invalid variable-offset")
BROKEN(2, "R4 unbounded memory access, use")
int clamp_tc(struct __sk_buff* skb) {
    __u32 l4 = ETH_HLEN;
    int v6 = skb->protocol == bpf_htons(ETH_P_IPV6);
    if (v6) {
        __u8 next;
        if (bpf_skb_load_bytes(skb, ETH_HLEN + offsetof(struct ipv6hdr, nexthdr), &next, 1)) return TC_ACT_OK;
        if (next != IPPROTO_TCP) return TC_ACT_OK;
        l4 += sizeof(struct ipv6hdr);
    } else if (skb->protocol == bpf_htons(ETH_P_IP)) {
        struct iphdr ip;
        if (bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip))) return TC_ACT_OK;
        if (ip.protocol != IPPROTO_TCP || ip.ihl < 5) return TC_ACT_OK;
        l4 += ip.ihl * 4;
    } else {
        return TC_ACT_OK;
    }
    struct tcphdr tcp;
    if (bpf_skb_load_bytes(skb, l4, &tcp, sizeof(tcp))) return TC_ACT_OK;
    if (!tcp.syn || tcp.doff <= 5) return TC_ACT_OK;
    __u8 options[40] = {};
    __u32 length = tcp.doff * 4 - sizeof(tcp);
#if BREAK == 2
    length = tcp.doff * 4 - 100;
    if (bpf_skb_load_bytes(skb, l4 + sizeof(tcp), options, (int)length)) return TC_ACT_OK;
#else
    if (length < 4 || length > sizeof(options)) return TC_ACT_OK;
    if (bpf_skb_load_bytes(skb, l4 + sizeof(tcp), options, length)) return TC_ACT_OK;
#endif
    __u64 at = 0; // of 64 bits: -mcpu=v2 would shift bounds away
    LOOP for (int i = 0; i < MAX_TCP_OPTIONS; i++) {
#if BREAK == 1
        if (at > 1000) return TC_ACT_OK;
#else
        if (at > sizeof(options) - 4) return TC_ACT_OK;
#endif
        __u8 kind = options[at];
        if (kind == OPT_END) return TC_ACT_OK;
        if (kind == OPT_NOP) {
            at++;
            continue;
        }
        __u8 size = options[at + 1];
        if (kind == OPT_MSS && size == 4) {
            __be16 old = (__be16)(options[at + 2] | options[at + 3] << 8);
            __u16 most = wanted(skb->ifindex, v6);
            if (bpf_ntohs(old) <= most) return TC_ACT_OK;
            __be16 mss = bpf_htons(most);
            bpf_l4_csum_replace(skb, l4 + offsetof(struct tcphdr, check), old, mss, 2);
            bpf_skb_store_bytes(skb, l4 + sizeof(tcp) + at + 2, &mss, 2, 0);
            __sync_fetch_and_add(&clamped, 1);
            return TC_ACT_OK;
        }
        if (size < 2) return TC_ACT_SHOT;
        at += size;
    }
    return TC_ACT_OK;
}

static __always_inline void replace16(__sum16* check, __be16 from, __be16 to) {
    __u32 sum = (__u16) ~*check;
    sum += (__u16)~from;
    sum += to;
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    *check = ~sum;
}

SEC("xdp")
BROKEN(3, "invalid access to packet")
BROKEN(4, "invalid access to packet")
int clamp_xdp(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    struct tcphdr* tcp;
    int v6 = 0;
    if ((void*)(eth + 1) > end) return XDP_PASS;
    if (eth->h_proto == bpf_htons(ETH_P_IP)) {
        struct iphdr* ip = (void*)(eth + 1);
        if ((void*)(ip + 1) > end || ip->protocol != IPPROTO_TCP) return XDP_PASS;
        tcp = (void*)ip + ip->ihl * 4;
    } else if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
        struct ipv6hdr* ip6 = (void*)(eth + 1);
        if ((void*)(ip6 + 1) > end || ip6->nexthdr != IPPROTO_TCP) return XDP_PASS;
        tcp = (void*)(ip6 + 1);
        v6 = 1;
    } else {
        return XDP_PASS;
    }
#if BREAK == 3
    if ((void*)tcp + 13 > end) return XDP_PASS;
#else
    if ((void*)(tcp + 1) > end) return XDP_PASS;
#endif
    if (!tcp->syn) return XDP_PASS;
    __u8* opt = (void*)(tcp + 1);
    __u8* last = (void*)tcp + tcp->doff * 4;
    for (int i = 0; i < MAX_TCP_OPTIONS; i++) {
        if (opt + 4 > last || (void*)(opt + 4) > end) break;
        if (opt[0] == OPT_END) break;
        if (opt[0] == OPT_NOP) {
            opt++;
            continue;
        }
        __u8 size = opt[1];
        if (size < 2) return XDP_DROP;
        if (opt[0] == OPT_MSS && size == 4) {
            __u16 most = wanted(ctx->ingress_ifindex, v6);
            __be16* mss = (void*)(opt + 2);
            if (bpf_ntohs(*mss) > most) {
                // A word at an odd place is summed with its bytes swapped.
                if (((long)(opt - (__u8*)tcp) & 1) == 0) {
                    replace16(&tcp->check, *mss, bpf_htons(most));
                    *mss = bpf_htons(most);
                }
                clamped++;
            }
            break;
        }
        opt += size;
#if BREAK == 4
        if (*opt == OPT_END) break;
#endif
    }
    return XDP_PASS;
}

LICENSED;
