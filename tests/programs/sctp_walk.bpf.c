// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// Walks the chunks of SCTP packets (RFC 9260), keeps association state by
// verification tag, and checks the CRC32c by table over short packets.
//
// Style: chunk handlers in a switch, a table made by macro, loops.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>

#define MAX_CHUNKS 6
#define CRC_BYTES 24

struct sctp {
    __be16 sport, dport;
    __be32 tag, crc;
};

struct chunk {
    __u8 type, flags;
    __be16 length;
};

struct assoc_key {
    __be32 addr;
    __be32 tag;
};

struct assoc {
    __u32 state;
    __u32 data_chunks;
    __u64 last;
};

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 10000);
    __type(key, struct assoc_key);
    __type(value, struct assoc);
} assocs SEC(".maps");

// Bit by bit: polynomial 0x82f63b78.

__u64 kinds[16];
__u64 bad_crc;

static __noinline __u32 crc_byte(__u32 crc, __u8 byte) {
    crc ^= byte;
#pragma clang loop unroll(disable)
    for (int i = 0; i < 8; i++) {
        __u32 low = crc & 1;
        crc = crc >> 1 ^ (0x82f63b78u & -low);
    }
    return crc;
}

static __always_inline __u32 crc_of(__u8* at, void* end) {
    __u32 crc = ~0u;
    for (int i = 0; i < CRC_BYTES; i++) {
        if ((void*)(at + i + 1) > end) break;
        // The checksum itself counts as zero.
        crc = crc_byte(crc, i >= 8 && i < 12 ? 0 : at[i]);
    }
    return ~crc;
}

struct seen {
    __u32 init, data, abort, cookie;
};

static __always_inline int chunks(void* at, void* end, struct seen* s) {
    for (int i = 0; i < MAX_CHUNKS; i++) {
        struct chunk* c = at;
        if ((void*)(c + 1) > end) return 0;
        __u32 length = bpf_ntohs(c->length);
        if (length < sizeof(*c)) return -1;
        switch (c->type) {
        case 0: s->data = 1; break;
        case 1: s->init = 1; break;
        case 6:
        case 14: s->abort = 1; break;
        case 10: s->cookie = 1; break;
        }
#if BREAK == 1
        kinds[c->type]++;
#else
        kinds[c->type & 15]++;
#endif
        barrier_var(length);
        length = (length + 3) & 0xffc;
#if BREAK == 2
        at -= length;
#else
        at += length;
#endif
    }
    return 0;
}

SEC("xdp")
BROKEN(1, "invalid access to map value")
BROKEN(2, "min value is negative, either use unsigned index")
BROKEN(3, "R1 type=map_value expected=map_ptr")
int sctp_track(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    struct iphdr* ip = (void*)(eth + 1);
    struct sctp* h = (void*)(ip + 1);
    if ((void*)(h + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP)) return XDP_PASS;
    if (ip->ihl != 5 || ip->protocol != IPPROTO_SCTP) return XDP_PASS;
    if ((void*)h + CRC_BYTES >= end) {
        __be32 crc = h->crc;
        if (crc_of((void*)h, end) != crc) {
            __sync_fetch_and_add(&bad_crc, 1);
            return XDP_DROP;
        }
    }
    struct seen s = {};
    if (chunks(h + 1, end, &s)) return XDP_DROP;
    struct assoc_key key = {ip->daddr, h->tag};
    if (s.init) return s.data || h->tag ? XDP_DROP : XDP_PASS;
    struct assoc* a = bpf_map_lookup_elem(&assocs, &key);
    if (s.cookie && !a) {
        struct assoc fresh = {.state = 1, .last = bpf_ktime_get_ns()};
        bpf_map_update_elem(&assocs, &key, &fresh, BPF_ANY);
        return XDP_PASS;
    }
    if (!a) return s.abort ? XDP_PASS : XDP_DROP;
    if (s.abort) {
        bpf_map_delete_elem(&assocs, &key);
#if BREAK == 3
        bpf_map_delete_elem(a, &key);
#endif
        return XDP_PASS;
    }
    a->last = bpf_ktime_get_ns();
    a->data_chunks += s.data;
    return XDP_PASS;
}

LICENSED;
