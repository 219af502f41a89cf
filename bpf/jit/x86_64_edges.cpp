// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// What need not be done on the way that execution mostly takes. Compilers set a verdict, test whether to leave
// with it, and set the next one: each is loaded only where the jump goes to, in code that lies apart.
#include <algorithm>

#include "bpf/jit/x86_64_compiler.h"

namespace xdplane::x86_64 {

namespace x86 = asmjit::x86;

namespace {

bool is_constant(const LoweredInsn& insn) { return insn.op == Op::mov64_imm || insn.op == Op::mov32_imm; }

/// A constant may be loaded behind it just as well, if it does not mention the register.
bool may_be_passed(OpKind kind) {
    switch (kind) {
    case OpKind::alu:
    case OpKind::endian:
    case OpKind::ldx:
    case OpKind::st:
    case OpKind::stx:
    case OpKind::ld_imm64:
    case OpKind::jump: return true;
    default: return false;
    }
}

} // namespace

void Compiler::plan() {
    const u32 size = static_cast<u32>(program_.insns().size());
    targets_.resize(size);
    idle_.resize(size);
    for (const LoweredInsn& insn : program_.insns()) {
        const OpKind kind = info(insn.op).kind;
        if (kind == OpKind::jump || kind == OpKind::may_goto || kind == OpKind::ja)
            targets_[static_cast<u32>(insn.target)] = true;
    }
    for (u32 i = 0; i < size; ++i) idle_[i] = live_.is_dead(i);
    for (u32 i = 0; i < size; ++i)
        if (!idle_[i] && is_constant(program_.insns()[i])) move_to_edges(i);
    std::ranges::stable_sort(edges_, {}, &EdgeConstant::jump);
}

/// If it is read only where jumps lead that follow close behind. Jumps back are left alone: those are loops,
/// which are no rare way to go. Conditional moves keep no jump to put a constant behind.
void Compiler::move_to_edges(u32 index) {
    constexpr u32 kWindow = 16;
    const u8 reg = program_.insns()[index].dst;
    const std::size_t others = edges_.size();
    const u32 end = std::min(static_cast<u32>(program_.insns().size()), index + kWindow);
    for (u32 i = index + 1; i < end; ++i) {
        if (!live_.is_live_before(i, reg)) {
            idle_[index] = true;
            return;
        }
        const LoweredInsn& insn = program_.insns()[i];
        const OpKind kind = info(insn.op).kind;
        if (targets_[i] || !may_be_passed(kind)) break;
        if (idle_[i]) continue;
        const RegisterUse use = register_use(insn);
        if (((use.reads | use.writes) & register_bit(reg)) != 0) break;
        if (kind != OpKind::jump || !live_.is_live_before(static_cast<u32>(insn.target), reg)) continue;
        if (static_cast<u32>(insn.target) <= i || find_conditional_moves(i).count > 0) break;
        edges_.push_back({i, index});
    }
    edges_.resize(others);
}

std::span<const EdgeConstant> Compiler::edge_constants(u32 jump) const {
    const auto found = std::ranges::equal_range(edges_, jump, {}, &EdgeConstant::jump);
    return {found.begin(), found.end()};
}

bool Compiler::same_edge(u32 jump, u32 other) const {
    const auto same_constant = [this](const EdgeConstant& a, const EdgeConstant& b) {
        const LoweredInsn& one = program_.insns()[a.move];
        const LoweredInsn& two = program_.insns()[b.move];
        return one.op == two.op && one.dst == two.dst && one.imm == two.imm;
    };
    return program_.insns()[jump].target == program_.insns()[other].target &&
           std::ranges::equal(edge_constants(jump), edge_constants(other), same_constant);
}

/// Where the machine's jump goes: to the target, or to constants and from there to the target.
Label Compiler::taken(u32 jump) {
    constexpr std::size_t kLookedAt = 8; // of those made: neighbours are alike
    const u32 target = static_cast<u32>(program_.insns()[jump].target);
    const std::span<const EdgeConstant> constants = edge_constants(jump);
    if (constants.empty()) return label(target);
    const auto made = std::span(edge_codes_).last(std::min(edge_codes_.size(), kLookedAt));
    const auto same = std::ranges::find_if(made, [&](const EdgeCode& code) { return same_edge(jump, code.jump); });
    if (same != made.end()) return same->label;
    const Label edge = a_.newLabel();
    edge_codes_.push_back({jump, edge});
    cold_.push_back([this, constants, edge, behind = label(target), target] {
        a_.bind(edge);
        for (const EdgeConstant& constant : constants) emit_.alu(program_.insns()[constant.move]);
        if (program_.insns()[target].op == Op::exit) {
            exit(false);
        } else {
            a_.jmp(behind);
        }
    });
    return edge;
}

} // namespace xdplane::x86_64
