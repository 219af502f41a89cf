// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// A token bucket for each source prefix and class, two rates and three colours
// (RFC 2698): green goes, yellow is marked, red is dropped. 64-bit arithmetic
// with division; the bucket is locked for the multi-word update.
//
// Style: libbpf, plain C, a config map with validation in the program.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>

enum colour { GREEN, YELLOW, RED, COLOURS };

struct meter_key {
    __be32 prefix;
    __u8 class;
    __u8 pad[3];
};

struct meter {
    struct bpf_spin_lock lock;
    __u32 dropped;
    __u64 committed; // bytes, times 2^16
    __u64 peak;
    __u64 updated;
};

struct profile {
    __u64 cir; // bytes a second
    __u64 pir;
    __u32 cbs;
    __u32 pbs;
    __u8 mark;
    __u8 mask_bits;
    __u8 pad[6];
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 20000);
    __type(key, struct meter_key);
    __type(value, struct meter);
} meters SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 8);
    __type(key, __u32);
    __type(value, struct profile);
} profiles SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 8 * COLOURS);
    __type(key, __u32);
    __type(value, __u64);
} colours SEC(".maps");

static __always_inline __u64 refill(__u64 level, __u64 elapsed, __u64 rate, __u64 depth) {
    // elapsed is at most a second: rate * elapsed fits for up to 16 GB/s.
    level += (rate * elapsed / 1000000000ull) << 16;
    return level > depth << 16 ? depth << 16 : level;
}

static __noinline int colour_of(struct meter* m, const struct profile* p, __u32 size, __u64 now) {
    __u64 cir = p->cir, pir = p->pir, cbs = p->cbs, pbs = p->pbs;
    __u64 need = (__u64)size << 16;
    int colour;
    bpf_spin_lock(&m->lock);
    __u64 elapsed = now - m->updated;
    if (elapsed > 1000000000ull) elapsed = 1000000000ull;
    __u64 committed = refill(m->committed, elapsed, cir, cbs);
    __u64 peak = refill(m->peak, elapsed, pir, pbs);
    if (peak < need) {
        colour = RED;
        m->dropped++;
    } else if (committed < need) {
        colour = YELLOW;
        peak -= need;
    } else {
        colour = GREEN;
        committed -= need;
        peak -= need;
    }
    m->committed = committed;
    m->peak = peak;
    m->updated = now;
    bpf_spin_unlock(&m->lock);
    return colour;
}

static __always_inline __u32 class_of(__u8 dscp) {
    switch (dscp >> 2) {
    case 46: return 5;
    case 34:
    case 36:
    case 38: return 4;
    case 26:
    case 28:
    case 30: return 3;
    case 8: return 1;
    }
    return 0;
}

SEC("tc")
BROKEN(1, "R1 type=map_value_or_null expected=")
BROKEN(2, "invalid access to map value, value_size=32 off=32 size=8")
BROKEN(3, "R1 !read_ok")
int police(struct __sk_buff* skb) {
    struct iphdr ip;
    if (skb->protocol != bpf_htons(ETH_P_IP)) return TC_ACT_UNSPEC;
    if (bpf_skb_load_bytes_relative(skb, 0, &ip, sizeof(ip), BPF_HDR_START_NET)) return TC_ACT_SHOT;
    __u32 class = class_of(ip.tos);
    struct profile* p = bpf_map_lookup_elem(&profiles, &class);
    if (!p || !p->pir) return TC_ACT_UNSPEC;
#if BREAK == 2
    skb->mark = *(volatile __u64*)(p + 1);
#endif
    struct meter_key key = {.class = class};
    key.prefix = ip.saddr & bpf_htonl(0xffffff00);
    struct meter* m = bpf_map_lookup_elem(&meters, &key);
    __u64 now = bpf_ktime_get_ns();
    if (!m) {
        struct meter fresh = {.updated = now};
        fresh.committed = (__u64)p->cbs << 16;
        fresh.peak = (__u64)p->pbs << 16;
        bpf_map_update_elem(&meters, &key, &fresh, BPF_NOEXIST);
        m = bpf_map_lookup_elem(&meters, &key);
#if BREAK != 1
        if (!m) return TC_ACT_SHOT;
#endif
    }
    int colour = colour_of(m, p, skb->len, now);
    __u32 slot = class * COLOURS + colour;
    __u64* n = bpf_map_lookup_elem(&colours, &slot);
    if (n) ++*n;
#if BREAK == 3
    asm volatile("call %[now]\nr2 = r1" ::[now] "i"(BPF_FUNC_ktime_get_ns)
                 : "r0", "r1", "r2", "r3", "r4", "r5");
#endif
    if (colour == RED) return TC_ACT_SHOT;
    if (colour == YELLOW) {
        skb->mark = p->mark;
        __u8 tos = (ip.tos & 3) | 10 << 2;
        bpf_l3_csum_replace(skb, ETH_HLEN + 10, bpf_htons(ip.tos), bpf_htons(tos), 2);
        bpf_skb_store_bytes(skb, ETH_HLEN + 1, &tos, 1, 0);
    }
    return TC_ACT_UNSPEC;
}

LICENSED;
