// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// Walks the extension headers of IPv6 (RFC 8200) and keeps what RFC 7045 and
// RFC 9288 advise routers to: order, repetition, options that must be
// understood, routing headers of type 0.
//
// Style: bounded loops, a loop within the loop for the options, switch-heavy.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ipv6.h>

#define MAX_HEADERS 5
#define MAX_OPTIONS 4

enum verdict {
    V_OK,
    V_TRUNCATED,
    V_TOO_MANY,
    V_HOP_NOT_FIRST,
    V_ROUTING_0,
    V_BAD_OPTION,
    V_REPEATED,
    V_ESP,
    V_NOT_IPV6,
    V_COUNT
};

struct ext {
    __u8 next;
    __u8 length;
    __u8 data[6];
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, V_COUNT);
    __type(key, __u32);
    __type(value, __u64);
} verdicts SEC(".maps");

const volatile __u32 drop_mask = 1u << V_ROUTING_0 | 1u << V_BAD_OPTION | 1u << V_HOP_NOT_FIRST;

struct walk {
    __u8* pos;
    __u8* end;
    __u32 seen;
    __u8 next;
    __u8 fragment;
};

// Options of hop-by-hop and destination headers: type, length, value.
static __always_inline int check_options(struct walk* w, __u8* at, __u32 length) {
    __u32 off = 2;
    LOOP for (int i = 0; i < MAX_OPTIONS; i++) {
        if (off >= length) return V_OK;
        __u8* opt = at + off;
        if (opt + 2 > w->end) return V_TRUNCATED;
        if (opt[0] == 0) {
            off += 1;
            continue;
        }
        __u32 size = opt[1] + 2;
        switch (opt[0]) {
        case 1:    // padding
        case 5:    // router alert
        case 0xc2: // jumbo payload
            break;
        default:
            if (opt[0] & 0xc0) return V_BAD_OPTION;
        }
        off += size;
    }
    return off >= length ? V_OK : V_TOO_MANY;
}

static __always_inline int one_header(struct walk* w, int index) {
    struct ext* h = (void*)w->pos;
#if BREAK == 1
    if ((__u8*)h + 1 > w->end) return V_TRUNCATED;
#else
    if ((__u8*)(h + 1) > w->end) return V_TRUNCATED;
#endif
    __u32 length = (h->length + 1) * 8;
    int result;
    switch (w->next) {
    case IPPROTO_HOPOPTS:
        if (index != 0) return V_HOP_NOT_FIRST;
        result = check_options(w, w->pos, length);
        if (result != V_OK) return result;
        break;
    case IPPROTO_DSTOPTS:
        if (w->seen & 2) return V_REPEATED;
        w->seen |= 2;
        break;
    case IPPROTO_ROUTING:
        if (h->data[0] == 0) return V_ROUTING_0;
        if (w->seen & 1) return V_REPEATED;
        w->seen |= 1;
        break;
    case IPPROTO_FRAGMENT:
        length = 8;
        w->fragment = 1;
        break;
    case IPPROTO_AH: length = (h->length + 2) * 4; break;
    default: return V_OK;
    }
    w->next = h->next;
    w->pos += length;
    return V_OK;
}

static __always_inline int is_extension(__u8 next) {
    switch (next) {
    case IPPROTO_HOPOPTS:
    case IPPROTO_DSTOPTS:
    case IPPROTO_ROUTING:
    case IPPROTO_FRAGMENT:
    case IPPROTO_AH: return 1;
    }
    return 0;
}

static __always_inline int walk_headers(struct xdp_md* ctx, struct walk* w) {
    void* data = (void*)(long)ctx->data;
    w->end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    struct ipv6hdr* ip6 = (void*)(eth + 1);
    if ((__u8*)(ip6 + 1) > w->end) return V_NOT_IPV6;
    if (eth->h_proto != bpf_htons(ETH_P_IPV6) || ip6->version != 6) return V_NOT_IPV6;
    w->next = ip6->nexthdr;
    w->pos = (__u8*)(ip6 + 1);
    LOOP for (int i = 0; i < MAX_HEADERS; i++) {
        if (w->next == IPPROTO_ESP) return V_ESP;
        if (!is_extension(w->next)) return V_OK;
        int result = one_header(w, i);
        if (result != V_OK) return result;
    }
    return is_extension(w->next) ? V_TOO_MANY : V_OK;
}

SEC("xdp")
BROKEN(1, "invalid access to packet")
BROKEN(3, "invalid access to packet")
int ext_filter(struct xdp_md* ctx) {
    struct walk w = {};
    __u32 result = walk_headers(ctx, &w);
#if BREAK == 3
    if (result == V_OK) return w.pos[0] & 1 ? XDP_PASS : XDP_DROP;
#endif
    __u64* n = bpf_map_lookup_elem(&verdicts, &result);
    if (n) __sync_fetch_and_add(n, 1);
    if (drop_mask >> (result & 31) & 1) return XDP_DROP;
    return XDP_PASS;
}

LICENSED;
