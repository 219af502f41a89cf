// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/lower/liveness.h"

#include <numeric>

#include "bpf/lower/draft.h"

namespace xdplane {
namespace {

/// Operations that only lowering makes.
RegisterUse use_of_lowered(const LoweredInsn& insn) {
    switch (insn.op) {
    case Op::ctx_length: return {register_bit(insn.src), register_bit(insn.dst)};
    case Op::nop: return {};
    case Op::map_lookup: return {register_bit(R2), kCallerSaved};
    // Where array and index are known nobody reads them from r2 and r3. r0 survives a tail call that fails.
    case Op::tail_call: {
        RegisterSet reads = register_bit(R1);
        if (insn.target < 0) reads |= register_bit(R2);
        if (insn.imm < 0) reads |= register_bit(R3);
        return {reads, kArguments};
    }
    default: return {kArguments, kCallerSaved};
    }
}

/// `reads` and `writes` of an insn, and the registers that make up the key that it looks up.
RegisterUse use_in(const LoweredProgram& program, u32 index) {
    RegisterUse use = register_use(program.insns()[index]);
    if (program.insns()[index].op != Op::map_lookup) return use;
    if (const LookupKey* key = program.key_of(index); key != nullptr)
        for (const KeyPiece& piece : key->pieces)
            if (piece.kind == KeyPiece::Kind::in_register) use.reads |= register_bit(piece.reg);
    return use;
}

/// It writes its dst and has no other effect.
bool only_writes_register(const LoweredInsn& insn) {
    const OpKind kind = info(insn.op).kind;
    return kind == OpKind::alu || kind == OpKind::endian || kind == OpKind::ldx || kind == OpKind::ld_imm64 ||
           insn.op == Op::ctx_length;
}

} // namespace

RegisterUse register_use(const LoweredInsn& insn) {
    const OpcodeInfo& row = info(insn.op);
    if (row.kind == OpKind::lowered || row.kind == OpKind::call) return use_of_lowered(insn);
    if (row.kind == OpKind::may_goto) return {register_bit(R10), 0};
    return register_use(row, insn.dst, insn.src);
}

std::vector<RegisterUse> register_uses(const LoweredProgram& program) {
    std::vector<RegisterUse> uses(program.insns().size());
    for (u32 i = 0; i < uses.size(); ++i) uses[i] = use_in(program, i);
    return uses;
}

/// Each insn is looked at again only when a register turns out to be live behind it: at most once for each
/// register, in whatever order a program is laid out.
Liveness::Liveness(const LoweredProgram& program, std::vector<RegisterUse> uses)
    : program_(&program), before_(program.insns().size()) {
    const u32 size = static_cast<u32>(program.insns().size());
    std::vector<u32> first(size + 1); // of each insn's predecessors, in `from`
    for (u32 i = 0; i < size; ++i) for_successors(program, i, [&](u32 next) { ++first[next + 1]; });
    std::partial_sum(first.begin(), first.end(), first.begin());
    std::vector<u32> from(first.back());
    std::vector<u32> filled(first.begin(), first.end() - 1);
    for (u32 i = 0; i < size; ++i) for_successors(program, i, [&](u32 next) { from[filled[next]++] = i; });

    std::vector<u32> work(size);
    std::iota(work.begin(), work.end(), 0U); // the last one first
    std::vector<bool> waits(size, true);
    while (!work.empty()) {
        const u32 i = work.back();
        work.pop_back();
        waits[i] = false;
        const RegisterSet live =
            is_dead(i) ? after(i) : static_cast<RegisterSet>(uses[i].reads | (after(i) & ~uses[i].writes));
        if (live == before_[i]) continue;
        before_[i] = live;
        for (u32 k = first[i]; k < first[i + 1]; ++k) {
            if (waits[from[k]]) continue;
            waits[from[k]] = true;
            work.push_back(from[k]);
        }
    }
}

bool Liveness::is_dead(u32 insn) const {
    const LoweredInsn& what = program_->insns()[insn];
    return only_writes_register(what) && !is_live_after(insn, what.dst);
}

RegisterSet Liveness::after(u32 insn) const {
    RegisterSet live = 0;
    for_successors(*program_, insn, [&](u32 next) { live |= before_[next]; });
    return live;
}

} // namespace xdplane
