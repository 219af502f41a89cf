// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// QUIC packets to the server that their connection id names: variable-length
// ids and varints read from the packet into the stack at variable offsets, a
// long header's token skipped, coalesced packets walked with bpf_loop.
//
// Style: a reader with an offset; every read checked; masks for the verifier.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#define LONGEST_ID 20

struct id {
    __u8 bytes[LONGEST_ID];
    __u8 length;
    __u8 pad[3];
};

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 65536);
    __type(key, struct id);
    __type(value, __u32);
} servers SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
    __uint(max_entries, 64);
    __type(key, __u32);
    __type(value, __u32);
} ports SEC(".maps");

struct reader {
    struct xdp_md* ctx;
    __u32 at;
    __u32 packets;
    struct id first;
};

static __noinline int read_varint(struct reader* r, __u64* value) {
    if (!r || !value) return -1;
    __u8 bytes[16] = {};
    if (bpf_xdp_load_bytes(r->ctx, r->at, bytes, 1)) return -1;
    __u32 length = 1 << (bytes[0] >> 6);
    asm volatile("%0 &= 15" : "+r"(length)); // clang knows, the verifier does not
#if BREAK == 1
    if (bpf_xdp_load_bytes(r->ctx, r->at, bytes, length << 1)) return -1;
#else
    if (length == 0 || bpf_xdp_load_bytes(r->ctx, r->at, bytes, length)) return -1;
#endif
    __u64 v = bytes[0] & 0x3f;
    LOOP for (unsigned i = 1; i < 8; i++) {
        if (i >= length) break;
        v = v << 8 | bytes[i];
    }
    r->at += length;
    *value = v;
    return 0;
}

static __always_inline int read_id(struct reader* r, struct id* id) {
    __u8 length = 0;
    if (bpf_xdp_load_bytes(r->ctx, r->at, &length, 1)) return -1;
    r->at++;
#if BREAK != 2
    if (length > LONGEST_ID) return -1;
#endif
    id->length = length;
    if (length && bpf_xdp_load_bytes(r->ctx, r->at, id->bytes, length)) return -1;
    r->at += length;
    return 0;
}

static long next_packet(__u32 index, struct reader* r) {
    __u8 head[5];
    if (bpf_xdp_load_bytes(r->ctx, r->at, head, sizeof(head))) return 1;
    struct id to = {}, from = {};
    if (!(head[0] & 0x80)) return 1; // a short header is the last one
    r->at += sizeof(head);
    if (read_id(r, &to) || read_id(r, &from)) return 1;
    if (index == 0) r->first = to;
    __u64 length = 0;
    if ((head[0] & 0x30) == 0) {
        if (read_varint(r, &length) || length > 1500) return 1;
        r->at += length;
    }
    if (read_varint(r, &length) || length > 1500) return 1;
    r->at += length;
    r->packets++;
#if BREAK == 3
    return r->packets;
#else
    return 0;
#endif
}

SEC("xdp")
BROKEN(1, "R4 ")
BROKEN(2, "invalid write to stack")
BROKEN(3, "At callback return the register R0 has")
int quic(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    if ((void*)(eth + 1) > end) return XDP_DROP;
    __u32 at = sizeof(*eth);
    __u8 proto;
    if (eth->h_proto == bpf_htons(ETH_P_IP)) {
        struct iphdr* ip = data + at;
        if ((void*)(ip + 1) > end || ip->ihl < 5) return XDP_DROP;
        proto = ip->protocol;
        at += ip->ihl * 4;
    } else if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
        struct ipv6hdr* ip6 = data + at;
        if ((void*)(ip6 + 1) > end) return XDP_DROP;
        proto = ip6->nexthdr;
        at += sizeof(*ip6);
    } else {
        return XDP_PASS;
    }
    struct udphdr* udp = data + at;
    if (proto != IPPROTO_UDP || (void*)(udp + 1) > end || udp->dest != bpf_htons(443)) return XDP_PASS;
    struct reader r = {.ctx = ctx, .at = at + sizeof(*udp)};
    __u8* first = (void*)(udp + 1);
    if ((void*)(first + 1) > end) return XDP_DROP;
    if (*first & 0x80) {
        if (bpf_loop(8, next_packet, &r, 0) < 0) return XDP_ABORTED;
    } else {
        r.first.length = 8;
        if (bpf_xdp_load_bytes(ctx, r.at + 1, r.first.bytes, 8)) return XDP_DROP;
    }
    __u32* server = bpf_map_lookup_elem(&servers, &r.first);
    if (!server) return XDP_PASS;
    return bpf_redirect_map(&ports, *server, XDP_DROP);
}

LICENSED;
