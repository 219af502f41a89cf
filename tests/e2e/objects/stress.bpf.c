// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
// What everything does at once, for stress_test.cpp: lookups in maps that others change, churn of entries of
// its own, and a tail call through slots that others swap. A packet is a u32 key and a u32 slot.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define ENTRIES 4096
#define OWN 64 /* keys of each CPU's own */

enum { ENTERED, STAGE_A, STAGE_B, MISSED, BROKEN, LOST, REUSED, COUNTS };

struct proven {
    __u64 key;
    __u64 proof;
};

static __always_inline __u64 proof(__u64 key) { return key * 0x9e3779b97f4a7c15ULL + 1; }

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, COUNTS);
    __type(key, __u32);
    __type(value, __u64);
} counts SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, ENTRIES);
    __type(key, __u32);
    __type(value, struct proven);
} table SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, ENTRIES / 4);
    __type(key, __u32);
    __type(value, struct proven);
} recent SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 256 * OWN);
    __type(key, __u64);
    __type(value, struct proven);
} own SEC(".maps");

struct prefix {
    __u32 length;
    __u8 bytes[4];
};
struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, ENTRIES);
    __type(key, struct prefix);
    __type(value, struct proven);
} routes SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 4);
    __type(key, __u32);
    __type(value, __u32);
} stages SEC(".maps");

static __always_inline void count(__u32 which) {
    __u64* number = bpf_map_lookup_elem(&counts, &which);
    if (number) ++*number;
}

static __always_inline void check(const struct proven* found) {
    if (found && found->proof != proof(found->key)) count(BROKEN);
}

// Inserts, finds and deletes an entry that no other CPU touches.
static __always_inline void churn(__u32 key) {
    __u64 mine = (__u64)bpf_get_smp_processor_id() << 32 | (key % OWN);
    struct proven value = {.key = mine, .proof = proof(mine)};
    if (bpf_map_update_elem(&own, &mine, &value, BPF_ANY)) {
        count(LOST);
        return;
    }
    const struct proven* found = bpf_map_lookup_elem(&own, &mine);
    if (!found || found->key != mine) count(LOST);
    check(found);
    if (key & 1) return;
    if (bpf_map_delete_elem(&own, &mine)) count(LOST);
    if (bpf_map_lookup_elem(&own, &mine)) count(LOST);
}

SEC("xdp")
int entry(struct xdp_md* ctx) {
    const __u32* packet = (void*)(long)ctx->data;
    count(ENTERED);
    if ((void*)(packet + 2) > (void*)(long)ctx->data_end) return XDP_ABORTED;
    __u32 key = packet[0];
    __u32 slot = packet[1];
    check(bpf_map_lookup_elem(&table, &key));
    struct prefix prefix = {.length = 32};
    __builtin_memcpy(prefix.bytes, &key, sizeof key);
    check(bpf_map_lookup_elem(&routes, &prefix));
    struct proven* seen = bpf_map_lookup_elem(&recent, &key);
    // Workers evict as fast as they can: while one of them waits for a CPU, the others run out of spare
    // elements.
    if (seen && seen->proof != proof(seen->key)) count(REUSED);
    if (!seen) {
        struct proven fresh = {.key = key, .proof = proof(key)};
        bpf_map_update_elem(&recent, &key, &fresh, BPF_ANY);
    }
    bpf_tail_call(ctx, &stages, slot);
    count(MISSED);
    return XDP_DROP;
}

SEC("xdp")
int stage_a(struct xdp_md* ctx) {
    const __u32* packet = (void*)(long)ctx->data;
    count(STAGE_A);
    if ((void*)(packet + 2) > (void*)(long)ctx->data_end) return XDP_ABORTED;
    churn(packet[0]);
    return XDP_PASS;
}

SEC("xdp")
int stage_b(struct xdp_md* ctx) {
    count(STAGE_B);
    return XDP_TX;
}

char _license[] SEC("license") = "Dual BSD/GPL";
