// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// Programs that look wrong and that Linux accepts from the privileged: unknown
// verdicts, pointers as numbers, constant keys of arrays without a null check,
// code that constants make unreachable, comparisons of pointers.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>

#define NAKED __attribute__((naked))

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 4);
    __type(key, __u32);
    __type(value, __u64);
} numbers SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} counter SEC(".maps");

SEC("xdp") NAKED int verdict_of_7(void) { asm volatile("r0 = 7; exit"); }
SEC("xdp") NAKED int pointer_returned(void) { asm volatile("r0 = r1; exit"); }
SEC("xdp") NAKED int half_a_copy(void) { asm volatile("w2 = w10; r0 = 0; exit"); }
SEC("tc") NAKED int tc_verdict_of_99(void) { asm volatile("r0 = 99; exit"); }

SEC("xdp") NAKED int dead_by_constant(void) {
    asm volatile("r0 = 1; r2 = 5; if r2 == 5 goto +2; r0 = *(u64*)(r2 + 0); r0 = *(u64*)(r0 + 0); exit");
}

SEC("xdp") NAKED int bounds_contradict(void) {
    asm volatile("r2 = *(u32*)(r1 + 16); if r2 > 10 goto +3; if r2 < 20 goto +2; r3 = 0; r3 = *(u64*)(r3 + "
                 "0); r0 = 2; exit");
}

// Linux 6.14 knows that an array has a constant key in range, but only where it remembers the constant: in an
// aligned slot, or as zeros.
SEC("xdp") NAKED int constant_key(void) {
    asm volatile("r2 = 3; *(u32*)(r10 - 8) = r2; r2 = r10; r2 += -8; r1 = %[map] ll; call %[lookup];"
                 "r0 = *(u64*)(r0 + 0); exit" ::[map] "i"(&numbers),
                 [lookup] "i"(BPF_FUNC_map_lookup_elem));
}

SEC("xdp") REJECTED("invalid mem access 'map_value_or_null'") NAKED int constant_key_misplaced(void) {
    asm volatile("r2 = 3; *(u32*)(r10 - 4) = r2; r2 = r10; r2 += -4; r1 = %[map] ll; call %[lookup];"
                 "r0 = *(u64*)(r0 + 0); exit" ::[map] "i"(&numbers),
                 [lookup] "i"(BPF_FUNC_map_lookup_elem));
}

SEC("xdp")
int constant_key_per_cpu(struct xdp_md* ctx) {
    __u32 key = 0;
    __u64* n = bpf_map_lookup_elem(&counter, &key);
    ++*n;
    return XDP_PASS;
}

SEC("xdp") REJECTED("invalid mem access 'map_value_or_null'") int constant_key_outside(struct xdp_md* ctx) {
    __u64 key = 4;
    __u64* n = bpf_map_lookup_elem(&numbers, &key);
    return *n & 1;
}

SEC("xdp")
int pointer_difference(struct xdp_md* ctx) {
    void *data = (void*)(long)ctx->data, *end = (void*)(long)ctx->data_end;
    __u64 length = end - data;
    return length > 1500 ? XDP_DROP : XDP_PASS;
}

SEC("xdp")
int pointer_into_map(struct xdp_md* ctx) {
    __u32 key = ctx->rx_queue_index;
    __u64* n = bpf_map_lookup_elem(&numbers, &key);
    if (n) *n = (__u64)ctx;
    return XDP_PASS;
}

SEC("xdp")
int uninitialised_stack(struct xdp_md* ctx) {
    __u64 key[2]; // the privileged may read what lies there
    asm volatile("" : "+m"(key));
    return key[0] == key[1] ? XDP_PASS : XDP_DROP;
}

SEC("xdp")
int map_pointer_compared(struct xdp_md* ctx) {
    void* map = ctx->rx_queue_index ? (void*)&numbers : (void*)&counter;
    __u32 key = 0;
    __u64* n = bpf_map_lookup_elem(map, &key);
    if (!n) return XDP_DROP;
    return *n > 5 ? XDP_PASS : XDP_TX;
}

SEC("xdp")
int end_compared_backwards(struct xdp_md* ctx) {
    __u8 *data = (void*)(long)ctx->data, *end = (void*)(long)ctx->data_end;
    if (end < data + 14) return XDP_DROP;
    if (data + 20 <= end) return data[19];
    if (end == data + 14) return data[13];
    return data[0] + data[13];
}

SEC("xdp")
int strictly_less(struct xdp_md* ctx) {
    __u8 *data = (void*)(long)ctx->data, *end = (void*)(long)ctx->data_end;
    // data + 13 < end: byte 13 is there.
    if (data + 13 < end) return data[13];
    return XDP_PASS;
}

SEC("xdp")
int spilled_range(struct xdp_md* ctx) {
    __u64 at = ctx->rx_queue_index & 31;
    volatile __u64 slot = at;
    __u8 *data = (void*)(long)ctx->data, *end = (void*)(long)ctx->data_end;
    __u8* p = data + slot;
    if (p + 1 > end) return XDP_DROP;
    return *p;
}

LICENSED;
