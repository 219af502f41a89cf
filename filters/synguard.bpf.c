// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// synguard: keeps a SYN flood off a TCP server. Counts the SYNs that each
// destination address gets in a window of time; past the threshold only
// sources that have finished a handshake before may open connections.
//
// Programs: synguard
//
// How a source gets verified. The filter remembers the sequence numbers of
// handshakes it sees. An ACK verifies its source when it fits: its sequence
// number is the SYN's plus one, and its acknowledgement number is the
// SYN-ACK's plus one. A sender of forged addresses never sees the SYN-ACK and
// has one chance in 2^32.
//   That needs both directions: the server's packets must pass here too, on
// the same maps. Where only the clients' packets pass, set `one_way`: then the
// ACK's sequence number alone must fit. That stops floods of bare SYNs, the
// usual kind, but not a flooder who forges the SYN and its ACK.
//
// What it does not do: it sends no SYN cookies, so during an attack new
// clients that were never seen before are refused with the flood, apart from
// the `threshold` SYNs a window lets through; it does not watch floods of ACKs
// or data. A SYN that carries data (TCP Fast Open) verifies nobody.
//
// Maps
//   synguard_config array[1] of struct synguard_config, 24 bytes:
//                 0 u64 window_ns    0 is one second
//                 8 u64 verified_ns  how long a verification lasts; 0 for ever
//                16 u32 threshold    SYNs a destination may get in a window
//                              before it counts as attacked. 0 turns the guard
//                              off.
//                20 u32 one_way      1: only the clients' direction passes here
//   targets       hash[16384] of struct target, keyed by destination: 16 bytes
//                 of address (IPv4: first four), u32 family. Value, 16 bytes:
//                 u64 start of the window in ns, u64 SYNs in it.
//   verified      hash[65536] of u64, the time of verification in ns, keyed by
//                 source (as above)
//   handshakes    array[4096] of struct handshake, 16 bytes: u32 tag, u32
//                 sequence number the client's ACK must carry, u32 number it
//                 must acknowledge, u32 state (0 free, 1 SYN seen, 2 SYN-ACK
//                 seen). A slot is chosen by a hash of the 5-tuple and
//                 overwritten by the next handshake that lands on it, so a
//                 flood cannot fill it up, only crowd it.
//   synguard_stats per-CPU array[8] of {u64 packets, u64 bytes}: 0 not a SYN,
//                 1 SYN below the threshold, 2 SYN of a verified source during
//                 an attack, 3 SYN dropped, 4 sources verified, 5 not verified
//                 as `verified` was full, 6 SYN not counted as `targets` was
//                 full, 7 truncated or malformed
//
// Verdicts: XDP_PASS, but XDP_DROP for SYNs of unverified sources during an
// attack and for malformed headers. IPv4 and IPv6. Expired verifications are
// deleted when their source shows up again; entries of sources that never do
// stay until the control side deletes them.
//
//   xdplane replay -r flood.pcap -w kept.pcap --prog build/filters/synguard.bpf.o
//       --map synguard_config=guard.json
//
// with guard.json allowing 100 SYNs a second, verification for 10 minutes:
//
//   [{"key": "00000000",
//     "value": "0000000000000000 0070c9b28b000000 64000000 00000000"}]
#include "include/parse.h"

#define HANDSHAKES 4096
#define DEFAULT_WINDOW_NS 1000000000ull

enum {
    STAT_OTHER,
    STAT_SYN_PASSED,
    STAT_SYN_VERIFIED,
    STAT_SYN_DROPPED,
    STAT_LEARNED,
    STAT_VERIFIED_FULL,
    STAT_TARGETS_FULL,
    STAT_MALFORMED,
    STATS
};

enum { HANDSHAKE_FREE, HANDSHAKE_SYN, HANDSHAKE_SYNACK };

struct synguard_config {
    __u64 window_ns;
    __u64 verified_ns;
    __u32 threshold;
    __u32 one_way;
};

struct target {
    __u64 start_ns;
    __u64 syns;
};

struct handshake {
    __u32 tag;
    __u32 client_next; // host order
    __u32 server_next; // host order
    __u32 state;
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct synguard_config);
} synguard_config SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16384);
    __type(key, struct host_key);
    __type(value, struct target);
} targets SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 65536);
    __type(key, struct host_key);
    __type(value, __u64);
} verified SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, HANDSHAKES);
    __type(key, __u32);
    __type(value, struct handshake);
} handshakes SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, STATS);
    __type(key, __u32);
    __type(value, struct counter);
} synguard_stats SEC(".maps");

// The 5-tuple without protocol and family, from client to server.
struct connection {
    __be32 client[4];
    __be32 server[4];
    __be16 client_port;
    __be16 server_port;
};

static __always_inline __u64 mix(__u64 hash, __u32 word) {
    hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
    return hash ^ (hash >> 29);
}

// Slot of the connection (low bits) and its tag (high half).
static __always_inline __u64 connection_hash(const struct connection* c) {
    __u64 hash = 0;
#pragma unroll
    for (int i = 0; i < 4; i++) hash = mix(hash, c->client[i]);
#pragma unroll
    for (int i = 0; i < 4; i++) hash = mix(hash, c->server[i]);
    return mix(hash, (__u32)bpf_ntohs(c->client_port) << 16 | bpf_ntohs(c->server_port));
}

static __always_inline struct handshake* slot_of(__u64 hash) {
    __u32 slot = hash & (HANDSHAKES - 1);
    return bpf_map_lookup_elem(&handshakes, &slot);
}

// Counts a SYN for its destination; true when that destination is past the
// threshold.
static __always_inline int is_attacked(const struct synguard_config* config, const struct host_key* key,
                                       __u64 now, __u64 bytes) {
    struct target* target = bpf_map_lookup_elem(&targets, key);
    if (!target) {
        struct target fresh = {.start_ns = now, .syns = 1};
        if (bpf_map_update_elem(&targets, key, &fresh, BPF_ANY))
            count(&synguard_stats, STAT_TARGETS_FULL, bytes);
        return 0;
    }
    __u64 window = CONFIG_OR(config->window_ns, DEFAULT_WINDOW_NS);
    if (now > target->start_ns && now - target->start_ns >= window) {
        target->start_ns = now;
        target->syns = 1;
        return 0;
    }
    __sync_fetch_and_add(&target->syns, 1);
    return target->syns > config->threshold;
}

static __always_inline int is_verified(const struct synguard_config* config, const struct host_key* source,
                                       __u64 now) {
    __u64* since = bpf_map_lookup_elem(&verified, source);
    if (!since) return 0;
    if (!config->verified_ns || now < *since || now - *since < config->verified_ns) return 1;
    bpf_map_delete_elem(&verified, source);
    return 0;
}

// A client asks for a connection: judge it, and remember what its ACK must
// look like.
static __always_inline int on_syn(const struct synguard_config* config, const struct connection* c,
                                  __u32 family, __u32 seq, __u64 bytes) {
    struct host_key key;
    __u64 now = bpf_ktime_get_ns();
    __u32 stat = STAT_SYN_PASSED;
    __builtin_memcpy(key.addr, c->server, sizeof(key.addr));
    key.family = family;
    if (is_attacked(config, &key, now, bytes)) {
        __builtin_memcpy(key.addr, c->client, sizeof(key.addr));
        if (!is_verified(config, &key, now)) {
            count(&synguard_stats, STAT_SYN_DROPPED, bytes);
            return XDP_DROP;
        }
        stat = STAT_SYN_VERIFIED;
    }
    __u64 hash = connection_hash(c);
    struct handshake* handshake = slot_of(hash);
    if (handshake) {
        handshake->tag = hash >> 32;
        handshake->client_next = seq + 1;
        handshake->server_next = 0;
        handshake->state = HANDSHAKE_SYN;
    }
    count(&synguard_stats, stat, bytes);
    return XDP_PASS;
}

// The server answers; c is turned round, so that it names the client's
// connection.
static __always_inline void on_synack(const struct connection* c, __u32 seq, __u32 ack) {
    __u64 hash = connection_hash(c);
    struct handshake* handshake = slot_of(hash);
    if (!handshake || handshake->state == HANDSHAKE_FREE) return;
    if (handshake->tag != (__u32)(hash >> 32) || handshake->client_next != ack) return;
    handshake->server_next = seq + 1;
    handshake->state = HANDSHAKE_SYNACK;
}

// An ACK: verifies its source if it completes a remembered handshake.
static __always_inline void on_ack(const struct synguard_config* config, const struct connection* c,
                                   __u32 family, __u32 seq, __u32 ack, __u64 bytes) {
    __u64 hash = connection_hash(c);
    struct handshake* handshake = slot_of(hash);
    if (!handshake || handshake->state == HANDSHAKE_FREE) return;
    if (handshake->tag != (__u32)(hash >> 32) || handshake->client_next != seq) return;
    if (handshake->state == HANDSHAKE_SYNACK) {
        if (handshake->server_next != ack) return;
    } else if (!config->one_way) {
        return;
    }
    handshake->state = HANDSHAKE_FREE;
    struct host_key key;
    __builtin_memcpy(key.addr, c->client, sizeof(key.addr));
    key.family = family;
    __u64 now = bpf_ktime_get_ns();
    int full = bpf_map_update_elem(&verified, &key, &now, BPF_ANY) != 0;
    count(&synguard_stats, full ? STAT_VERIFIED_FULL : STAT_LEARNED, bytes);
}

SEC("xdp")
int synguard(struct xdp_md* ctx) {
    struct synguard_config* config = config_of(&synguard_config);
    struct packet packet;
    struct connection c;
    __u64 bytes = frame_length(ctx);

    if (!config) return XDP_ABORTED;
    if (!config->threshold) return XDP_PASS;
    int result = parse_packet(ctx, &packet);
    struct tcphdr* tcp = packet.l4;
    if (result == PARSE_NOT_IP) goto other;
    if (result != PARSE_OK) goto malformed;
    if (packet.protocol != IPPROTO_TCP || packet.fragment == FRAGMENT_LATER) goto other;
    if ((void*)(tcp + 1) > packet.data_end) goto malformed;

    __u32 seq = bpf_ntohl(tcp->seq), ack = bpf_ntohl(tcp->ack_seq);
    __be16 source_port = tcp->source, dest_port = tcp->dest;
    if (tcp->syn && tcp->ack) {
        packet_addresses(&packet, c.server, c.client);
        c.server_port = source_port;
        c.client_port = dest_port;
        on_synack(&c, seq, ack);
        goto other;
    }
    int is_syn = tcp->syn, is_ack = tcp->ack && !tcp->rst;
    packet_addresses(&packet, c.client, c.server);
    c.client_port = source_port;
    c.server_port = dest_port;
    if (is_syn) return on_syn(config, &c, packet.family, seq, bytes);
    if (is_ack) on_ack(config, &c, packet.family, seq, ack, bytes);

other:
    count(&synguard_stats, STAT_OTHER, bytes);
    return XDP_PASS;
malformed:
    count(&synguard_stats, STAT_MALFORMED, bytes);
    return XDP_DROP;
}

FILTER_LICENSE;
