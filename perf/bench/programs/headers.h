/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the xdplane authors
 *
 * The walk through the headers that all programs but `pass` begin with: Ethernet, up to two VLAN tags, IPv4
 * with options, IPv6, and the ports of TCP and UDP.
 */
#ifndef XDPLANE_BENCH_HEADERS_H
#define XDPLANE_BENCH_HEADERS_H

#include "perf/bench/programs/bench.h"

struct ethernet {
    u8 destination[6];
    u8 source[6];
    u16 type;
};
struct vlan {
    u16 tag;
    u16 type;
};
struct ipv4 {
    u8 version_length;
    u8 tos;
    u16 length;
    u16 id;
    u16 fragment;
    u8 ttl;
    u8 protocol;
    u16 checksum;
    u32 source;
    u32 destination;
};
struct ipv6 {
    u32 flow;
    u16 length;
    u8 next;
    u8 hops;
    u32 source[4];
    u32 destination[4];
};
struct ports {
    u16 source;
    u16 destination;
};

/* What a flow is known by: 16 bytes without a hole, IPv6 addresses folded. */
struct flow_key {
    u32 source;
    u32 destination;
    u16 source_port;
    u16 destination_port;
    u32 protocol;
};

enum { OTHER = -1, BROKEN = -2 }; /* neither of TCP and UDP; cut short */

/* Returns 0 with `key` filled, or OTHER or BROKEN. */
static ALWAYS_INLINE int read_flow(void* data, void* data_end, struct flow_key* key) {
    struct ethernet* ethernet = data;
    if ((void*)(ethernet + 1) > data_end) return BROKEN;
    u16 type = ethernet->type;
    void* at = ethernet + 1;
#pragma unroll
    for (int i = 0; i < 2; i++) {
        struct vlan* vlan = at;
        if (type != NET16(0x8100) && type != NET16(0x88a8)) break;
        if ((void*)(vlan + 1) > data_end) return BROKEN;
        type = vlan->type;
        at = vlan + 1;
    }
    if (type == NET16(0x0800)) {
        struct ipv4* ip = at;
        if ((void*)(ip + 1) > data_end) return BROKEN;
        u32 length = (ip->version_length & 15) * 4;
        if (length < sizeof(*ip)) return BROKEN;
        if (ip->fragment & NET16(0x1fff)) return OTHER;
        key->source = ip->source;
        key->destination = ip->destination;
        key->protocol = ip->protocol;
        at = (u8*)at + length;
    } else if (type == NET16(0x86dd)) {
        struct ipv6* ip = at;
        if ((void*)(ip + 1) > data_end) return BROKEN;
        key->source = ip->source[0] ^ ip->source[1] ^ ip->source[2] ^ ip->source[3];
        key->destination = ip->destination[0] ^ ip->destination[1] ^ ip->destination[2] ^ ip->destination[3];
        key->protocol = ip->next;
        at = ip + 1;
    } else {
        return OTHER;
    }
    u32 header = key->protocol == 6 ? 20 : key->protocol == 17 ? 8 : 0;
    if (header == 0) return OTHER;
    struct ports* ports = at;
    if ((u8*)at + header > (u8*)data_end) return BROKEN;
    if ((void*)(ports + 1) > data_end) return BROKEN;
    key->source_port = ports->source;
    key->destination_port = ports->destination;
    return 0;
}

/* The verdict for what read_flow() has no key for. */
static ALWAYS_INLINE int without_flow(int why) { return why == BROKEN ? DROP : PASS; }

#endif
