// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// chain: three stages in one object that hand packets on by tail calls, as an
// example of include/stage.h and a small firewall of its own.
//
// Programs, in the order of the chain; run the first
//   chain_sanity  drops frames whose headers are cut short or malformed
//   chain_acl     drops TCP and UDP to ports listed in chain_closed
//   chain_count   counts what is left by IP protocol
//
// Maps
//   stages        prog array[3], filled by declaration
//   chain_closed  hash[1024], key 4 bytes: u16 port (network order), u8
//                 protocol, u8 zero; value u64, packets it dropped (updated
//                 atomically)
//   chain_counts  per-CPU array[256] of {u64 packets, u64 bytes}, by IP
//                 protocol; 255 also counts frames that are not IP
//   chain_stats   per-CPU array[3] of {u64 packets, u64 bytes}: what entered
//                 each stage
//
// Verdicts: XDP_DROP as above, else XDP_PASS from the last stage.
//
//   xdplane replay -r in.pcap --prog build/filters/chain.bpf.o:chain_sanity
//       --map chain_closed=ports.json
//
// with ports.json closing TCP port 23:
//
//   [{"key": "0017 06 00", "value": "0000000000000000"}]
#include "include/parse.h"
#include "include/stage.h"

enum { STAGE_SANITY, STAGE_ACL, STAGE_COUNT, STAGE_TOTAL };

struct closed_key {
    __be16 port;
    __u8 protocol;
    __u8 zero;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1024);
    __type(key, struct closed_key);
    __type(value, __u64);
} chain_closed SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 256);
    __type(key, __u32);
    __type(value, struct counter);
} chain_counts SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, STAGE_TOTAL);
    __type(key, __u32);
    __type(value, struct counter);
} chain_stats SEC(".maps");

int chain_sanity(struct xdp_md* ctx);
int chain_acl(struct xdp_md* ctx);
int chain_count(struct xdp_md* ctx);
STAGES_OF(STAGE_TOTAL, [STAGE_SANITY] = (void*)&chain_sanity, [STAGE_ACL] = (void*)&chain_acl,
          [STAGE_COUNT] = (void*)&chain_count);

SEC("xdp")
int chain_sanity(struct xdp_md* ctx) {
    struct packet packet;
    struct flow_key flow;
    int has_ports;
    count(&chain_stats, STAGE_SANITY, frame_length(ctx));
    int result = parse_packet(ctx, &packet);
    if (result == PARSE_OK) result = packet_flow(&packet, &flow, &has_ports);
    if (result == PARSE_TRUNCATED || result == PARSE_MALFORMED) return XDP_DROP;
    STAGE_NEXT_FROM(ctx, STAGE_SANITY);
}

SEC("xdp")
int chain_acl(struct xdp_md* ctx) {
    struct packet packet;
    struct flow_key flow;
    int has_ports = 0;
    count(&chain_stats, STAGE_ACL, frame_length(ctx));
    if (parse_packet(ctx, &packet) == PARSE_OK && packet_flow(&packet, &flow, &has_ports) == PARSE_OK &&
        has_ports) {
        struct closed_key key = {.port = flow.dport, .protocol = flow.protocol};
        __u64* dropped = bpf_map_lookup_elem(&chain_closed, &key);
        if (dropped) {
            __sync_fetch_and_add(dropped, 1);
            return XDP_DROP;
        }
    }
    STAGE_NEXT_FROM(ctx, STAGE_ACL);
}

SEC("xdp")
int chain_count(struct xdp_md* ctx) {
    struct packet packet;
    count(&chain_stats, STAGE_COUNT, frame_length(ctx));
    __u32 slot = parse_packet(ctx, &packet) == PARSE_OK ? packet.protocol : 255;
    count(&chain_counts, slot, frame_length(ctx));
    STAGE_NEXT_FROM(ctx, STAGE_COUNT);
}

FILTER_LICENSE;
