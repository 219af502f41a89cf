// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// One lookup of a 5-tuple, of an address, and a load balancer's three in a row.
#include <bpf/bpf_endian.h>
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>

#define FLOWS (1 << 25)

struct flow_key {
    __u32 saddr, daddr;
    __u16 sport, dport;
    __u32 protocol;
};
struct value64 {
    __u64 packets, bytes, rest[6];
};
struct prefix {
    __u32 length, address;
};

#define MAP(name, kind, key_type, value_type, flags)                                                         \
    struct {                                                                                                 \
        __uint(type, kind);                                                                                  \
        __uint(map_flags, flags);                                                                            \
        __uint(max_entries, FLOWS);                                                                          \
        __type(key, key_type);                                                                               \
        __type(value, value_type);                                                                           \
    } name SEC(".maps")

// The program that loads this sets max_entries.
MAP(flows8, BPF_MAP_TYPE_HASH, struct flow_key, __u64, 0);
MAP(flows64, BPF_MAP_TYPE_HASH, struct flow_key, struct value64, 0);
MAP(routes, BPF_MAP_TYPE_LPM_TRIE, struct prefix, __u64, BPF_F_NO_PREALLOC);
MAP(vips, BPF_MAP_TYPE_HASH, __u32, __u32, 0);
MAP(connections, BPF_MAP_TYPE_LRU_HASH, struct flow_key, __u32, 0);
MAP(reals, BPF_MAP_TYPE_HASH, __u32, struct value64, 0);

struct ports {
    __u16 source, destination;
};

static __always_inline int parse(struct xdp_md* ctx, struct flow_key* key) {
    void *data = (void*)(long)ctx->data, *end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    struct iphdr* ip = (void*)(eth + 1);
    if ((void*)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP)) return -1;
    __u32 length = ip->ihl * 4;
    if (length < sizeof *ip) return -1;
    struct ports* ports = (void*)ip + length;
    if ((void*)(ports + 1) > end) return -1;
    if (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP) return -1;
    key->saddr = ip->saddr;
    key->daddr = ip->daddr;
    key->sport = ports->source;
    key->dport = ports->destination;
    key->protocol = ip->protocol;
    return 0;
}

SEC("xdp")
int flow8(struct xdp_md* ctx) {
    struct flow_key key;
    if (parse(ctx, &key) != 0) return XDP_PASS;
    __u64* packets = bpf_map_lookup_elem(&flows8, &key);
    if (!packets) return XDP_DROP;
    *packets += 1;
    return XDP_PASS;
}

SEC("xdp")
int flow64(struct xdp_md* ctx) {
    struct flow_key key;
    if (parse(ctx, &key) != 0) return XDP_PASS;
    struct value64* value = bpf_map_lookup_elem(&flows64, &key);
    if (!value) return XDP_DROP;
    value->packets += 1;
    value->bytes += ctx->data_end - ctx->data;
    return XDP_PASS;
}

SEC("xdp")
int lpm(struct xdp_md* ctx) {
    struct flow_key key;
    if (parse(ctx, &key) != 0) return XDP_PASS;
    struct prefix prefix = {32, key.daddr};
    __u64* route = bpf_map_lookup_elem(&routes, &prefix);
    if (!route) return XDP_DROP;
    return *route & 1 ? XDP_TX : XDP_PASS;
}

SEC("xdp")
int balance(struct xdp_md* ctx) {
    struct flow_key key;
    if (parse(ctx, &key) != 0) return XDP_PASS;
    __u32* vip = bpf_map_lookup_elem(&vips, &key.daddr);
    if (!vip) return XDP_PASS;
    __u32* connection = bpf_map_lookup_elem(&connections, &key);
    if (!connection) return XDP_DROP;
    __u32 number = *connection;
    struct value64* real = bpf_map_lookup_elem(&reals, &number);
    if (!real) return XDP_ABORTED;
    real->packets += 1;
    return XDP_TX;
}

char _license[] SEC("license") = "BSD";
