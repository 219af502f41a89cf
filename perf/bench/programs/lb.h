/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the xdplane authors
 *
 * A layer-4 load balancer with direct server return: the virtual address and port; the connection table, an
 * LRU; for what is new a place on a ring of consistent hashing; the real server, whose MAC address the frame
 * gets; a counter per service. To judge a packet again changes nothing.
 */
#include "perf/bench/programs/headers.h"

#define SERVICES 64
#define RING 4096

struct service_key {
    u32 address;
    u16 port;
    u16 protocol;
};
struct server {
    u8 mac[6];
    u16 zero;
};
struct counter {
    u64 packets;
    u64 bytes;
};
MAP(services, HASH, struct service_key, u64, SERVICES);
MAP(connections, LRU_HASH, struct flow_key, u64, 65536);
MAP(ring, ARRAY, u32, u32, SERVICES* RING);
MAP(servers, ARRAY, u32, struct server, 1024);
MAP(counters, PERCPU_ARRAY, u32, struct counter, SERVICES);

static ALWAYS_INLINE u32 mix(u32 x) {
    x ^= x >> 16;
    x *= 0x7feb352d;
    x ^= x >> 15;
    x *= 0x846ca68b;
    return x ^ x >> 16;
}

static ALWAYS_INLINE int judge(void* data, void* data_end) {
    struct flow_key flow;
    const int result = read_flow(data, data_end, &flow);
    if (result) return without_flow(result);
    struct service_key wanted = {flow.destination, flow.destination_port, flow.protocol};
    u64* service = LOOKUP(services, &wanted);
    if (!service) return PASS;

    u64* known = LOOKUP(connections, &flow);
    u32 number;
    if (known) {
        number = *known;
    } else {
        u32 hash = mix(flow.source ^ mix(flow.source_port));
        u32 place = ((u32)*service * RING + (hash & (RING - 1))) & (SERVICES * RING - 1);
        u32* on_ring = LOOKUP(ring, &place);
        if (!on_ring) return ABORTED;
        number = *on_ring;
        u64 chosen = number;
        UPDATE(connections, &flow, &chosen);
    }
    struct server* server = LOOKUP(servers, &number);
    if (!server) return ABORTED;
    u32 index = (u32)*service;
    struct counter* counter = LOOKUP(counters, &index);
    if (!counter) return ABORTED;
    counter->packets++;
    counter->bytes += (u8*)data_end - (u8*)data;

    struct ethernet* ethernet = data;
    if ((void*)(ethernet + 1) > data_end) return ABORTED;
    __builtin_memcpy(ethernet->destination, server->mac, 6);
    return TX;
}
