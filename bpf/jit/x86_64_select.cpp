// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Conditional moves. BPF has none, so compilers turn a choice between two values into a jump over a move,
// which the machine cannot foresee where it depends on what packets hold. A jump out on the way is taken on
// both conditions together:
//
//     if A goto end; moves; [if B goto out; moves;] end:
#include <algorithm>
#include <functional>

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

/// Execution comes there not only from the insn before it.
bool Compiler::is_entered(u32 insn) const {
    return targets_[insn] || (insn < labels_.size() && labels_[insn].isValid());
}

ConditionalMoves Compiler::find_conditional_moves(u32 index) const {
    constexpr u32 kLongest = 5;
    const LoweredInsn& jump = program_.insns()[index];
    const u32 end = static_cast<u32>(jump.target);
    if (end <= index + 1 || end - index > kLongest || !edge_constants(index).empty()) return {};
    ConditionalMoves found{.end = end};
    RegisterSet moved_behind = 0; // by what stands behind the jump out
    for (u32 i = index + 1; i < end; ++i) {
        const LoweredInsn& insn = program_.insns()[i];
        if (is_entered(i)) return {};
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

/// The jump out is taken if a register that nothing here moves is not a certain value: there is a scratch
/// register for what to compare it with.
bool Compiler::compares_a_value(const ConditionalMoves& found) const {
    const LoweredInsn& out = program_.insns()[found.way_out];
    return found.count == 1 && info(out.op).code == Code::jne &&
           program_.insns()[found.moves[0]].dst != out.dst &&
           (info(out.op).operand == Operand::imm || program_.insns()[found.moves[0]].dst != out.src);
}

/// What conditional moves of the main program move, most of them first.
std::vector<u64> Compiler::moved_constants() const {
    std::vector<std::pair<u32, u64>> counts; // how often, and what
    const auto add = [&counts](u64 value) {
        const auto found = std::ranges::find(counts, value, &std::pair<u32, u64>::second);
        if (found == counts.end())
            counts.emplace_back(1, value);
        else
            ++found->first;
    };
    const LoweredFunction& main = program_.functions().front();
    for (u32 i = main.begin; i < main.end; ++i) {
        if (info(program_.insns()[i].op).kind != OpKind::jump) continue;
        const ConditionalMoves found = find_conditional_moves(i);
        for (u32 k = 0; k < found.count; ++k) {
            const LoweredInsn& move = program_.insns()[found.moves[k]];
            if (source_of(move) == Source::constant) add(constant_of(move));
        }
        if (found.count == 0 || found.way_out == 0 || !compares_a_value(found)) continue;
        const LoweredInsn& out = program_.insns()[found.way_out];
        if (info(out.op).operand == Operand::imm) add(static_cast<u64>(out.imm));
    }
    std::ranges::sort(counts, std::greater());
    std::vector<u64> values;
    for (const auto& [count, value] : counts) values.push_back(value);
    return values;
}

/// The register that holds it in a burst's loop, or `scratch`, which gets it. Changes flags.
Gp Compiler::constant(u64 value, const Gp& scratch) {
    if (frame_.in_loop) {
        const auto found = std::ranges::find(loop_.constants, value, &LoopConstant::value);
        if (found != loop_.constants.end()) return found->reg;
    }
    emit_.load_constant(scratch, value);
    return scratch;
}

u32 Compiler::conditional_moves(u32 index) {
    const ConditionalMoves found = find_conditional_moves(index);
    if (found.count == 0) return 0;
    // Constants may change the flags, so they come before the comparison.
    Gp values[ConditionalMoves::kMost];
    for (u32 i = 0; i < found.count; ++i) {
        const LoweredInsn& move = program_.insns()[found.moves[i]];
        values[i] =
            source_of(move) == Source::constant ? constant(constant_of(move), kValues[i]) : kValues[i];
    }
    const bool by_value = found.way_out != 0 && compares_a_value(found);
    const LoweredInsn& out = program_.insns()[found.way_out];
    Gp wanted;
    if (by_value)
        wanted = info(out.op).operand == Operand::imm ? constant(static_cast<u64>(out.imm), kScratch2)
                                                      : machine_reg(out.src, 64);
    const x86::CondCode condition = x86::negateCond(emit_.compare(program_.insns()[index]));
    for (u32 i = 0; i < found.count; ++i) {
        const LoweredInsn& move = program_.insns()[found.moves[i]];
        switch (source_of(move)) {
        case Source::reg: values[i] = machine_reg(move.src, 64); break;
        case Source::low_half: a_.mov(values[i].r32(), machine_reg(move.src, 32)); break;
        case Source::sum:
            a_.lea(values[i], x86::ptr(machine_reg(move.dst, 64), static_cast<i32>(move.imm)));
            break;
        default: break;
        }
        a_.cmov(condition, machine_reg(move.dst, 64), values[i]);
    }
    if (found.way_out == 0) return found.end - index;
    if (by_value) {
        // Compared with itself if the first jump would have been taken.
        const u32 bits = info(out.op).width;
        const Gp other = sized(kScratch3, bits);
        a_.mov(other, machine_reg(out.dst, bits));
        a_.cmov(condition, other, sized(wanted, bits));
        a_.cmp(machine_reg(out.dst, bits), other);
        a_.jne(taken(found.way_out));
    } else {
        a_.set(condition, kScratch1.r8());
        const x86::CondCode leaves = emit_.compare(out);
        a_.set(leaves, kScratch2.r8());
        a_.test(kScratch1.r8(), kScratch2.r8());
        a_.jnz(taken(found.way_out));
    }
    return found.end - index;
}

} // namespace xdplane::x86_64
