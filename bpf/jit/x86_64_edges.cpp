// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// What need not be done on the way that execution mostly takes. Compilers set a verdict, test whether to
// leave with it, and set the next one: each is loaded only where the jump goes to, in code that lies apart.
#include <algorithm>
#include <utility>

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

/// The code of this lookup knows where the key is, and does not read r2.
bool Compiler::finds_key(u32 lookup) const {
    const Map& map = *program_.maps()[static_cast<u32>(program_.insns()[lookup].target)];
    return program_.key_of(lookup) != nullptr && LookupEmitter::is_compiled(map);
}

std::vector<RegisterUse> Compiler::uses() const {
    std::vector<RegisterUse> uses = register_uses(program_);
    for (u32 i = 0; i < uses.size(); ++i)
        if (program_.insns()[i].op == Op::map_lookup && finds_key(i))
            uses[i].reads = static_cast<RegisterSet>(uses[i].reads & ~register_bit(R2));
    return uses;
}

/// What lies on the stack is read, or may be.
bool Compiler::reads_frame(u32 index) const {
    const LoweredInsn& insn = program_.insns()[index];
    if (live_.is_dead(index)) return false;
    if (insn.op == Op::map_lookup)
        return !finds_key(index) ||
               !LookupEmitter::needs_no_stack(*program_.maps()[static_cast<u32>(insn.target)],
                                              *program_.key_of(index));
    const OpKind kind = info(insn.op).kind;
    if ((kind == OpKind::st || kind == OpKind::stx) && insn.dst == R10)
        return kind == OpKind::stx && insn.src == R10;
    return (register_use(insn).reads & register_bit(R10)) != 0 && kind != OpKind::may_goto;
}

/// Keys that lookups take from registers, or know: nobody reads them where they were stored.
void Compiler::leave_out_unread_frames() {
    std::vector<RegisterUse> changed;
    for (const LoweredFunction& function : program_.functions()) {
        bool reads = false;
        bool stores = false;
        for (u32 i = function.begin; i < function.end; ++i) {
            reads |= reads_frame(i);
            const OpKind kind = info(program_.insns()[i].op).kind;
            stores |= (kind == OpKind::st || kind == OpKind::stx) && program_.insns()[i].dst == R10;
        }
        if (reads || !stores) continue;
        if (changed.empty()) changed = uses();
        for (u32 i = function.begin; i < function.end; ++i) {
            const OpKind kind = info(program_.insns()[i].op).kind;
            if ((kind != OpKind::st && kind != OpKind::stx) || program_.insns()[i].dst != R10) continue;
            changed[i] = {};
            idle_[i] = true;
        }
    }
    if (!changed.empty()) live_ = Liveness(program_, std::move(changed));
}

/// The context comes in r1. If that is read only by loads and copies at the very beginning, they may as well
/// read another register.
void Compiler::find_context_reads() {
    const LoweredFunction& main = program_.functions().front();
    for (u32 i = main.begin; i < main.end && !targets_[i]; ++i) {
        const LoweredInsn& insn = program_.insns()[i];
        const OpcodeInfo& row = info(insn.op);
        if (!live_.is_live_before(i, R1)) {
            context_end_ = std::max(i, 1U);
            return;
        }
        const RegisterUse use = register_use(insn);
        const bool reads = (use.reads & register_bit(R1)) != 0 && !idle_[i];
        const bool plain = (row.kind == OpKind::ldx && row.code == Code::none) || insn.op == Op::mov64_reg;
        if ((reads && !plain) || !may_be_passed(row.kind) || row.kind == OpKind::jump) return;
        if (!idle_[i] && (use.writes & register_bit(R1)) != 0) {
            context_end_ = i + 1;
            return;
        }
    }
}

void Compiler::plan() {
    const u32 size = static_cast<u32>(program_.insns().size());
    targets_.resize(size);
    idle_.resize(size);
    for (const LoweredInsn& insn : program_.insns()) {
        const OpKind kind = info(insn.op).kind;
        if (kind == OpKind::jump || kind == OpKind::may_goto || kind == OpKind::ja)
            targets_[static_cast<u32>(insn.target)] = true;
    }
    // The second half of a program in two reads keys from the stack.
    if (program_.split() == nullptr) leave_out_unread_frames();
    for (u32 i = 0; i < size; ++i)
        if (live_.is_dead(i)) idle_[i] = true;
    for (u32 i = 0; i < size; ++i)
        if (!idle_[i] && is_constant(program_.insns()[i])) move_to_edges(i);
    std::ranges::sort(edges_, {}, [](const EdgeConstant& edge) { return std::pair(edge.jump, edge.move); });
    find_context_reads();
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
    const auto same =
        std::ranges::find_if(made, [&](const EdgeCode& code) { return same_edge(jump, code.jump); });
    if (same != made.end()) return same->label;
    const Label edge = a_.newLabel();
    edge_codes_.push_back({jump, edge});
    label(target);
    cold_.push_back([this, constants, edge, target] {
        a_.bind(edge);
        for (const EdgeConstant& constant : constants) emit_.alu(program_.insns()[constant.move]);
        go_to_insn(target);
    });
    return edge;
}

/// From code that lies apart. An exit is short enough to be there as well.
void Compiler::go_to_insn(u32 target) {
    if (program_.insns()[target].op == Op::exit) {
        exit(false);
    } else {
        a_.jmp(label(target));
    }
}

} // namespace xdplane::x86_64
