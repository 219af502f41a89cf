// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// Rejected programs: fields of the contexts that a program of its type may not
// read, write, or not so.
#include "include/corpus.h"

#define NAKED __attribute__((naked))
#define READ(width, off) asm volatile("r0 = *(" width "*)(r1 + " #off "); r0 = 0; exit")
#define WRITE(width, off) asm volatile("r2 = 0; *(" width "*)(r1 + " #off ") = r2; r0 = 0; exit")

SEC("xdp") REJECTED("invalid bpf_context access off=24 size=4") NAKED int xdp_behind(void) {
    READ("u32", 24);
}
SEC("xdp") REJECTED("invalid bpf_context access off=-4 size=4") NAKED int xdp_before(void) {
    asm volatile("r0 = *(u32*)(r1 - 4); r0 = 0; exit");
}
SEC("xdp") REJECTED("invalid bpf_context access off=0 size=1") NAKED int xdp_byte(void) { READ("u8", 0); }
SEC("xdp") REJECTED("invalid bpf_context access off=12 size=2") NAKED int xdp_half(void) { READ("u16", 12); }
SEC("xdp") REJECTED("invalid bpf_context access off=0 size=8") NAKED int xdp_double(void) { READ("u64", 0); }
SEC("xdp") REJECTED("invalid bpf_context access off=2 size=4") NAKED int xdp_odd(void) { READ("u32", 2); }
SEC("xdp") REJECTED("invalid bpf_context access off=20 size=4") NAKED int xdp_egress(void) {
    READ("u32", 20);
}
SEC("xdp") REJECTED("invalid bpf_context access off=0 size=4") NAKED int xdp_write(void) { WRITE("u32", 0); }
SEC("xdp") REJECTED("invalid bpf_context access off=16 size=4") NAKED int xdp_write_queue(void) {
    WRITE("u32", 16);
}
SEC("xdp") REJECTED("invalid bpf_context access off=0 size=4") NAKED int xdp_store(void) {
    asm volatile(".8byte 0x0000000100000162; r0 = 0; exit");
}
SEC("xdp") REJECTED("BPF_ATOMIC stores into R1 ctx is not allowed") NAKED int xdp_atomic(void) {
    asm volatile("r2 = 1; lock *(u32*)(r1 + 0) += r2; r0 = 0; exit");
}
SEC("xdp") REJECTED("dereference of modified ctx ptr R1 off=4 disallowed") NAKED int xdp_modified(void) {
    asm volatile("r1 += 4; r0 = *(u32*)(r1 + 0); exit");
}
SEC("xdp") REJECTED("variable ctx access var_off=(0x0; 0x4) disallowed") NAKED int xdp_variable(void) {
    asm volatile("r2 = *(u32*)(r1 + 16); r2 &= 4; r1 += r2; r0 = *(u32*)(r1 + 0); exit");
}

SEC("socket") REJECTED("invalid bpf_context access off=76 size=4") NAKED int sock_data(void) {
    READ("u32", 76);
}
SEC("socket") REJECTED("invalid bpf_context access off=80 size=4") NAKED int sock_end(void) {
    READ("u32", 80);
}
SEC("socket") REJECTED("invalid bpf_context access off=72 size=4") NAKED int sock_classid(void) {
    READ("u32", 72);
}
SEC("socket") REJECTED("invalid bpf_context access off=152 size=8") NAKED int sock_tstamp(void) {
    READ("u64", 152);
}
SEC("socket") REJECTED("invalid bpf_context access off=8 size=4") NAKED int sock_write_mark(void) {
    WRITE("u32", 8);
}
SEC("socket") REJECTED("invalid bpf_context access off=192 size=4") NAKED int sock_behind(void) {
    READ("u32", 192);
}
SEC("socket") REJECTED("invalid bpf_context access off=64 size=8") NAKED int sock_cb_write8(void) {
    WRITE("u64", 64);
}

SEC("tc") REJECTED("invalid bpf_context access off=0 size=4") NAKED int tc_write_len(void) {
    WRITE("u32", 0);
}
SEC("tc") REJECTED("invalid bpf_context access off=76 size=4") NAKED int tc_write_data(void) {
    WRITE("u32", 76);
}
SEC("tc") REJECTED("invalid bpf_context access off=88 size=4") NAKED int tc_family(void) { READ("u32", 88); }
SEC("tc") REJECTED("invalid bpf_context access off=80 size=8") NAKED int tc_data_double(void) {
    READ("u64", 80);
}
SEC("tc") REJECTED("invalid bpf_context access off=168 size=4") NAKED int tc_half_sk(void) {
    READ("u32", 168);
}
SEC("tc") REJECTED("invalid bpf_context access off=152 size=4") NAKED int tc_half_tstamp(void) {
    READ("u32", 152);
}
SEC("tc") REJECTED("invalid bpf_context access off=8 size=2") NAKED int tc_mark_half_write(void) {
    WRITE("u16", 8);
}

SEC("cgroup_skb/ingress") REJECTED("invalid bpf_context access off=72 size=4") NAKED int cg_classid(void) {
    READ("u32", 72);
}
SEC("cgroup_skb/ingress") REJECTED("invalid bpf_context access off=140 size=4") NAKED int cg_meta(void) {
    READ("u32", 140);
}
SEC("cgroup_skb/ingress") REJECTED("invalid bpf_context access off=24 size=4") NAKED int cg_write_vlan(void) {
    WRITE("u32", 24);
}
SEC("cgroup_skb/ingress")
REJECTED("At program exit the register R0 has smin=2 smax=2 should have been in [0, 1]")
NAKED int cg_in_2(void) { asm volatile("r0 = 2; exit"); }
SEC("cgroup_skb/egress")
REJECTED("At program exit the register R0 has smin=4 smax=4 should have been in [0, 3]")
NAKED int cg_out_4(void) { asm volatile("r0 = 4; exit"); }
SEC("cgroup_skb/ingress") REJECTED("At program exit the register R0 has") NAKED int cg_unknown(void) {
    asm volatile("r0 = *(u32*)(r1 + 0); exit");
}

SEC("cgroup_skb/ingress") REJECTED("R0 is not a known value (ctx)") NAKED int cg_context(void) {
    asm volatile("r0 = r1; exit");
}

LICENSED;
