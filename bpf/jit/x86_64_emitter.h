// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <asmjit/x86.h>

#include "bpf/isa/opcodes.h"
#include "bpf/jit/x86_64.h"
#include "bpf/lower/lowered.h"

/// x86-64 code of the operations that need no frame: arithmetic, memory, atomics, compare-and-jump.
/// x86_64.cpp puts entries, frames and calls around them.
namespace xdplane::x86_64 {

using asmjit::Label;
using asmjit::x86::Gp;

[[nodiscard]] Features host_features();

/// Where BPF registers live. Arguments of helpers are already where the SysV ABI wants them, and r6-r10 in
/// registers that C functions preserve. r12 holds the RunContext; r9, r10 and r11 are scratch.
inline constexpr Gp kRegisterMap[kRegisters] = {
    asmjit::x86::rax, asmjit::x86::rdi, asmjit::x86::rsi, asmjit::x86::rdx, asmjit::x86::rcx, asmjit::x86::r8,
    asmjit::x86::rbx, asmjit::x86::r13, asmjit::x86::r14, asmjit::x86::r15, asmjit::x86::rbp,
};
inline constexpr Gp kContext = asmjit::x86::r12;
inline constexpr Gp kScratch1 = asmjit::x86::r9;
inline constexpr Gp kScratch2 = asmjit::x86::r10;
inline constexpr Gp kScratch3 = asmjit::x86::r11;

/// The x86 register of a BPF register, for an operation on `bits` (8, 16, 32 or 64).
[[nodiscard]] Gp machine_reg(u8 bpf_reg, u32 bits);
[[nodiscard]] Gp sized(const Gp& reg, u32 bits);

class Emitter {
public:
    Emitter(asmjit::x86::Assembler& assembler, Features features) : a_(assembler), features_(features) {}

    /// reg = value, in the shortest encoding. Changes flags.
    void load_constant(const Gp& reg, u64 value);

    void alu(const LoweredInsn& insn);
    void endian(const LoweredInsn& insn);
    /// Plain and acquire loads, plain and release stores: the machine orders all of them (Intel SDM volume 3,
    /// 9.2.2, Total Store Order).
    void load(const LoweredInsn& insn);
    /// The same with its address from another register.
    void load(const LoweredInsn& insn, const Gp& base);
    void store(const LoweredInsn& insn);
    void atomic(const LoweredInsn& insn);
    void ctx_length(const LoweredInsn& insn);
    /// Compares what a jump compares. Returns the condition on which it jumps.
    asmjit::x86::CondCode compare(const LoweredInsn& insn);
    /// Jumps to `target` if the condition of the row holds.
    void jump(const LoweredInsn& insn, const Label& target);
    void may_goto(const LoweredInsn& insn, const Label& target);
    /// ld_abs and ld_ind; jumps to `out_of_range` with r0 undefined if there is nothing to load. The stack
    /// must be aligned for a call.
    void legacy_load(const LoweredInsn& insn, const Label& out_of_range);

private:
    void binary(const LoweredInsn& insn, const OpcodeInfo& row);
    void multiply(const LoweredInsn& insn, const OpcodeInfo& row);
    void move(const LoweredInsn& insn, const OpcodeInfo& row);
    void move_sign_extended(const LoweredInsn& insn, const OpcodeInfo& row);
    void shift(const LoweredInsn& insn, const OpcodeInfo& row);
    void shift_by_register(Code code, const Gp& dst, const Gp& count);
    void shift_by_cl(Code code, const Gp& dst);

    void divide(const LoweredInsn& insn, const OpcodeInfo& row);
    bool divide_by_constant(const LoweredInsn& insn, const OpcodeInfo& row);
    void divide_machine(const Gp& dst, const Gp& divisor, bool is_signed, bool remainder);

    void fetch_by_loop(const LoweredInsn& insn, const OpcodeInfo& row);
    void legacy_load_inline(asmjit::x86::Mem from, u32 size, const Label& out_of_range);
    void legacy_load_call(const Gp& offset, u32 size, const Label& out_of_range);
    void operate(Code code, const asmjit::x86::Mem& memory, const Gp& src);

    asmjit::x86::Assembler& a_;
    Features features_;
};

} // namespace xdplane::x86_64
