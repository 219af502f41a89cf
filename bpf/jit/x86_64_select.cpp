// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Conditional moves. BPF has none, so compilers turn a choice between two values into a jump over a move,
// which the machine cannot foresee where it depends on what packets hold. A jump out on the way is taken on
// both conditions together:
//
//     if A goto end; moves; [if B goto out; moves;] end:
#include "bpf/jit/x86_64_compiler.h"

namespace xdplane::x86_64 {

namespace x86 = asmjit::x86;

namespace {

/// Where a value comes from that an insn moves, if it has no other effect.
enum class Source : u8 { none, constant, reg, low_half, sum };

Source source_of(const LoweredInsn& insn) {
    switch (insn.op) {
    case Op::mov32_imm:
    case Op::mov64_imm: return Source::constant;
    case Op::mov64_reg: return Source::reg;
    case Op::mov32_reg: return Source::low_half;
    case Op::add64_imm: return Source::sum;
    default: return Source::none;
    }
}

u64 constant_of(const LoweredInsn& insn) {
    return insn.op == Op::mov64_imm ? static_cast<u64>(insn.imm) : static_cast<u32>(insn.imm);
}

constexpr Gp kValues[ConditionalMoves::kMost] = {kScratch1, kScratch2, kScratch3};

} // namespace

ConditionalMoves Compiler::find_conditional_moves(u32 index) const {
    constexpr u32 kLongest = 5;
    const LoweredInsn& jump = program_.insns()[index];
    const u32 end = static_cast<u32>(jump.target);
    if (end <= index + 1 || end - index > kLongest || !edge_constants(index).empty()) return {};
    ConditionalMoves found{.end = end};
    RegisterSet moved_behind = 0; // by what stands behind the jump out
    for (u32 i = index + 1; i < end; ++i) {
        const LoweredInsn& insn = program_.insns()[i];
        if (targets_[i]) return {};
        if (idle_[i]) continue;
        if (source_of(insn) != Source::none) {
            if (found.count == ConditionalMoves::kMost) return {};
            found.moves[found.count++] = i;
            if (found.way_out != 0) moved_behind |= register_bit(insn.dst);
        } else if (info(insn.op).kind == OpKind::jump && found.way_out == 0) {
            found.way_out = i;
        } else {
            return {};
        }
    }
    if (found.way_out == 0) return found;
    // All moves come first: those behind the jump out must be none of its business.
    const LoweredInsn& out = program_.insns()[found.way_out];
    const u32 target = static_cast<u32>(out.target);
    const RegisterSet kept = register_use(out).reads | live_.before(target);
    if ((moved_behind & kept) != 0 || (target > index && target <= end)) return {};
    return found;
}

u32 Compiler::conditional_moves(u32 index) {
    const ConditionalMoves found = find_conditional_moves(index);
    if (found.count == 0) return 0;
    // Constants may change the flags, so they come before the comparison.
    for (u32 i = 0; i < found.count; ++i) {
        const LoweredInsn& move = program_.insns()[found.moves[i]];
        if (source_of(move) == Source::constant) emit_.load_constant(kValues[i], constant_of(move));
    }
    const x86::CondCode condition = x86::negateCond(emit_.compare(program_.insns()[index]));
    for (u32 i = 0; i < found.count; ++i) {
        const LoweredInsn& move = program_.insns()[found.moves[i]];
        Gp value = kValues[i];
        switch (source_of(move)) {
        case Source::reg: value = machine_reg(move.src, 64); break;
        case Source::low_half: a_.mov(value.r32(), machine_reg(move.src, 32)); break;
        case Source::sum:
            a_.lea(value, x86::ptr(machine_reg(move.dst, 64), static_cast<i32>(move.imm)));
            break;
        default: break;
        }
        a_.cmov(condition, machine_reg(move.dst, 64), value);
    }
    if (found.way_out != 0) {
        a_.set(condition, kScratch1.r8());
        const x86::CondCode out = emit_.compare(program_.insns()[found.way_out]);
        a_.set(out, kScratch2.r8());
        a_.test(kScratch1.r8(), kScratch2.r8());
        a_.jnz(taken(found.way_out));
    }
    return found.end - index;
}

} // namespace xdplane::x86_64
