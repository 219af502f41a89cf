// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// blocklist: drops packets from or to listed addresses and prefixes, IPv4 and
// IPv6, and counts what each entry stopped.
//
// Programs: blocklist_filter
//
// Maps
//   blocklist      hash[65536] of struct block_entry, keyed by struct
//                  block_key, 20 bytes: u8 family (4 or 6), u8 prefix length,
//                  u16 zero, 16 bytes of address in network order, zero beyond
//                  the prefix (IPv4: first four bytes, the rest zero).
//                  Value, 24 bytes: u32 match (1 sources, 2 destinations, 3
//                  both; 0 is 1), u32 verdict (0 is 1, drop), u64 packets and
//                  u64 bytes it decided on (updated atomically).
//   blocklist_config array[1] of struct blocklist_config, 12 bytes: u8 v4[4]
//                  and u8 v6[4], the prefix lengths to try in this order, up
//                  to the first 0; u32 match, which addresses to look up (as
//                  above). All zero is /32 /24 /16 /8, /128 /64 /48, and
//                  sources only.
//   blocklist_stats per-CPU array[4] of {u64 packets, u64 bytes}: 0 passed,
//                  1 matched, 2 not IP, 3 truncated or malformed
//
// Verdicts: of the first entry found (sources first, in the order of the
// prefix lengths). Frames that are not IP pass; headers cut short or malformed
// drop, as their addresses cannot be judged.
//
//   xdplane replay -r in.pcap --prog build/filters/blocklist.bpf.o --map blocklist=bad.json
//
// with bad.json blocking 203.0.113.0/24 as a source:
//
//   [{"key": "04 18 0000 cb007100 000000000000000000000000",
//     "value": "01000000 01000000 0000000000000000 0000000000000000"}]
#include "include/parse.h"

#define BLOCK_SOURCE 1
#define BLOCK_DESTINATION 2
#define BLOCK_PREFIXES 4

enum { STAT_PASSED, STAT_MATCHED, STAT_OTHER, STAT_MALFORMED, STATS };

struct block_key {
    __u8 family;
    __u8 prefix_length;
    __u16 zero;
    __be32 addr[4];
};

struct block_entry {
    __u32 match;
    __u32 verdict;
    __u64 packets;
    __u64 bytes;
};

struct blocklist_config {
    __u8 v4[BLOCK_PREFIXES];
    __u8 v6[BLOCK_PREFIXES];
    __u32 match;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 65536);
    __type(key, struct block_key);
    __type(value, struct block_entry);
} blocklist SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct blocklist_config);
} blocklist_config SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, STATS);
    __type(key, __u32);
    __type(value, struct counter);
} blocklist_stats SEC(".maps");

static const __u8 default_prefixes[2][BLOCK_PREFIXES] = {{32, 24, 16, 8}, {128, 64, 48, 0}};

// Keeps the first `bits` bits of the word that starts at bit `from`.
static __always_inline __be32 prefix_word(__be32 word, __u32 from, __u32 bits) {
    if (bits <= from) return 0;
    bits -= from;
    if (bits >= 32) return word;
    return word & bpf_htonl(~0u << ((32 - bits) & 31));
}

// The entry of the longest-tried prefix of `addr` that is listed for this
// direction, or null.
static __always_inline struct block_entry* find(const __be32* addr, __u8 family, const __u8* prefixes,
                                                __u32 direction) {
    struct block_key key = {.family = family};
    for (int i = 0; i < BLOCK_PREFIXES; i++) {
        __u32 bits = prefixes[i];
        if (!bits) break;
        key.prefix_length = bits;
        key.addr[0] = prefix_word(addr[0], 0, bits);
        key.addr[1] = prefix_word(addr[1], 32, bits);
        key.addr[2] = prefix_word(addr[2], 64, bits);
        key.addr[3] = prefix_word(addr[3], 96, bits);
        struct block_entry* entry = bpf_map_lookup_elem(&blocklist, &key);
        if (entry && CONFIG_OR(entry->match, BLOCK_SOURCE) & direction) return entry;
    }
    return 0;
}

SEC("xdp")
int blocklist_filter(struct xdp_md* ctx) {
    struct blocklist_config* config = config_of(&blocklist_config);
    struct packet packet;
    __u64 bytes = frame_length(ctx);
    __be32 source[4], destination[4];

    if (!config) return XDP_ABORTED;
    int result = parse_packet(ctx, &packet);
    if (result == PARSE_NOT_IP) {
        count(&blocklist_stats, STAT_OTHER, bytes);
        return XDP_PASS;
    }
    if (result != PARSE_OK) {
        count(&blocklist_stats, STAT_MALFORMED, bytes);
        return XDP_DROP;
    }
    packet_addresses(&packet, source, destination);
    const __u8* prefixes = packet.family == 4 ? config->v4 : config->v6;
    if (!prefixes[0]) prefixes = default_prefixes[packet.family == 6];

    __u32 match = CONFIG_OR(config->match, BLOCK_SOURCE);
    struct block_entry* entry = 0;
    if (match & BLOCK_SOURCE) entry = find(source, packet.family, prefixes, BLOCK_SOURCE);
    if (!entry && match & BLOCK_DESTINATION)
        entry = find(destination, packet.family, prefixes, BLOCK_DESTINATION);
    if (!entry) {
        count(&blocklist_stats, STAT_PASSED, bytes);
        return XDP_PASS;
    }
    __sync_fetch_and_add(&entry->packets, 1);
    __sync_fetch_and_add(&entry->bytes, bytes);
    count(&blocklist_stats, STAT_MATCHED, bytes);
    return CONFIG_OR(entry->verdict, XDP_DROP);
}

FILTER_LICENSE;
