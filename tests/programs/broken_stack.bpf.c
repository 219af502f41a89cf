// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// Rejected programs: registers and stack, in assembly where C would not let one
// be so wrong.
#include "include/corpus.h"

#define NAKED __attribute__((naked))

SEC("xdp") REJECTED("R3 !read_ok") NAKED int uninitialised_register(void) { asm volatile("r0 = r3; exit"); }

SEC("xdp") REJECTED("R0 !read_ok") NAKED int nothing_returned(void) { asm volatile("r1 = 0; exit"); }

SEC("xdp") REJECTED("R2 !read_ok") NAKED int clobbered_by_call(void) {
    asm volatile("r2 = 1; call %[rnd]; r0 = r2; exit" ::[rnd] "i"(BPF_FUNC_get_prandom_u32));
}

SEC("xdp") REJECTED("R6 !read_ok") NAKED int one_path_only(void) {
    asm volatile("r2 = *(u32*)(r1 + 16); if r2 == 0 goto +1; r6 = 1; r0 = r6; exit");
}

SEC("xdp") REJECTED("frame pointer is read only") NAKED int write_frame_pointer(void) {
    asm volatile("r10 = 0; r0 = 0; exit");
}

SEC("xdp") REJECTED("invalid write to stack R10 off=-520 size=8") NAKED int below_512(void) {
    asm volatile("r0 = 2; *(u64*)(r10 - 520) = r0; exit");
}

SEC("xdp") REJECTED("invalid write to stack R10 off=0 size=8") NAKED int above_frame(void) {
    asm volatile("r0 = 2; *(u64*)(r10 + 0) = r0; exit");
}

SEC("xdp") REJECTED("invalid read from stack R10 off=8 size=8") NAKED int read_above(void) {
    asm volatile("r0 = *(u64*)(r10 + 8); exit");
}

SEC("xdp") REJECTED("misaligned stack access") NAKED int misaligned(void) {
    asm volatile("r0 = 2; *(u64*)(r10 - 12) = r0; exit");
}

SEC("xdp") REJECTED("R1 invalid mem access 'scalar'") NAKED int corrupted_spill(void) {
    asm volatile("*(u64*)(r10 - 8) = r1; r2 = 1; *(u8*)(r10 - 5) = r2; r1 = *(u64*)(r10 - 8); r0 = "
                 "*(u32*)(r1 + 0); exit");
}

SEC("xdp") REJECTED("invalid size of register spill") NAKED int narrow_spill(void) {
    asm volatile("*(u32*)(r10 - 4) = r1; r0 = 2; exit");
}

SEC("xdp") REJECTED("invalid size of register fill") NAKED int narrow_fill(void) {
    asm volatile("*(u64*)(r10 - 8) = r1; r0 = *(u32*)(r10 - 8); exit");
}

SEC("xdp") REJECTED("invalid variable-offset write to stack") NAKED int variable_write(void) {
    asm volatile("r2 = *(u32*)(r1 + 16); r2 &= 0x3ff; r3 = r10; r3 += -256; r3 += r2; r0 = 2; *(u8*)(r3 + 0) "
                 "= r0; exit");
}

SEC("xdp") REJECTED("unbounded variable-offset") NAKED int unbounded_write(void) {
    asm volatile("r2 = *(u32*)(r1 + 16); r2 <<= 20; r3 = r10; r3 += -256; r3 += r2; r0 = 2; *(u8*)(r3 + 0) = "
                 "r0; exit");
}

SEC("xdp")
REJECTED("math between fp pointer and register with unbounded min value is not allowed")
NAKED int unknown_offset(void) {
    asm volatile(
        "call %[ns]; r3 = r10; r3 += r0; r0 = *(u8*)(r3 - 1); exit" ::[ns] "i"(BPF_FUNC_ktime_get_ns));
}

SEC("xdp") REJECTED("R0 invalid mem access 'scalar'") NAKED int number_as_pointer(void) {
    asm volatile("r0 = 4096; r0 = *(u64*)(r0 + 0); exit");
}

SEC("xdp") REJECTED("R1 pointer arithmetic with *= operator prohibited") NAKED int times_pointer(void) {
    asm volatile("r1 *= 2; r0 = 0; exit");
}

SEC("xdp") REJECTED("R3 tried to subtract pointer from scalar") NAKED int minus_stack(void) {
    asm volatile("r2 = *(u32*)(r1 + 16); r3 = r2; r2 = r10; r3 -= r2; r0 = 0; exit");
}

SEC("xdp") REJECTED("tried to subtract pointer from scalar") NAKED int scalar_minus_pointer(void) {
    asm volatile("r2 = 8; r2 -= r1; r0 = 0; exit");
}

SEC("xdp") REJECTED("math between fp pointer and -2147483648 is not allowed") NAKED int far_away(void) {
    asm volatile("r2 = r10; r2 += -2147483648; r0 = *(u8*)(r2 + 0); exit");
}

SEC("xdp") REJECTED("div by zero") NAKED int divide_by_zero(void) {
    asm volatile("r0 = 4; .8byte 0x0000000000000037; exit");
}

SEC("xdp") REJECTED("invalid shift 64") NAKED int shift_too_far(void) {
    asm volatile("r0 = 4; .8byte 0x0000004000000067; exit");
}

SEC("xdp") REJECTED("BPF_NEG uses reserved fields") NAKED int reserved_fields(void) {
    asm volatile("r0 = 4; .8byte 0x0000000100000087; exit");
}

SEC("xdp") REJECTED("BPF_MOV uses reserved fields") NAKED int odd_sign_extension(void) {
    asm volatile("r0 = 4; .8byte 0x00000000000510bf; exit");
}

SEC("xdp") REJECTED("invalid bpf_ld_imm64 insn") NAKED int half_an_immediate(void) {
    asm volatile(".8byte 0x0000000100000018; r0 = 0; exit");
}

SEC("xdp") REJECTED("unknown opcode") NAKED int unknown_opcode(void) {
    asm volatile(".8byte 0x00000000000000ff; r0 = 0; exit");
}

LICENSED;
