// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// Socket filters for a packet socket: how many bytes to keep of each packet.
// They see the skb by skb_load_bytes and by the old LD_ABS and LD_IND
// instructions (clang's load builtins), read-only.
//
// Style: return lengths; builtins; helpers only.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <stddef.h>

unsigned long long load_byte(void* skb, unsigned long long off) asm("llvm.bpf.load.byte");
unsigned long long load_half(void* skb, unsigned long long off) asm("llvm.bpf.load.half");
unsigned long long load_word(void* skb, unsigned long long off) asm("llvm.bpf.load.word");

struct pair {
    __u64 packets;
    __u64 bytes;
};

struct five {
    __be32 saddr, daddr;
    __be16 sport, dport;
    __u32 proto;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1024);
    __type(key, struct five);
    __type(value, struct pair);
} flows SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 256);
    __type(key, __u32);
    __type(value, __u64);
} protocols SEC(".maps");

static __always_inline void add(struct five* f, __u32 length) {
    struct pair* p = bpf_map_lookup_elem(&flows, f);
    if (p) {
        __sync_fetch_and_add(&p->packets, 1);
        __sync_fetch_and_add(&p->bytes, length);
        return;
    }
    struct pair fresh = {1, length};
    bpf_map_update_elem(&flows, f, &fresh, BPF_ANY);
}

SEC("socket")
BROKEN(1, "R1 type=scalar expected=ctx")
BROKEN(2, "invalid bpf_context access off=76")
int flows_by_helpers(struct __sk_buff* skb) {
    struct iphdr ip;
    struct five f = {};
    __be16 proto;
    if (bpf_skb_load_bytes(skb, offsetof(struct ethhdr, h_proto), &proto, 2) < 0) return 0;
    if (proto != bpf_htons(ETH_P_IP)) return 0;
    if (bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip)) < 0) return 0;
    f.saddr = ip.saddr;
    f.daddr = ip.daddr;
    f.proto = ip.protocol;
    if (ip.protocol == IPPROTO_TCP || ip.protocol == IPPROTO_UDP)
#if BREAK == 1
        if (bpf_skb_load_bytes((void*)(long)ip.saddr, ETH_HLEN + ip.ihl * 4, &f.sport, 4) < 0) return 0;
#else
        if (bpf_skb_load_bytes(skb, ETH_HLEN + ip.ihl * 4, &f.sport, 4) < 0) return 0;
#endif
#if BREAK == 2
    void* data = (void*)(long)skb->data;
    if (data == 0) return 0;
#endif
    add(&f, skb->len);
    return skb->pkt_type == 4 ? 0 : 128;
}

SEC("socket")
int protocols_by_loads(struct __sk_buff* skb) {
    __u32 proto;
    __u64 off = ETH_HLEN;
    __u32 type = load_half(skb, offsetof(struct ethhdr, h_proto));
    if (type == ETH_P_8021Q) {
        type = load_half(skb, off + 2);
        off += 4;
    }
    if (type == ETH_P_IP) {
        proto = load_byte(skb, off + offsetof(struct iphdr, protocol));
        if (proto == IPPROTO_UDP || proto == IPPROTO_TCP) {
            __u32 ihl = (load_byte(skb, off) & 15) << 2;
            __u32 ports = load_word(skb, off + ihl);
            if ((ports & 0xffff) == 53 || ports >> 16 == 53) return skb->len;
        }
    } else if (type == ETH_P_IPV6) {
        proto = load_byte(skb, off + offsetof(struct ipv6hdr, nexthdr));
    } else {
        return 0;
    }
    __u64* n = bpf_map_lookup_elem(&protocols, &proto);
    if (n) __sync_fetch_and_add(n, 1);
    return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6 ? 64 : 0;
}

// DNS names of port 53, by loads in a loop.
SEC("socket")
BROKEN(4, "invalid write to stack")
int long_names(struct __sk_buff* skb) {
    if (load_half(skb, 12) != ETH_P_IP || load_byte(skb, 23) != IPPROTO_UDP) return 0;
    __u64 at = ETH_HLEN + ((load_byte(skb, ETH_HLEN) & 15) << 2);
    if (load_half(skb, at + 2) != 53) return 0;
    at += 8 + 12;
    __u32 labels = 0, total = 0;
    __u8 lengths[8] = {};
    LOOP for (int i = 0; i < 8; i++) {
        __u32 length = load_byte(skb, at) & 63;
        if (!length) break;
#if BREAK == 4
        ((volatile __u8*)lengths)[i + 500] = length;
#else
        lengths[i] = length;
#endif
        labels++;
        total += length + 1;
        at += length + 1;
    }
    if (labels == 8 || total > 100) return skb->len;
    return lengths[0] > 40 ? skb->len : 0;
}

// What the socket itself knows.
SEC("socket")
int cookies(struct __sk_buff* skb) {
    __u64 cookie = bpf_get_socket_cookie(skb);
    __u32 key = cookie & 255;
    __u64* n = bpf_map_lookup_elem(&protocols, &key);
    if (n) __sync_fetch_and_add(n, bpf_get_socket_uid(skb));
    skb->cb[0] = key;
    skb->cb[4] = skb->cb[0] + skb->hash + skb->vlan_tci + skb->napi_id;
    return skb->cb[4] & 1 ? 0 : ~0;
}

LICENSED;
