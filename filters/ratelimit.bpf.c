// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// ratelimit: a token bucket for each source address, in packets or in bytes.
//
// Programs: ratelimit
//
// Maps
//   ratelimit_config array[1] of struct ratelimit_config, 24 bytes:
//                 0 u64 rate   tokens a second that flow into a bucket
//                 8 u64 burst  tokens a bucket holds, and starts with; at most
//                              9 * 10^9. 0 turns the limit off.
//                16 u32 unit   what a token is: 0 a packet, 1 a byte of frame
//                20 u8 v6_bits IPv6 sources share a bucket by their first 32,
//                              64 or 96 bits (a site has a whole /64 to send
//                              from); 0 is the whole address
//                21 u8 full    verdict for new sources while `buckets` is full;
//                              0 is 2, pass
//                22 u16 zero
//   buckets       hash[65536] of struct bucket, keyed by source: 16 bytes of
//                 address in network order (IPv4: the first four, the rest
//                 zero), u32 family (4 or 6). Value, 16 bytes: u64 tokens in
//                 billionths, u64 time of the last refill in ns. Entries stay
//                 until the control side deletes them.
//   ratelimit_stats per-CPU array[5] of {u64 packets, u64 bytes}: 0 within the
//                 limit, 1 over it, 2 bucket table full, 3 not IP, 4 truncated
//                 or malformed
//
// Verdicts: within the limit XDP_PASS, over it XDP_DROP; frames that are not
// IP pass, malformed headers drop. A clock that steps back refills nothing.
// Two CPUs that judge one source at the same time may both spend the same
// token: the limit is exact when a source's packets stay on one CPU, as
// receive-side scaling and sharded replay keep them.
//
//   xdplane replay -r in.pcap --prog build/filters/ratelimit.bpf.o
//       --map ratelimit_config=limit.json
//
// with limit.json allowing 1000 packets a second and bursts of 50:
//
//   [{"key": "00000000",
//     "value": "e803000000000000 3200000000000000 00000000 00 00 0000"}]
#include "include/parse.h"

#define NS_PER_SECOND 1000000000ull
#define MAX_BURST 9000000000ull // twice this, times NS_PER_SECOND, fits 64 bits

enum { STAT_WITHIN, STAT_OVER, STAT_FULL, STAT_OTHER, STAT_MALFORMED, STATS };
enum { UNIT_PACKET, UNIT_BYTE };

struct ratelimit_config {
    __u64 rate;
    __u64 burst;
    __u32 unit;
    __u8 v6_bits;
    __u8 full;
    __u16 zero;
};

struct bucket {
    __u64 tokens; // in billionths: a rate of 1 a second adds 1 for each nanosecond
    __u64 refilled_ns;
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct ratelimit_config);
} ratelimit_config SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 65536);
    __type(key, struct host_key);
    __type(value, struct bucket);
} buckets SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, STATS);
    __type(key, __u32);
    __type(value, struct counter);
} ratelimit_stats SEC(".maps");

// Tokens after the time since the last refill. Past the time that fills an
// empty bucket the product is not computed, so it cannot overflow.
static __always_inline __u64 refill(__u64 tokens, __u64 elapsed, __u64 rate, __u64 capacity) {
    if (!rate) return tokens;
    if (elapsed > capacity / rate) return capacity;
    tokens += elapsed * rate;
    return tokens < capacity ? tokens : capacity;
}

static __always_inline void widen_key(struct host_key* key, __u32 bits) {
    if (key->family != 6 || !bits) return;
    key->addr[3] = 0;
    if (bits <= 64) key->addr[2] = 0;
    if (bits <= 32) key->addr[1] = 0;
}

// Takes `cost` from the source's bucket; which STAT_ it is.
static __always_inline __u32 take(const struct host_key* key, __u64 cost, __u64 rate, __u64 capacity) {
    __u64 now = bpf_ktime_get_ns();
    struct bucket* bucket = bpf_map_lookup_elem(&buckets, key);
    if (!bucket) {
        struct bucket fresh = {.tokens = capacity, .refilled_ns = now};
        if (cost <= capacity) fresh.tokens -= cost;
        if (bpf_map_update_elem(&buckets, key, &fresh, BPF_ANY)) return STAT_FULL;
        return cost <= capacity ? STAT_WITHIN : STAT_OVER;
    }
    __u64 tokens = bucket->tokens;
    if (now > bucket->refilled_ns) {
        tokens = refill(tokens, now - bucket->refilled_ns, rate, capacity);
        bucket->refilled_ns = now;
    }
    __u32 stat = STAT_OVER;
    if (cost <= tokens) {
        tokens -= cost;
        stat = STAT_WITHIN;
    }
    bucket->tokens = tokens;
    return stat;
}

SEC("xdp")
int ratelimit(struct xdp_md* ctx) {
    struct ratelimit_config* config = config_of(&ratelimit_config);
    struct packet packet;
    struct host_key key;
    __u64 bytes = frame_length(ctx);

    if (!config) return XDP_ABORTED;
    if (!config->burst) return XDP_PASS;
    int result = parse_packet(ctx, &packet);
    if (result == PARSE_NOT_IP) {
        count(&ratelimit_stats, STAT_OTHER, bytes);
        return XDP_PASS;
    }
    if (result != PARSE_OK) {
        count(&ratelimit_stats, STAT_MALFORMED, bytes);
        return XDP_DROP;
    }
    packet_source(&packet, &key);
    widen_key(&key, config->v6_bits);
    __u64 burst = config->burst < MAX_BURST ? config->burst : MAX_BURST;
    __u64 cost = (config->unit == UNIT_BYTE ? bytes : 1) * NS_PER_SECOND;
    __u32 stat = take(&key, cost, config->rate, burst * NS_PER_SECOND);
    count(&ratelimit_stats, stat, bytes);
    if (stat == STAT_FULL) return CONFIG_OR(config->full, XDP_PASS);
    return stat == STAT_WITHIN ? XDP_PASS : XDP_DROP;
}

FILTER_LICENSE;
