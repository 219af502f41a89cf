// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// flowcount: counts packets and bytes of every flow, a flow being one
// direction of a 5-tuple.
//
// Programs: flowcount
//
// Maps
//   flows       per-CPU hash[65536] of struct flow, keyed by struct flow_key
//               (include/parse.h), 40 bytes: 16 source address, 16 destination
//               address (IPv4: first four bytes, the rest zero), 2 source port,
//               2 destination port (network order, zero where there is none),
//               u8 protocol, u8 family (4 or 6), u16 zero.
//               Value, 32 bytes: u64 packets, bytes, first_ns, last_ns, by the
//               clock of bpf_ktime_get_ns (the capture's own in a replay).
//   flow_stats  per-CPU array[4] of {u64 packets, u64 bytes}: 0 counted in a
//               flow, 1 lost because `flows` was full, 2 not IP, 3 truncated or
//               malformed
//
// Verdict: always XDP_PASS. Fragments after the first count as a flow with
// ports 0. Values are per CPU: a reader adds packets and bytes up and takes the
// smallest first_ns (of those with packets) and the largest last_ns.
//
//   xdplane replay -r in.pcap --prog build/filters/flowcount.bpf.o --dump-maps flows.json
#include "include/parse.h"

enum { STAT_COUNTED, STAT_FULL, STAT_OTHER, STAT_MALFORMED, STATS };

struct flow {
    __u64 packets;
    __u64 bytes;
    __u64 first_ns;
    __u64 last_ns;
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, 65536);
    __type(key, struct flow_key);
    __type(value, struct flow);
} flows SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, STATS);
    __type(key, __u32);
    __type(value, struct counter);
} flow_stats SEC(".maps");

// Adds the packet to its flow, making the flow if need be.
static __always_inline __u32 add_to_flow(const struct flow_key* key, __u64 bytes) {
    __u64 now = bpf_ktime_get_ns();
    struct flow* flow = bpf_map_lookup_elem(&flows, key);
    if (!flow) {
        struct flow fresh = {.packets = 1, .bytes = bytes, .first_ns = now, .last_ns = now};
        return bpf_map_update_elem(&flows, key, &fresh, BPF_ANY) ? STAT_FULL : STAT_COUNTED;
    }
    // Another CPU may have made the entry; this CPU's share is zero then.
    if (!flow->packets) flow->first_ns = now;
    flow->packets++;
    flow->bytes += bytes;
    flow->last_ns = now;
    return STAT_COUNTED;
}

SEC("xdp")
int flowcount(struct xdp_md* ctx) {
    struct packet packet;
    struct flow_key key;
    int has_ports;
    __u64 bytes = frame_length(ctx);
    __u32 stat = STAT_MALFORMED;

    int result = parse_packet(ctx, &packet);
    if (result == PARSE_OK) result = packet_flow(&packet, &key, &has_ports);
    if (result == PARSE_OK)
        stat = add_to_flow(&key, bytes);
    else if (result == PARSE_NOT_IP)
        stat = STAT_OTHER;
    count(&flow_stats, stat, bytes);
    return XDP_PASS;
}

FILTER_LICENSE;
