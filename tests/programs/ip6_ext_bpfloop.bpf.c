// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// The walk over IPv6 extension headers with bpf_loop: the callback loads each
// header through xdp_load_bytes at an offset, so fragmented buffers work too.
//
// Style: offsets rather than pointers, state in one struct, xdp.frags.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ipv6.h>

#define MOST_HEADERS 64

struct state {
    struct xdp_md* ctx;
    __u32 offset;
    __u32 steps;
    __u8 next;
    __u8 stop;
    __u8 error;
    __u8 first_fragment;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 256);
    __type(key, __u8);
    __type(value, __u64);
} final_protocols SEC(".maps");

__u64 chains[MOST_HEADERS + 1];

static long step(__u32 index, struct state* s) {
    __u8 header[8];
    if (bpf_xdp_load_bytes(s->ctx, s->offset, header, sizeof(header)) < 0) {
        s->error = 1;
        return 1;
    }
    __u32 length;
    switch (s->next) {
    case IPPROTO_HOPOPTS:
    case IPPROTO_DSTOPTS:
    case IPPROTO_ROUTING:
    case IPPROTO_MH: length = (header[1] + 1) * 8; break;
    case IPPROTO_AH: length = (header[1] + 2) * 4; break;
    case IPPROTO_FRAGMENT: {
        __u16 frag = (header[2] << 8 | header[3]) & 0xfff8;
        s->first_fragment = frag == 0;
        if (frag) {
            s->stop = 1;
            return 1;
        }
        length = 8;
        break;
    }
    default: s->stop = 1; return 1;
    }
    s->next = header[0];
    s->offset += length;
    s->steps = index + 1;
#if BREAK == 1
    return 2;
#else
    return 0;
#endif
}

SEC("xdp.frags")
BROKEN(1, "should have been in [0, 1]")
BROKEN(2, "R3 type=scalar expected=fp")
BROKEN(3, "invalid mem access 'scalar'")
BROKEN(4, "value_size=520 off=520 size=8")
int ext_walk(struct xdp_md* ctx) {
    struct state s = {.ctx = ctx, .offset = ETH_HLEN + sizeof(struct ipv6hdr)};
    __u8 base[ETH_HLEN + sizeof(struct ipv6hdr)];
    if (bpf_xdp_load_bytes(ctx, 0, base, sizeof(base))) return XDP_PASS;
    if (base[12] != 0x86 || base[13] != 0xdd) return XDP_PASS;
    s.next = base[ETH_HLEN + 6];
#if BREAK == 2
    long n = bpf_loop(MOST_HEADERS, step, (void*)(long)ctx->rx_queue_index, 0);
#elif BREAK == 3
    long n = bpf_loop(MOST_HEADERS, step, 0, 0);
#else
    long n = bpf_loop(MOST_HEADERS, step, &s, 0);
#endif
    if (n < 0 || s.error) return XDP_DROP;
    if (!s.stop) return XDP_DROP;
    __u32 slot = s.steps;
#if BREAK != 4
    if (slot > MOST_HEADERS) return XDP_DROP;
#else
    if (slot > MOST_HEADERS + 1) return XDP_DROP;
#endif
    __sync_fetch_and_add(&chains[slot], 1);
    __u8 proto = s.next;
    __u64* seen = bpf_map_lookup_elem(&final_protocols, &proto);
    if (seen) {
        __sync_fetch_and_add(seen, 1);
    } else {
        __u64 one = 1;
        bpf_map_update_elem(&final_protocols, &proto, &one, BPF_NOEXIST);
    }
    return XDP_PASS;
}

LICENSED;
