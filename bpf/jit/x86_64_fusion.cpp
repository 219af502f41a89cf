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
    case Op::mov64_reg: {
        const u32 done = context_read(index);
        return done > 0 ? done : move_and_add(index);
    }
    case Op::ldx8:
    case Op::ldx16:
    case Op::ldx32:
    case Op::ldx64: {
        const u32 done = context_read(index);
        return done > 0 ? done : update_in_memory(index);
    }
    default: return 0;
    }
}

/// dst = src; dst += something: one insn.
u32 Compiler::move_and_add(u32 index) {
    if (!falls_into_next(index)) return 0;
    const LoweredInsn& move = program_.insns()[index];
    const LoweredInsn& add = program_.insns()[index + 1];
    if (move.dst == move.src || add.dst != move.dst || idle_[index + 1]) return 0;
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
    while (at < program_.insns().size() && idle_[at] && !is_entered(at)) ++at;
    if (at == program_.insns().size() || is_entered(at)) return 0;
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

void Compiler::copies_of_result(u32 index, const NullTest& test, bool with_idle) {
    for (u32 i = index + 1; i <= index + test.between; ++i)
        if (with_idle || !idle_[i]) emit_.alu(program_.insns()[i]);
}

/// A few constants, and then it goes elsewhere.
bool Compiler::is_short_way_out(u32 begin, u32 end) const {
    constexpr u32 kLongest = 4;
    if (end <= begin || end - begin > kLongest) return false;
    for (u32 i = begin; i < end; ++i) {
        const Op op = program_.insns()[i].op;
        if (labels_[i].isValid()) return false;
        if (i + 1 == end) return op == Op::ja || op == Op::exit;
        if (op != Op::mov32_imm && op != Op::mov64_imm) return false;
    }
    return false;
}

/// And the comparison of its result with null, if that is what follows: the code knows the answer. What is
/// done without a result lies apart.
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
    const u32 next = index + test.between + 2; // behind the test
    const Label behind = a_.newLabel();
    const bool skips = test.found && !test.if_null && is_short_way_out(next, test.target);
    // Constants that are loaded on the way that the jump takes are not needed on the other one.
    if (test.found) copies_of_result(index, test, !test.if_null);
    if (test.found && !test.if_null && !skips) a_.jmp(label(test.target));
    a_.bind(behind);
    if (outcome == Outcome::maybe) {
        const Label if_null = test.found && test.if_null ? label(test.target) : behind;
        cold_.push_back([this, index, test, miss, if_null, skips, next] {
            a_.bind(miss);
            a_.xor_(x86::eax, x86::eax);
            if (test.found) copies_of_result(index, test, true);
            if (skips) {
                way_out(next, test.target);
            } else {
                a_.jmp(if_null);
            }
        });
    }
    if (skips) return test.target - index;
    return test.found ? test.between + 2 : 1;
}

/// In code that lies apart.
void Compiler::way_out(u32 begin, u32 end) {
    for (u32 i = begin; i + 1 < end; ++i)
        if (!idle_[i]) emit_.alu(program_.insns()[i]);
    const LoweredInsn& last = program_.insns()[end - 1];
    go_to_insn(last.op == Op::exit ? end - 1 : static_cast<u32>(last.target));
}

/// A load or copy of what r1 holds at the entry, in the loop of a burst: there it is in another register.
u32 Compiler::context_read(u32 index) {
    if (!frame_.in_loop || !loop_.context_in_packet || index >= context_end_) return 0;
    const LoweredInsn& insn = program_.insns()[index];
    if (insn.src != R1) return 0;
    if (insn.op == Op::mov64_reg) {
        a_.mov(machine_reg(insn.dst, 64), loop_.packet);
    } else {
        emit_.load(insn, loop_.packet);
    }
    return 1;
}

} // namespace xdplane::x86_64
