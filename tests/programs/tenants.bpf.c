// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// Policy for tenants: VNI or VLAN selects a tenant, whose own maps (in maps of
// maps: an array and a hash) say which ports are open, who is blocked and how
// much was used. Tenants are swapped by swapping their inner maps.
//
// Style: two levels of lookups, each checked; inner maps defined in place.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#define TENANTS 256

struct port_rule {
    __u8 allowed;
    __u8 log;
    __u16 limit;
    __u32 zero;
    __u64 hits;
};

struct port_map {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 128);
    __type(key, __u32);
    __type(value, struct port_rule);
} ports_default SEC(".maps");

struct block_map {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, 1024);
    __uint(key_size, 8);
    __uint(value_size, 8);
} block_default SEC(".maps");

struct usage_map {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 4);
    __type(key, __u32);
    __type(value, __u64);
} usage_default SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
    __uint(max_entries, TENANTS);
    __type(key, __u32);
    __array(values, struct port_map);
} tenant_ports SEC(".maps") = {.values = {[0] = &ports_default}};

struct {
    __uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
    __uint(max_entries, TENANTS);
    __type(key, __u32);
    __array(values, struct block_map);
} tenant_blocks SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
    __uint(max_entries, TENANTS);
    __type(key, __u32);
    __array(values, struct usage_map);
} tenant_usage SEC(".maps") = {.values = {&usage_default, &usage_default}};

struct prefix {
    __u32 bits;
    __be32 addr;
};

static __always_inline int tenant_of(void* data, void* end, __u32* tenant, void** l3) {
    struct ethhdr* eth = data;
    if ((void*)(eth + 1) > end) return -1;
    if (eth->h_proto == bpf_htons(ETH_P_8021Q)) {
        __be16* tag = (void*)(eth + 1);
        if ((void*)(tag + 2) > end || tag[1] != bpf_htons(ETH_P_IP)) return -1;
        *tenant = bpf_ntohs(tag[0]) & 0xff;
        *l3 = tag + 2;
        return 0;
    }
    if (eth->h_proto != bpf_htons(ETH_P_IP)) return -1;
    *tenant = 0;
    *l3 = eth + 1;
    return 0;
}

static __always_inline void use(__u32 tenant, __u32 slot, __u64 amount) {
    void* inner = bpf_map_lookup_elem(&tenant_usage, &tenant);
    if (!inner) return;
    __u64* n = bpf_map_lookup_elem(inner, &slot);
    if (n) __sync_fetch_and_add(n, amount);
}

SEC("xdp")
BROKEN(1, "R1 type=map_value_or_null expected=map_ptr")
BROKEN(2, "invalid access to map value, value_size=16 off=16 size=4")
BROKEN(3, "R1 type=map_value expected=map_ptr")
BROKEN(4, "invalid mem access 'map_value_or_null'")
BROKEN(5, "invalid read from stack R2")
int tenant_policy(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    __u32 tenant;
    void* l3 = 0;
    if (tenant_of(data, end, &tenant, &l3)) return XDP_PASS;
    struct iphdr* ip = l3;
    if ((void*)(ip + 1) > end || ip->ihl != 5) return XDP_DROP;

    void* blocks = bpf_map_lookup_elem(&tenant_blocks, &tenant);
    if (blocks) {
        struct prefix p = {32, ip->saddr};
        if (bpf_map_lookup_elem(blocks, &p)) {
            use(tenant, 3, 1);
            return XDP_DROP;
        }
    }
    if (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP) return XDP_PASS;
    __be16* l4 = (void*)(ip + 1);
    if ((void*)(l4 + 2) > end) return XDP_DROP;
    __u32 port = ip->protocol << 16 | bpf_ntohs(l4[1]);
    void* ports = bpf_map_lookup_elem(&tenant_ports, &tenant);
#if BREAK == 1
    struct port_rule* rule = bpf_map_lookup_elem(ports, &port);
#elif BREAK == 5
    __u8 narrow = port;
    if (!ports) return XDP_PASS;
    struct port_rule* rule = bpf_map_lookup_elem(ports, &narrow + 1000);
#else
    if (!ports) return XDP_PASS;
    struct port_rule* rule = bpf_map_lookup_elem(ports, &port);
#endif
#if BREAK == 3
    if (!rule) return XDP_PASS;
    rule = bpf_map_lookup_elem(rule, &port);
#endif
#if BREAK != 4
    if (!rule) {
        use(tenant, 2, 1);
        return XDP_DROP;
    }
#endif
#if BREAK == 2
    use(tenant, 1, *(volatile __u32*)(rule + 1));
#endif
    __sync_fetch_and_add(&rule->hits, 1);
    use(tenant, 0, 1);
    use(tenant, 1, end - data);
    return rule->allowed ? XDP_PASS : XDP_DROP;
}

LICENSED;
