// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// A VXLAN tunnel end point in XDP: frames for remote machines get 50 bytes in
// front (RFC 7348), frames from the underlay lose them. Neighbours are learned
// from what arrives.
//
// Style: cursor based parsing, one helper per header, tail of goto labels.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>

#define VXLAN_PORT 4789
#define VXLAN_I 0x08000000

struct vxlanhdr {
    __be32 flags;
    __be32 vni;
};

struct outer {
    struct ethhdr eth;
    struct iphdr ip;
    struct udphdr udp;
    struct vxlanhdr vxlan;
} __attribute__((packed));

struct mac_key {
    __u8 mac[ETH_ALEN];
    __u16 vlan;
    __u32 vni;
};

struct remote {
    __be32 vtep;
    __u8 next_hop[ETH_ALEN];
    __u8 is_static;
    __u8 pad;
    __u64 seen;
};

struct port {
    __u32 vni;
    __u32 ifindex;
};

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 32768);
    __type(key, struct mac_key);
    __type(value, struct remote);
} remotes SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 256);
    __type(key, __u32); // ifindex
    __type(value, struct port);
} ports SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
    __uint(max_entries, 256);
    __type(key, __u32); // VNI
    __type(value, struct bpf_devmap_val);
} vni_devices SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 8);
    __type(key, __u32);
    __type(value, __u64);
} vx_stats SEC(".maps");

const volatile struct {
    __be32 vtep;
    __u8 mac[ETH_ALEN];
    __u8 ttl;
    __u8 learn;
    __u32 underlay_ifindex;
} local = {.vtep = 0x0101a8c0, .mac = {2, 0, 0, 0, 0, 2}, .ttl = 64, .learn = 1, .underlay_ifindex = 1};

struct cursor {
    void* pos;
    void* end;
};

#define TAKE(cur, type)                                                                                      \
    ({                                                                                                       \
        type* taken_ = (cur)->pos;                                                                           \
        if ((void*)(taken_ + 1) > (cur)->end) goto short_packet;                                             \
        (cur)->pos = taken_ + 1;                                                                             \
        taken_;                                                                                              \
    })

static __always_inline void tally(__u32 index) {
    __u64* n = bpf_map_lookup_elem(&vx_stats, &index);
    if (n) *n += 1;
}

static __always_inline __u16 fold(__u32 sum) {
    sum = (sum >> 16) + (sum & 0xffff);
    sum += sum >> 16;
    return ~sum;
}

static __always_inline __u16 flow_port(const struct ethhdr* eth) {
    __u32 h = 2166136261u;
    const __u8* bytes = (const __u8*)eth;
    LOOP for (int i = 0; i < 14; i++) h = (h ^ bytes[i]) * 16777619u;
    return bpf_htons(49152 + (h >> 18));
}

SEC("xdp")
BROKEN(1, "invalid mem access 'scalar'")
BROKEN(2, "invalid access to packet")
BROKEN(3, "invalid access to packet")
int vxlan_encap(struct xdp_md* ctx) {
    struct cursor cur = {(void*)(long)ctx->data, (void*)(long)ctx->data_end};
    __u32 ifindex = ctx->ingress_ifindex;
    struct port* port = bpf_map_lookup_elem(&ports, &ifindex);
    if (!port) return XDP_PASS;
    struct ethhdr* inner = TAKE(&cur, struct ethhdr);
    struct mac_key key = {.vni = port->vni};
    __builtin_memcpy(key.mac, inner->h_dest, ETH_ALEN);
    if (key.mac[0] & 1) {
        tally(0);
        return XDP_PASS; // broadcast: the host replicates
    }
    struct remote* to = bpf_map_lookup_elem(&remotes, &key);
    if (!to) {
        tally(1);
        return XDP_PASS;
    }
    __u16 sport = flow_port(inner);
    __u32 length = ctx->data_end - ctx->data;
    if (length > 1450) return XDP_DROP;
    if (bpf_xdp_adjust_head(ctx, -(int)sizeof(struct outer))) return XDP_ABORTED;
#if BREAK == 1
    inner->h_proto = 0;
#endif
    cur = (struct cursor){(void*)(long)ctx->data, (void*)(long)ctx->data_end};
#if BREAK == 2
    struct outer* o = cur.pos;
    if (cur.pos + sizeof(struct outer) - 1 > cur.end) return XDP_DROP;
#else
    struct outer* o = TAKE(&cur, struct outer);
#endif
    __builtin_memcpy(o->eth.h_dest, to->next_hop, ETH_ALEN);
    LOOP for (int i = 0; i < ETH_ALEN; i++) o->eth.h_source[i] = local.mac[i];
    o->eth.h_proto = bpf_htons(ETH_P_IP);
    o->ip.version = 4;
    o->ip.ihl = 5;
    o->ip.tos = 0;
    o->ip.tot_len = bpf_htons(length + sizeof(struct outer) - ETH_HLEN);
    o->ip.id = 0;
    o->ip.frag_off = bpf_htons(0x4000);
    o->ip.ttl = local.ttl;
    o->ip.protocol = IPPROTO_UDP;
    o->ip.check = 0;
    o->ip.saddr = local.vtep;
    o->ip.daddr = to->vtep;
    __u16* w = (__u16*)&o->ip;
    __u32 sum = 0;
    LOOP for (int i = 0; i < 10; i++) sum += w[i];
    o->ip.check = fold(sum);
    o->udp.source = sport;
    o->udp.dest = bpf_htons(VXLAN_PORT);
    o->udp.len = bpf_htons(length + sizeof(struct udphdr) + sizeof(struct vxlanhdr));
    o->udp.check = 0;
    o->vxlan.flags = bpf_htonl(VXLAN_I);
    o->vxlan.vni = bpf_htonl(port->vni << 8);
#if BREAK == 3
    *(__u64*)(o + 1) = 0;
#endif
    tally(2);
    return bpf_redirect(local.underlay_ifindex, 0);
short_packet:
    return XDP_DROP;
}

SEC("xdp")
BROKEN(4, "helper access to the packet is not allowed")
int vxlan_decap(struct xdp_md* ctx) {
    struct cursor cur = {(void*)(long)ctx->data, (void*)(long)ctx->data_end};
    struct outer* o = TAKE(&cur, struct outer);
    if (o->eth.h_proto != bpf_htons(ETH_P_IP) || o->ip.ihl != 5 || o->ip.protocol != IPPROTO_UDP)
        return XDP_PASS;
    if (o->udp.dest != bpf_htons(VXLAN_PORT) || o->ip.daddr != local.vtep) return XDP_PASS;
    if (!(o->vxlan.flags & bpf_htonl(VXLAN_I))) {
        tally(3);
        return XDP_DROP;
    }
    __u32 vni = bpf_ntohl(o->vxlan.vni) >> 8;
    struct ethhdr* inner = TAKE(&cur, struct ethhdr);
    if (local.learn) {
        struct mac_key key = {.vni = vni};
        __builtin_memcpy(key.mac, inner->h_source, ETH_ALEN);
        struct remote* known = bpf_map_lookup_elem(&remotes, &key);
        __u64 now = bpf_ktime_get_ns();
        if (known) {
            known->seen = now;
            if (known->vtep != o->ip.saddr && !known->is_static) {
                known->vtep = o->ip.saddr;
                __builtin_memcpy(known->next_hop, o->eth.h_source, ETH_ALEN);
            }
        } else {
            struct remote fresh = {.vtep = o->ip.saddr, .seen = now};
            __builtin_memcpy(fresh.next_hop, o->eth.h_source, ETH_ALEN);
            bpf_map_update_elem(&remotes, &key, &fresh, BPF_ANY);
        }
    }
#if BREAK == 4
    if (bpf_xdp_adjust_head((void*)o, sizeof(struct outer))) return XDP_ABORTED;
#else
    if (bpf_xdp_adjust_head(ctx, sizeof(struct outer))) return XDP_ABORTED;
#endif
    tally(4);
    return bpf_redirect_map(&vni_devices, vni, XDP_PASS);
short_packet:
    return XDP_PASS;
}

LICENSED;
