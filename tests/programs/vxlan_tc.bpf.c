// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// VXLAN at tc: bpf_skb_adjust_room makes space between the headers and tells
// the stack about the tunnel; a second pair of programs leaves the work to a
// tunnel device in metadata mode.
//
// Style: small programs, skb_store_bytes for whole headers built on the stack.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>

#define VXLAN_PORT 4789

struct vxlan_header {
    __be32 flags;
    __be32 vni;
};

struct encap4 {
    struct iphdr ip;
    struct udphdr udp;
    struct vxlan_header vx;
    struct ethhdr inner;
} __attribute__((packed));

struct encap6 {
    struct ipv6hdr ip;
    struct udphdr udp;
    struct vxlan_header vx;
    struct ethhdr inner;
} __attribute__((packed));

struct tunnel {
    __u32 vni;
    __u32 family;
    __be32 local[4];
    __be32 remote[4];
    __u8 inner_mac[ETH_ALEN];
    __u8 pad[2];
};

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, 4096);
    __uint(key_size, 8);
    __uint(value_size, sizeof(struct tunnel));
} routes SEC(".maps");

struct route_key {
    __u32 bits;
    __be32 to;
};

static __always_inline void ip_sum(struct iphdr* ip) {
    __s64 sum = bpf_csum_diff(0, 0, (__be32*)ip, sizeof(*ip), 0);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    ip->check = ~sum;
}

static __noinline int encap_v4(struct __sk_buff* skb, const struct tunnel* t) {
    struct encap4 h = {};
    __u16 length = skb->len - ETH_HLEN;
    __u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_ENCAP_L4_UDP |
                  BPF_F_ADJ_ROOM_ENCAP_L2(ETH_HLEN) | BPF_F_ADJ_ROOM_ENCAP_L2_ETH;
    h.ip.version = 4;
    h.ip.ihl = 5;
    h.ip.ttl = 64;
    h.ip.protocol = IPPROTO_UDP;
    h.ip.tot_len = bpf_htons(length + sizeof(h));
    h.ip.saddr = t->local[0];
    h.ip.daddr = t->remote[0];
    h.udp.source = bpf_htons(0xc000 | (bpf_get_hash_recalc(skb) & 0x3fff));
    h.udp.dest = bpf_htons(VXLAN_PORT);
    h.udp.len = bpf_htons(length + sizeof(h) - sizeof(h.ip));
    h.vx.flags = bpf_htonl(0x08000000);
    h.vx.vni = bpf_htonl(t->vni << 8);
    h.inner.h_proto = bpf_htons(ETH_P_IP);
    __builtin_memcpy(h.inner.h_dest, t->inner_mac, ETH_ALEN);
    ip_sum(&h.ip);
    if (bpf_skb_adjust_room(skb, sizeof(h), BPF_ADJ_ROOM_MAC, flags)) return TC_ACT_SHOT;
#if BREAK == 1
    if (bpf_skb_store_bytes(skb, ETH_HLEN, &h, sizeof(h) + 512, BPF_F_INVALIDATE_HASH)) return TC_ACT_SHOT;
#else
    if (bpf_skb_store_bytes(skb, ETH_HLEN, &h, sizeof(h), BPF_F_INVALIDATE_HASH)) return TC_ACT_SHOT;
#endif
    return TC_ACT_OK;
}

static __noinline int encap_v6(struct __sk_buff* skb, const struct tunnel* t) {
    struct encap6 h = {};
    __u16 length = skb->len - ETH_HLEN;
    __u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 | BPF_F_ADJ_ROOM_ENCAP_L4_UDP |
                  BPF_F_ADJ_ROOM_ENCAP_L2(ETH_HLEN) | BPF_F_ADJ_ROOM_ENCAP_L2_ETH;
    h.ip.version = 6;
    h.ip.nexthdr = IPPROTO_UDP;
    h.ip.hop_limit = 64;
    h.ip.payload_len = bpf_htons(length + sizeof(h) - sizeof(h.ip));
    __builtin_memcpy(&h.ip.saddr, t->local, 16);
    __builtin_memcpy(&h.ip.daddr, t->remote, 16);
    h.udp.source = bpf_htons(0xc000 | (bpf_get_hash_recalc(skb) & 0x3fff));
    h.udp.dest = bpf_htons(VXLAN_PORT);
    h.udp.len = h.ip.payload_len;
    h.vx.flags = bpf_htonl(0x08000000);
    h.vx.vni = bpf_htonl(t->vni << 8);
    h.inner.h_proto = bpf_htons(ETH_P_IP);
    __builtin_memcpy(h.inner.h_dest, t->inner_mac, ETH_ALEN);
    if (bpf_skb_adjust_room(skb, sizeof(h), BPF_ADJ_ROOM_MAC, flags)) return TC_ACT_SHOT;
    if (bpf_skb_store_bytes(skb, ETH_HLEN, &h, sizeof(h), BPF_F_INVALIDATE_HASH)) return TC_ACT_SHOT;
    __be16 proto = bpf_htons(ETH_P_IPV6);
    if (bpf_skb_store_bytes(skb, 12, &proto, 2, 0)) return TC_ACT_SHOT;
    return TC_ACT_OK;
}

SEC("tc")
BROKEN(1, "invalid read from stack R3")
BROKEN(2, "helper access to the packet is not allowed")
BROKEN(3, "invalid mem access 'scalar'")
int tunnel_egress(struct __sk_buff* skb) {
    void* data = (void*)(long)skb->data;
    void* end = (void*)(long)skb->data_end;
    struct iphdr* ip = data + ETH_HLEN;
    if (skb->protocol != bpf_htons(ETH_P_IP) || (void*)(ip + 1) > end) return TC_ACT_OK;
    struct route_key key = {32, ip->daddr};
    struct tunnel* t = bpf_map_lookup_elem(&routes, &key);
    if (!t) return TC_ACT_OK;
#if BREAK == 2
    if (bpf_skb_store_bytes(skb, 0, ip, 4, 0)) return TC_ACT_SHOT;
#endif
    int r = t->family == 4 ? encap_v4(skb, t) : encap_v6(skb, t);
#if BREAK == 3
    if (ip->ttl == 1) return TC_ACT_SHOT;
#endif
    return r;
}

SEC("tc")
int tunnel_ingress(struct __sk_buff* skb) {
    struct encap4 h;
    if (skb->protocol != bpf_htons(ETH_P_IP)) return TC_ACT_OK;
    if (bpf_skb_load_bytes(skb, ETH_HLEN, &h, sizeof(h))) return TC_ACT_OK;
    if (h.ip.ihl != 5 || h.ip.protocol != IPPROTO_UDP || h.udp.dest != bpf_htons(VXLAN_PORT))
        return TC_ACT_OK;
    __u32 vni = bpf_ntohl(h.vx.vni) >> 8;
    if (bpf_skb_adjust_room(skb, -(__s32)sizeof(h), BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO))
        return TC_ACT_SHOT;
    skb->mark = vni;
    skb->cb[0] = vni;
    return bpf_redirect(skb->ifindex, BPF_F_INGRESS);
}

SEC("tc")
BROKEN(4, "invalid read from stack R2")
int metadata_egress(struct __sk_buff* skb) {
    struct bpf_tunnel_key key = {};
    struct route_key route = {32, 0};
    if (bpf_skb_load_bytes(skb, ETH_HLEN + 16, &route.to, 4)) return TC_ACT_OK;
    struct tunnel* t = bpf_map_lookup_elem(&routes, &route);
    if (!t) return TC_ACT_OK;
    key.tunnel_id = t->vni;
    key.tunnel_ttl = 64;
    __u64 flags = BPF_F_ZERO_CSUM_TX;
    if (t->family == 4) {
        key.remote_ipv4 = bpf_ntohl(t->remote[0]);
    } else {
        __builtin_memcpy(key.remote_ipv6, t->remote, 16);
        flags |= BPF_F_TUNINFO_IPV6;
    }
    __u32 size = sizeof(key);
#if BREAK == 4
    size += 8;
#endif
    if (bpf_skb_set_tunnel_key(skb, &key, size, flags)) return TC_ACT_SHOT;
    return TC_ACT_OK;
}

SEC("tc")
int metadata_ingress(struct __sk_buff* skb) {
    struct bpf_tunnel_key key;
    if (bpf_skb_get_tunnel_key(skb, &key, sizeof(key), 0)) return TC_ACT_OK;
    struct route_key route = {32, bpf_htonl(key.remote_ipv4)};
    struct tunnel* t = bpf_map_lookup_elem(&routes, &route);
    if (!t || t->vni != key.tunnel_id) return TC_ACT_SHOT;
    skb->mark = key.tunnel_id;
    return TC_ACT_OK;
}

LICENSED;
