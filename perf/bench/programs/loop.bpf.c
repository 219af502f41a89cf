/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
 * Copyright (c) 2026, the xdplane authors
 *
 * A program inside a loop over packets in a map, for the running kernel: one system call for many packets.
 * A packet's bytes behind the first 120 are not there; no program here reads that far.
 */
#include PROGRAM_FILE

struct slot {
    u8 bytes[120];
    u32 length;
    u32 verdict;
};
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __uint(map_flags, BPF_F_MMAPABLE);
    __type(key, u32);
    __type(value, struct slot);
} packets SEC(".maps");

/* Written by who calls. */
u32 first = 0;
u32 count = 0;

static long judge_one(u32 i, void* unused) {
    (void)unused;
    u32 index = first + i;
    struct slot* slot = bpf_map_lookup_elem(&packets, &index);
    if (!slot) return 1;
    slot->verdict = judge(slot->bytes, slot->bytes + (slot->length & 0xffff));
    return 0;
}

/* Of a type that may use every map, and whose test run begins at once. */
SEC("tc")
int bench(struct __sk_buff* ctx) {
    (void)ctx;
    return bpf_loop(count, judge_one, 0, 0) == count ? 0 : 1;
}

char bench_license[] SEC("license") = "Dual BSD/GPL";
