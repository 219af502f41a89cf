// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// Histograms and counters in global data: .data, .bss, custom sections, arrays
// of structs indexed by computed and masked numbers, 8 to 64-bit fields, and a
// small ring of the last packets.
//
// Style: no maps spelled out at all.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/ip.h>

#define BUCKETS 32
#define LAST 64

struct histogram {
    __u64 slots[BUCKETS];
    __u64 sum;
    __u32 max;
    __u32 min;
};

struct last_packet {
    __u64 time;
    __u32 length;
    __u16 proto;
    __u8 head[14];
    __u8 pad[4];
};

struct histogram sizes = {.min = ~0u};
struct histogram gaps;
struct last_packet last[LAST];
__u32 cursor;
__u64 last_time;
__u8 flags_8 = 7;
__u16 flags_16 = 0x1234;
__s8 signed_8 = -3;
__s32 signed_32 = -100000;
__u64 by_proto[256] SEC(".data.protocols");
__u8 seen_bits[8192] SEC(".bss.seen");
static __u64 hidden_counter;

static __always_inline __u32 log2_of(__u64 v) {
    __u32 r = 0, shift;
    shift = (v > 0xffffffff) << 5, v >>= shift, r |= shift;
    shift = (v > 0xffff) << 4, v >>= shift, r |= shift;
    shift = (v > 0xff) << 3, v >>= shift, r |= shift;
    shift = (v > 0xf) << 2, v >>= shift, r |= shift;
    shift = (v > 0x3) << 1, v >>= shift, r |= shift;
    return r | v >> 1;
}

static __always_inline void record(struct histogram* h, __u64 value) {
    __u32 slot = log2_of(value);
#if BREAK == 1
    if (slot > BUCKETS) slot = BUCKETS;
    h += 4000;
#else
    if (slot >= BUCKETS) slot = BUCKETS - 1;
#endif
    h->slots[slot]++;
    h->sum += value;
    if (value > h->max) h->max = value;
    if (value < h->min) h->min = value;
}

SEC("xdp")
BROKEN(1, "invalid access to map value")
BROKEN(2, "value -2147483648 makes map_value pointer be out of bounds")
BROKEN(4, "math between map_value pointer and register with unbounded min value is not allowed")
int histograms(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    if ((void*)(eth + 1) > end) return XDP_DROP;
    __u64 now = bpf_ktime_get_ns();
    __u32 length = end - data;
    record(&sizes, length);
    if (last_time) record(&gaps, (now - last_time) >> 10);
    last_time = now;
    hidden_counter++;

    __u32 index = cursor;
    __sync_fetch_and_add(&cursor, 1);
#if BREAK == 4
    struct last_packet* p = &last[index % (LAST + 1)];
#else
    struct last_packet* p = &last[index % LAST];
#endif
    p->time = now;
    p->length = length;
    p->proto = bpf_ntohs(eth->h_proto);
    __builtin_memcpy(p->head, eth, sizeof(p->head));

    struct iphdr* ip = (void*)(eth + 1);
    if ((void*)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP)) return XDP_PASS;
    by_proto[ip->protocol]++;
    __u16 bit = ip->saddr ^ ip->saddr >> 16;
    seen_bits[bit >> 3] |= 1 << (bit & 7);
    // Narrow and signed fields.
    flags_8 = (flags_8 << 1) | (length & 1);
    flags_16 += flags_8;
    signed_8 -= (length & 3);
    if (signed_8 < -100) signed_8 = 100;
    signed_32 += signed_8;
#if BREAK == 2
    __s32 at = signed_32;
    if (at < 8192) seen_bits[at]++;
#else
    __s32 at = signed_32;
    if (at >= 0 && at < 8192) seen_bits[at]++;
#endif
    return signed_32 > 1000000 ? XDP_DROP : XDP_PASS;
}

// Percentile of the sizes, for a control program that calls test_run.
SEC("xdp")
int percentile(struct xdp_md* ctx) {
    __u64 total = 0, want, sum = 0;
    LOOP for (int i = 0; i < BUCKETS; i++) total += sizes.slots[i];
    want = total * 95 / 100;
    for (int i = 0; i < BUCKETS; i++) {
        sum += sizes.slots[i];
        if (sum >= want) {
            sizes.max = 1u << i;
            return XDP_PASS;
        }
    }
    return XDP_DROP;
}

LICENSED;
