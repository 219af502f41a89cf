// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Insns that are better emitted together with their neighbours.
#include "bpf/jit/x86_64_compiler.h"

namespace xdplane::x86_64 {

namespace x86 = asmjit::x86;

/// Nothing else jumps to the insn behind it, so the two may be emitted as one.
bool Compiler::falls_into_next(u32 index) const {
    return index + 1 < program_.insns().size() && !labels_[index + 1].isValid();
}

/// Emits the insn together with those behind it, if that is better. Returns how many; 0: nothing done.
u32 Compiler::several(u32 index) {
    if (idle_[index]) return 1;
    if (info(program_.insns()[index].op).kind == OpKind::jump) return conditional_moves(index);
    switch (program_.insns()[index].op) {
    case Op::map_lookup: return map_lookup(index);
    case Op::and64_imm:
    case Op::and32_imm: return mask_and_jump(index);
    case Op::mov64_reg: return is_unread_argument(index) ? 1 : move_and_add(index);
    case Op::add64_imm:
    case Op::ld_imm64: return is_unread_argument(index) ? 1 : 0;
    default: return 0;
    }
}

/// It makes r1 or r2 for a lookup whose code knows its map, or where its key is.
bool Compiler::is_unread_argument(u32 index) const {
    const u8 reg = program_.insns()[index].dst;
    if (reg != R1 && reg != R2) return false;
    for (u32 i = index + 1; i < program_.insns().size() && !labels_[i].isValid(); ++i) {
        const LoweredInsn& insn = program_.insns()[i];
        switch (insn.op) {
        case Op::mov64_reg:
            if (insn.src == reg) return false;
            break;
        case Op::add64_imm:
        case Op::ld_imm64: break;
        case Op::map_lookup: {
            const Map& map = *program_.maps()[static_cast<u32>(insn.target)];
            return reg == R1 || (program_.key_of(i) != nullptr && LookupEmitter::is_compiled(map));
        }
        default: return false;
        }
    }
    return false;
}

/// dst = src; dst += something: one insn.
u32 Compiler::move_and_add(u32 index) {
    if (!falls_into_next(index)) return 0;
    const LoweredInsn& move = program_.insns()[index];
    const LoweredInsn& add = program_.insns()[index + 1];
    if (move.dst == move.src || add.dst != move.dst) return 0;
    const Gp src = machine_reg(move.src, 64);
    if (add.op == Op::add64_imm) {
        a_.lea(machine_reg(move.dst, 64), x86::ptr(src, static_cast<i32>(add.imm)));
        return 2;
    }
    if (add.op != Op::add64_reg) return 0;
    const u8 addend = add.src == move.dst ? move.src : add.src;
    a_.lea(machine_reg(move.dst, 64), x86::ptr(src, machine_reg(addend, 64)));
    return 2;
}

/// reg &= mask; if reg == 0, or != 0, goto: the mask sets the flags, and where nobody reads the register it
/// is not even changed.
u32 Compiler::mask_and_jump(u32 index) {
    const LoweredInsn& mask = program_.insns()[index];
    u32 at = index + 1;
    while (at < program_.insns().size() && idle_[at] && !targets_[at]) ++at;
    if (at == program_.insns().size() || targets_[at]) return 0;
    const LoweredInsn& jump = program_.insns()[at];
    const OpcodeInfo& row = info(jump.op);
    const bool tests = (row.code == Code::jeq || row.code == Code::jne) && row.operand == Operand::imm;
    if (!tests || jump.dst != mask.dst || jump.imm != 0) return 0;
    if (row.width < info(mask.op).width || find_conditional_moves(at).count > 0) return 0;
    if (live_.is_live_after(at, mask.dst)) {
        emit_.alu(mask);
    } else {
        a_.test(machine_reg(mask.dst, info(mask.op).width), asmjit::Imm(static_cast<i32>(mask.imm)));
    }
    a_.j(row.code == Code::jeq ? x86::CondCode::kE : x86::CondCode::kNE, taken(at));
    return at - index + 1;
}

/// The comparison of a lookup's result with null that follows the lookup; perhaps of a copy, and behind what
/// compilers put in between.
NullTest Compiler::null_test(u32 index) const {
    const std::vector<LoweredInsn>& insns = program_.insns();
    NullTest test;
    u8 tested = R0;
    for (u32 i = index + 1; i < insns.size() && !labels_[i].isValid(); ++i, ++test.between) {
        const LoweredInsn& insn = insns[i];
        if (insn.op == Op::mov64_reg && insn.src == R0 && tested == R0 && test.between == 0) {
            tested = insn.dst;
        } else if ((insn.op == Op::mov64_imm || insn.op == Op::mov32_imm) && insn.dst == R0 && tested != R0) {
            continue;
        } else {
            const bool null = insn.dst == tested && insn.imm == 0;
            test.found = null && (insn.op == Op::jeq64_imm || insn.op == Op::jne64_imm);
            test.if_null = insn.op == Op::jeq64_imm;
            test.target = static_cast<u32>(insn.target);
            return test;
        }
    }
    return test;
}

void Compiler::copies_of_result(u32 index, const NullTest& test) {
    for (u32 i = index + 1; i <= index + test.between; ++i) emit_.alu(program_.insns()[i]);
}

/// And the comparison of its result with null, if that is what follows: the code knows the answer.
u32 Compiler::map_lookup(u32 index) {
    using Outcome = LookupEmitter::Outcome;
    const LoweredInsn& insn = program_.insns()[index];
    const Label miss = a_.newLabel();
    LookupEmitter lookup(a_, emit_, cold_, program_.key_of(index));
    Map& map = *program_.maps()[static_cast<u32>(insn.target)];
    const std::optional<x86::Mem> hash = noted_hash(index);
    const Outcome outcome = hash ? lookup.emit_noted(map, *hash, miss) : lookup.emit(map, miss);
    if (outcome == Outcome::called) return 1;
    if (outcome == Outcome::never) {
        a_.xor_(x86::eax, x86::eax);
        return 1;
    }
    const NullTest test = null_test(index);
    const Label behind = a_.newLabel();
    if (test.found) copies_of_result(index, test);
    if (test.found && !test.if_null) a_.jmp(label(test.target));
    a_.bind(behind);
    if (outcome == Outcome::maybe) {
        const Label if_null = test.found && test.if_null ? label(test.target) : behind;
        cold_.push_back([this, index, test, miss, if_null] {
            a_.bind(miss);
            a_.xor_(x86::eax, x86::eax);
            if (test.found) copies_of_result(index, test);
            a_.jmp(if_null);
        });
    }
    return test.found ? test.between + 2 : 1;
}

} // namespace xdplane::x86_64
