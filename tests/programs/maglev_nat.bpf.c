// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// A service balancer in stages: the service's table of backends is an array in
// a hash of maps, picked by a hash of the flow; a stage of its own, reached by
// a tail call, rewrites addresses and mends checksums by csum_diff, with what
// the first stage left in a per-CPU scratch map.
//
// Style: revalidate after every helper that moves the packet; scratch map;
// inline functions that return errors as negative numbers.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#define TABLE 1021

struct service {
    __be32 addr;
    __be16 port;
    __u8 proto;
    __u8 pad;
};

struct backend {
    __be32 addr;
    __be16 port;
    __u16 flags;
};

struct backend_table {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, TABLE);
    __type(key, __u32);
    __type(value, struct backend);
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
    __uint(max_entries, 64);
    __type(key, struct service);
    __array(values, struct backend_table);
} tables SEC(".maps");

struct scratch {
    struct backend to;
    __u32 l4_offset;
    __u8 proto;
    __u8 stage;
    __u8 pad[2];
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct scratch);
} scratch_map SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 2);
    __type(key, __u32);
    __type(value, __u32);
} stages SEC(".maps");

static __always_inline struct scratch* scratch_of(void) {
    __u32 zero = 0;
    return bpf_map_lookup_elem(&scratch_map, &zero);
}

static __always_inline int revalidate(struct __sk_buff* skb, void** data, void** end, __u32 need) {
    *data = (void*)(long)skb->data;
    *end = (void*)(long)skb->data_end;
    if (*data + need <= *end) return 0;
    if (bpf_skb_pull_data(skb, need)) return -1;
    *data = (void*)(long)skb->data;
    *end = (void*)(long)skb->data_end;
    return *data + need <= *end ? 0 : -1;
}

static __always_inline __u32 mix(__u32 a, __u32 b, __u32 c) {
    a -= c, a ^= (c << 4) | (c >> 28), c += b;
    b -= a, b ^= (a << 6) | (a >> 26), a += c;
    c -= b, c ^= (b << 8) | (b >> 24), b += a;
    return a ^ b ^ c;
}

SEC("tc")
BROKEN(1, "invalid mem access 'map_value_or_null'")
BROKEN(2, "invalid mem access 'scalar'")
BROKEN(3, "invalid access to packet")
int choose(struct __sk_buff* skb) {
    void *data, *end;
#if BREAK == 3
    __u32 need = sizeof(struct ethhdr) + sizeof(struct iphdr);
#else
    __u32 need = sizeof(struct ethhdr) + sizeof(struct iphdr) + 8;
#endif
    if (revalidate(skb, &data, &end, need)) return TC_ACT_SHOT;
    struct ethhdr* eth = data;
    struct iphdr* ip = (void*)(eth + 1);
    if (eth->h_proto != bpf_htons(ETH_P_IP) || ip->ihl != 5) return TC_ACT_OK;
    __u8 proto = ip->protocol;
    if (proto != IPPROTO_TCP && proto != IPPROTO_UDP) return TC_ACT_OK;
    __u32 l4 = sizeof(*eth) + sizeof(*ip);
#if BREAK == 2
    if (bpf_skb_pull_data(skb, l4 + 8)) return TC_ACT_SHOT;
#endif
    __be16* ports = (void*)(ip + 1);
    struct service key = {.addr = ip->daddr, .port = ports[1], .proto = proto};
    __u32 slot = mix(ip->saddr, ports[0], skb->hash) % TABLE;
    void* table = bpf_map_lookup_elem(&tables, &key);
    if (!table) return TC_ACT_OK;
    struct backend* to = bpf_map_lookup_elem(table, &slot);
#if BREAK != 1
    if (!to || !to->addr) return TC_ACT_SHOT;
#endif
    struct scratch* s = scratch_of();
    if (!s) return TC_ACT_SHOT;
    s->to = *to;
    s->l4_offset = l4;
    s->proto = proto;
    bpf_tail_call_static(skb, &stages, 1);
    return TC_ACT_SHOT;
}

SEC("tc")
BROKEN(4, "R2 unbounded memory access")
BROKEN(5, "invalid mem access 'scalar'")
int rewrite(struct __sk_buff* skb) {
    struct scratch* s = scratch_of();
    if (!s) return TC_ACT_SHOT;
    __u32 l4 = s->l4_offset;
    void *data, *end;
    if (l4 > 128 || revalidate(skb, &data, &end, sizeof(struct ethhdr) + sizeof(struct iphdr)))
        return TC_ACT_SHOT;
    struct iphdr* ip = data + sizeof(struct ethhdr);
    __be32 old[2] = {ip->daddr, 0};
    __be32 new[2] = {s->to.addr, 0};
#if BREAK == 4
    __s64 sum = bpf_csum_diff(old, (int)skb->len - 64, new, 4, 0);
#else
    __s64 sum = bpf_csum_diff(old, 4, new, 4, 0);
#endif
    __be16 old_port = 0;
    if (bpf_skb_load_bytes(skb, l4 + 2, &old_port, 2)) return TC_ACT_SHOT;
    if (bpf_skb_store_bytes(skb, l4 + 2, &s->to.port, 2, 0)) return TC_ACT_SHOT;
    __u32 check = l4 + (s->proto == IPPROTO_TCP ? __builtin_offsetof(struct tcphdr, check)
                                                : __builtin_offsetof(struct udphdr, check));
    __u64 flags = s->proto == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0;
    if (bpf_l4_csum_replace(skb, check, 0, sum, BPF_F_PSEUDO_HDR | flags)) return TC_ACT_SHOT;
    if (bpf_l4_csum_replace(skb, check, old_port, s->to.port, flags | 2)) return TC_ACT_SHOT;
    if (bpf_l3_csum_replace(skb, sizeof(struct ethhdr) + __builtin_offsetof(struct iphdr, check), 0, sum, 0))
        return TC_ACT_SHOT;
#if BREAK == 5
    ip->daddr = new[0];
    return TC_ACT_OK;
#else
    return bpf_skb_store_bytes(skb, sizeof(struct ethhdr) + __builtin_offsetof(struct iphdr, daddr), new, 4,
                               0)
               ? TC_ACT_SHOT
               : TC_ACT_OK;
#endif
}

LICENSED;
