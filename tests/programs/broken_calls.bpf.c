// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// Rejected programs: control flow, calls of sub-programs and helpers, global
// functions, callbacks, tail calls.
#include "include/corpus.h"
#include <linux/pkt_cls.h>

#define NAKED __attribute__((naked))

struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 4);
    __type(key, __u32);
    __type(value, __u32);
} programs SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 4);
    __type(key, __u32);
    __type(value, __u64);
} numbers SEC(".maps");

volatile __u32 unknown;

// Loops.

SEC("xdp") REJECTED("infinite loop detected") NAKED int for_ever(void) { asm volatile("r0 = 0; 1: goto 1b"); }

SEC("xdp") REJECTED("infinite loop detected") NAKED int condition_never_changes(void) {
    asm volatile("r2 = *(u32*)(r1 + 16); r0 = 0; 1: if r2 != 0 goto 1b; exit");
}

SEC("xdp") REJECTED("BPF program is too large") int too_many_rounds(struct xdp_md* ctx) {
    __u64 sum = 0;
#pragma clang loop unroll(disable)
    for (int i = 0; i < 1000000; i++) {
        sum += i;
        barrier_var(sum);
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

SEC("xdp") REJECTED("The sequence of 8193 jumps is too complex") int bound_not_known(struct xdp_md* ctx) {
    __u64 sum = 0;
    for (__u32 i = 0; i < unknown; i++) {
        __u64* n = bpf_map_lookup_elem(&numbers, &i);
        if (n) sum += *n;
    }
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

// Jumps.

SEC("xdp") REJECTED("jump out of range from insn 1 to 102") NAKED int out_of_range(void) {
    asm volatile("r0 = 0; .8byte 0x0000000000640005; exit");
}

SEC("xdp") REJECTED("jump out of range from insn 1 to") NAKED int backwards_out(void) {
    asm volatile("r0 = 0; .8byte 0x00000000ffec0005; exit");
}

SEC("xdp") REJECTED("jump into the middle of ldimm64 insn") NAKED int into_an_immediate(void) {
    asm volatile("r0 = 0; if r0 == 0 goto +1; r0 = 0x1234567812345678 ll; exit");
}

SEC("xdp") REJECTED("unreachable insn 2") NAKED int unreachable(void) {
    asm volatile("r0 = 0; exit; r0 = 1; exit");
}

SEC("xdp") REJECTED("last insn is not an exit or jmp") NAKED int falls_off(void) { asm volatile("r0 = 0"); }

// Sub-programs.

static __noinline int recurse_again(int n);
static __noinline int recurse(int n) { return n > 1000 ? n : recurse_again(n + 1) + 1; }
static __noinline int recurse_again(int n) { return n & 1 ? recurse(n * 2) : 0; }

SEC("xdp") REJECTED("the call stack of 9 frames is too deep") int recursion(struct xdp_md* ctx) {
    return recurse(ctx->rx_queue_index);
}

static __noinline int big_frame(int n) {
    volatile char buffer[400];
    buffer[n & 255] = n;
    return buffer[0];
}

SEC("xdp") REJECTED("combined stack size of 2 calls is") int two_big_frames(struct xdp_md* ctx) {
    volatile char buffer[300];
    buffer[ctx->rx_queue_index & 255] = 1;
    return big_frame(buffer[7]);
}

SEC("xdp") REJECTED("R1 !read_ok") NAKED int argument_gone(void) {
    asm volatile("call uses_r0_twin; r0 = *(u32*)(r1 + 0); exit");
}

__attribute__((naked, used)) static int uses_r0_twin(void) { asm volatile("r0 = 0; exit"); }

SEC("xdp") REJECTED("R6 !read_ok") NAKED int caller_register(void) {
    asm volatile("r6 = r1; call reads_r6; exit");
}

__attribute__((naked, used)) static int reads_r6(void) { asm volatile("r0 = *(u32*)(r6 + 0); exit"); }

SEC("xdp") REJECTED("cannot return stack pointer to the caller") NAKED int stack_returned(void) {
    asm volatile("call gives_stack; r0 = 0; exit");
}

__attribute__((naked, used)) static int gives_stack(void) { asm volatile("r0 = r10; exit"); }

SEC("xdp")
REJECTED("cannot spill pointers to stack into stack frame of the caller") NAKED int stack_left_behind(void) {
    asm volatile("r1 = r10; r1 += -8; call leaves_stack; r0 = 0; exit");
}

__attribute__((naked, used)) static int leaves_stack(void) {
    asm volatile("r2 = r10; *(u64*)(r1 + 0) = r2; r0 = 0; exit");
}

// Global functions.

__noinline int wants_memory(__u64* p) { return *p; }

SEC("xdp") REJECTED("R1 invalid mem access 'mem_or_null'") int global_without_check(struct xdp_md* ctx) {
    __u64 x = 1;
    return wants_memory(&x);
}

__noinline int wants_number(__u64 x) { return x * 2; }

SEC("xdp") REJECTED("R1 is not a scalar") int pointer_for_number(struct xdp_md* ctx) {
    return wants_number((__u64)ctx);
}

__noinline int wants_eight(__u64* p) { return p ? *p : 0; }

SEC("xdp")
REJECTED("Caller passes invalid args into func#1 ('wants_eight')") int four_for_eight(struct xdp_md* ctx) {
    register __u64* p asm("r1");
    asm volatile("*(u64*)(r10 - 8) = %1; %0 = r10" : "=r"(p) : "r"(1) : "memory");
    return wants_eight(p);
}

__noinline void* gives_pointer(struct xdp_md* ctx) { return (void*)(long)ctx->data; }

SEC("xdp")
REJECTED("Global function gives_pointer() doesn't return scalar") int global_pointer(struct xdp_md* ctx) {
    return gives_pointer(ctx) ? XDP_PASS : XDP_DROP;
}

// Helpers.

SEC("xdp") REJECTED("invalid func unknown#4242") NAKED int unknown_helper(void) {
    asm volatile("call 4242; exit");
}

SEC("xdp")
REJECTED("program of this type cannot use helper bpf_skb_load_bytes") int not_for_xdp(struct xdp_md* ctx) {
    __u64 x;
    return bpf_skb_load_bytes(ctx, 0, &x, 8);
}

SEC("socket")
REJECTED("program of this type cannot use helper bpf_skb_store_bytes")
int not_for_sockets(struct __sk_buff* skb) {
    __u64 x = 1;
    return bpf_skb_store_bytes(skb, 0, &x, 8, 0);
}

SEC("cgroup_skb/egress")
REJECTED("program of this type cannot use helper bpf_redirect") int not_for_cgroups(struct __sk_buff* skb) {
    return bpf_redirect(1, 0);
}

SEC("xdp") REJECTED("R1 type=scalar expected=ctx") int context_is_a_number(struct xdp_md* ctx) {
    return bpf_xdp_adjust_head((void*)1, 4);
}

SEC("xdp")
REJECTED("dereference of modified ctx ptr R1 off=8 disallowed") int context_moved(struct xdp_md* ctx) {
    return bpf_xdp_adjust_head((void*)ctx + 8, 4);
}

SEC("xdp") REJECTED("R2 invalid zero-sized read") int size_may_be_zero(struct xdp_md* ctx) {
    char text[16] = "hello";
    return bpf_trace_printk(text, ctx->rx_queue_index & 15);
}

SEC("xdp") REJECTED("R2 unbounded memory access, use") int size_may_be_negative(struct xdp_md* ctx) {
    char text[16] = "hello";
    __s64 size = (__s32)ctx->rx_queue_index;
    if (size > 16 || size == 0) return XDP_DROP;
    return bpf_trace_printk(text, size);
}

SEC("xdp") REJECTED("R2 unbounded memory access, use") int size_unbounded(struct xdp_md* ctx) {
    char text[16] = "hello";
    __u64 size = bpf_ktime_get_ns();
    return bpf_trace_printk(text, size | 1);
}

SEC("xdp") REJECTED("R3 type=ctx expected=fp") int context_as_memory(struct xdp_md* ctx) {
    return bpf_xdp_load_bytes(ctx, 0, ctx, 4);
}

SEC("xdp") REJECTED("expected prog array map for tail call") int tail_call_array(struct xdp_md* ctx) {
    bpf_tail_call(ctx, &numbers, 0);
    return XDP_PASS;
}

SEC("xdp") REJECTED("R1 type=scalar expected=ctx") int tail_call_without_context(struct xdp_md* ctx) {
    bpf_tail_call((void*)0, &programs, 0);
    return XDP_PASS;
}

// Callbacks.

static int returns_two(__u32 i, void* c) { return 2; }

SEC("xdp")
REJECTED("At callback return the register R0 has smin=2 smax=2 should have been in [0, "
         "1]")
int loop_returns_two(struct xdp_md* ctx) { return bpf_loop(4, returns_two, 0, 0); }

static int calls_itself(__u32 i, void* c) { return bpf_loop(2, calls_itself, 0, 0) > 100; }

SEC("xdp") REJECTED("the call stack of") int loop_in_itself(struct xdp_md* ctx) {
    return bpf_loop(4, calls_itself, 0, 0);
}

static int writes_key(void* map, __u32* key, __u64* value, void* c) {
    *key = 1;
    return 0;
}

SEC("xdp") REJECTED("write to change key R2 not allowed") int key_written(struct xdp_md* ctx) {
    return bpf_for_each_map_elem(&numbers, writes_key, 0, 0);
}

static int reads_too_far(void* map, __u32* key, __u64* value, void* c) { return value[1] & 1; }

SEC("xdp")
REJECTED("invalid access to map value, value_size=8 off=8 size=8") int value_overrun(struct xdp_md* ctx) {
    return bpf_for_each_map_elem(&numbers, reads_too_far, 0, 0);
}

static int context_overrun(__u32 i, __u64* c) {
    c[1] = i;
    return 0;
}

SEC("xdp") REJECTED("invalid write to stack R2 off=0 size=8") int callback_context(struct xdp_md* ctx) {
    register __u64* c asm("r3");
    asm volatile("%0 = r10; %0 += -8; *(u64*)(%0 + 0) = %1" : "=r"(c) : "r"(0) : "memory");
    return bpf_loop(4, context_overrun, c, 0);
}

SEC("xdp") REJECTED("callback function not allowed for map") int walk_programs(struct xdp_md* ctx) {
    return bpf_for_each_map_elem(&programs, writes_key, 0, 0);
}

LICENSED;
