// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// Rejected programs: what goes wrong with maps and their values.
#include "include/corpus.h"

struct value {
    __u64 a, b;
};

struct locked {
    struct bpf_spin_lock lock;
    __u32 n;
    __u64 sum;
};

struct timed {
    struct bpf_timer timer;
    __u64 n;
};

#define MAP(kind, name, key_type, value_type, entries)                                                       \
    struct {                                                                                                 \
        __uint(type, kind);                                                                                  \
        __uint(max_entries, entries);                                                                        \
        __type(key, key_type);                                                                               \
        __type(value, value_type);                                                                           \
    } name SEC(".maps")

MAP(BPF_MAP_TYPE_HASH, hash, __u64, struct value, 16);
MAP(BPF_MAP_TYPE_ARRAY, array, __u32, struct value, 4);
MAP(BPF_MAP_TYPE_PROG_ARRAY, programs, __u32, __u32, 4);
MAP(BPF_MAP_TYPE_DEVMAP, devices, __u32, __u32, 4);
MAP(BPF_MAP_TYPE_HASH, locks, __u32, struct locked, 4);
MAP(BPF_MAP_TYPE_ARRAY, timers, __u32, struct timed, 4);
MAP(BPF_MAP_TYPE_PERF_EVENT_ARRAY, perf, __u32, __u32, 4);

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 4);
    __uint(map_flags, BPF_F_RDONLY_PROG);
    __type(key, __u32);
    __type(value, struct value);
} read_only SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 4);
    __uint(map_flags, BPF_F_WRONLY_PROG);
    __type(key, __u32);
    __type(value, struct value);
} write_only SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 4096);
} ring SEC(".maps");

SEC("xdp") REJECTED("R0 invalid mem access 'map_value_or_null'") int no_null_check(struct xdp_md* ctx) {
    __u64 key = ctx->rx_queue_index;
    struct value* v = bpf_map_lookup_elem(&hash, &key);
    return v->a ? XDP_PASS : XDP_DROP;
}

SEC("xdp") REJECTED("invalid mem access 'map_value_or_null'") int null_check_of_another(struct xdp_md* ctx) {
    __u64 key = ctx->rx_queue_index, other = 7;
    struct value* v = bpf_map_lookup_elem(&hash, &key);
    struct value* w = bpf_map_lookup_elem(&hash, &other);
    if (!v) return XDP_DROP;
    return w->a ? XDP_PASS : XDP_DROP;
}

SEC("xdp") REJECTED("invalid mem access 'scalar'") int null_branch_used(struct xdp_md* ctx) {
    __u64 key = ctx->rx_queue_index;
    struct value* v = bpf_map_lookup_elem(&hash, &key);
    barrier_var(v);
    if (v) return XDP_PASS;
    asm volatile("%0 = *(u64*)(%1 + 0)" : "=r"(key) : "r"(v));
    return key;
}

SEC("xdp")
REJECTED("pointer arithmetic on map_value_or_null prohibited")
int arithmetic_before_check(struct xdp_md* ctx) {
    __u64 key = ctx->rx_queue_index;
    char* v = bpf_map_lookup_elem(&hash, &key);
    asm volatile("%0 += 8" : "+r"(v));
    if (!v) return XDP_DROP;
    return *v;
}

SEC("xdp")
REJECTED("invalid access to map value, value_size=16 off=16 size=8")
int behind_the_value(struct xdp_md* ctx) {
    __u64 key = 1;
    struct value* v = bpf_map_lookup_elem(&hash, &key);
    return v ? (int)(v + 1)->a : XDP_PASS;
}

SEC("xdp")
REJECTED("invalid access to map value, value_size=16 off=-8 size=8")
int before_the_value(struct xdp_md* ctx) {
    __u64 key = 1;
    struct value* v = bpf_map_lookup_elem(&hash, &key);
    return v ? (int)(v - 1)->b : XDP_PASS;
}

SEC("xdp")
REJECTED("max value is outside of the allowed memory range") int index_one_too_far(struct xdp_md* ctx) {
    __u64 key = 1;
    __u8* v = bpf_map_lookup_elem(&hash, &key);
    __u32 at = ctx->rx_queue_index;
    if (!v || at > 16) return XDP_PASS;
    return v[at];
}

SEC("xdp") REJECTED("min value is negative") int index_signed(struct xdp_md* ctx) {
    __u64 key = 1;
    __u8* v = bpf_map_lookup_elem(&hash, &key);
    __s64 at = (__s32)ctx->rx_queue_index;
    if (!v || at > 15 || at < -16) return XDP_PASS;
    return v[at];
}

SEC("xdp") REJECTED("unbounded memory access") int index_unbounded(struct xdp_md* ctx) {
    __u64 key = 1;
    __u8* v = bpf_map_lookup_elem(&hash, &key);
    return v ? v[ctx->rx_queue_index] : XDP_PASS;
}

SEC("xdp") REJECTED("write into map forbidden") int write_read_only(struct xdp_md* ctx) {
    __u32 key = ctx->rx_queue_index;
    struct value* v = bpf_map_lookup_elem(&read_only, &key);
    if (v) v->a = 1;
    return XDP_PASS;
}

SEC("xdp") REJECTED("write into map forbidden") int update_read_only(struct xdp_md* ctx) {
    __u32 key = ctx->rx_queue_index;
    struct value v = {};
    bpf_map_update_elem(&read_only, &key, &v, 0);
    return XDP_PASS;
}

SEC("xdp") REJECTED("read from map forbidden") int read_write_only(struct xdp_md* ctx) {
    __u32 key = ctx->rx_queue_index;
    struct value* v = bpf_map_lookup_elem(&write_only, &key);
    return v ? (int)v->a : 0;
}

SEC("xdp") REJECTED("R2 type=scalar expected=fp") int key_is_a_number(struct xdp_md* ctx) {
    return bpf_map_lookup_elem(&hash, (void*)8) ? XDP_PASS : XDP_DROP;
}

SEC("xdp") REJECTED("invalid read from stack R2") int key_too_short(struct xdp_md* ctx) {
    // Above the frame: four of its eight bytes are not there.
    register __u64* key asm("r2");
    asm volatile("*(u32*)(r10 - 4) = %1; %0 = r10; %0 += -4" : "=r"(key) : "r"(1) : "memory");
    return bpf_map_lookup_elem(&hash, key) ? XDP_PASS : XDP_DROP;
}

SEC("xdp") REJECTED("invalid access to map value") int value_too_short(struct xdp_md* ctx) {
    __u64 key = 1;
    struct value* v = bpf_map_lookup_elem(&hash, &key);
    if (!v) return XDP_PASS;
    bpf_map_update_elem(&hash, &key, &v->b, 0);
    return XDP_PASS;
}

SEC("xdp") REJECTED("R1 type=scalar expected=map_ptr") int map_is_a_number(struct xdp_md* ctx) {
    __u64 key = 1;
    return bpf_map_lookup_elem((void*)(long)ctx->rx_queue_index, &key) ? XDP_PASS : XDP_DROP;
}

SEC("xdp") REJECTED("R1 type=ctx expected=map_ptr") int map_is_the_context(struct xdp_md* ctx) {
    __u64 key = 1;
    return bpf_map_lookup_elem(ctx, &key) ? XDP_PASS : XDP_DROP;
}

SEC("xdp")
REJECTED("cannot pass map_type 3 into func bpf_map_lookup_elem") int lookup_programs(struct xdp_md* ctx) {
    __u32 key = 1;
    return bpf_map_lookup_elem(&programs, &key) ? XDP_PASS : XDP_DROP;
}

SEC("xdp")
REJECTED("cannot pass map_type 3 into func bpf_map_update_elem") int update_programs(struct xdp_md* ctx) {
    __u32 key = 1;
    return bpf_map_update_elem(&programs, &key, &key, 0);
}

SEC("xdp") REJECTED("write into map forbidden") int update_devices(struct xdp_md* ctx) {
    __u32 key = 1;
    return bpf_map_update_elem(&devices, &key, &key, 0);
}

SEC("xdp") REJECTED("invalid zero-sized read") int lookup_ring(struct xdp_md* ctx) {
    __u32 key = 1;
    return bpf_map_lookup_elem(&ring, &key) ? XDP_PASS : XDP_DROP;
}

SEC("xdp")
REJECTED("cannot pass map_type 4 into func bpf_map_delete_elem") int delete_perf(struct xdp_md* ctx) {
    __u32 key = 1;
    return bpf_map_delete_elem(&perf, &key);
}

SEC("xdp")
REJECTED("cannot pass map_type 1 into func bpf_ringbuf_output") int ring_is_a_hash(struct xdp_md* ctx) {
    __u64 data = 1;
    return bpf_ringbuf_output(&hash, &data, 8, 0);
}

SEC("xdp")
REJECTED("cannot pass map_type 2 into func bpf_redirect_map") int redirect_array(struct xdp_md* ctx) {
    return bpf_redirect_map(&array, 0, 0);
}

SEC("xdp") REJECTED("expected prog array map for tail call") int tail_call_array(struct xdp_md* ctx) {
    bpf_tail_call(ctx, &array, 0);
    return XDP_PASS;
}

SEC("xdp")
REJECTED("bpf_spin_lock cannot be accessed directly by load/store") int read_lock(struct xdp_md* ctx) {
    __u32 key = 1;
    struct locked* v = bpf_map_lookup_elem(&locks, &key);
    return v ? *(volatile int*)&v->lock : 0;
}

SEC("xdp")
REJECTED("bpf_timer cannot be accessed directly by load/store") int write_timer(struct xdp_md* ctx) {
    __u32 key = ctx->rx_queue_index;
    struct timed* v = bpf_map_lookup_elem(&timers, &key);
    if (v) *(volatile __u64*)&v->timer = 1;
    return XDP_PASS;
}

SEC("xdp")
REJECTED("bpf_spin_lock cannot be accessed directly by load/store") int lock_in_a_helper(struct xdp_md* ctx) {
    __u32 key = 1;
    struct locked* v = bpf_map_lookup_elem(&locks, &key);
    return v ? bpf_ringbuf_output(&ring, v, 8, 0) : 0;
}

SEC("xdp")
REJECTED("R2 pointer arithmetic on map_ptr prohibited") int map_pointer_arithmetic(struct xdp_md* ctx) {
    __u64 key = 1;
    void* map = &hash;
    asm volatile("r2 = %0; r2 += 8; %0 = r2" : "+r"(map)::"r2");
    return bpf_map_lookup_elem(map, &key) ? XDP_PASS : XDP_DROP;
}

SEC("xdp") REJECTED("only read from bpf_array is supported") int write_map_pointer(struct xdp_md* ctx) {
    void* map = &array;
    asm volatile("*(u32*)(%0 + 0) = %1" ::"r"(map), "r"(1) : "memory");
    return XDP_PASS;
}

SEC("xdp") REJECTED("misaligned value access off 0+0+12 size 8") int atomic_of_a_byte(struct xdp_md* ctx) {
    __u64 key = 1;
    struct value* v = bpf_map_lookup_elem(&hash, &key);
    if (!v) return XDP_PASS;
    asm volatile("lock *(u64*)(%0 + 12) += %1" ::"r"(v), "r"(key) : "memory");
    return XDP_PASS;
}

LICENSED;
