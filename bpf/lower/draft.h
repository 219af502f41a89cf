// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <vector>

#include "bpf/base/result.h"
#include "bpf/lower/lowered.h"

/// Lowering in the making. translate() turns each live verified insn into lowered ones, passes rewrite the
/// vector, and Lowering places the result.
namespace xdplane {

/// A lowered insn on its way. Until it is placed, `target` of jumps, local calls and code pointers names a
/// *verified* insn, so a pass may insert and delete freely without mending any jump. A target means the first
/// remaining insn whose origin is not before it; insns stay sorted by origin.
struct DraftInsn {
    LoweredInsn insn;
    u32 origin; ///< index of the verified insn it came from
};

struct Draft {
    const VerifiedProgram& program;
    std::vector<DraftInsn> insns;

    /// Index of the first insn with an origin of at least `verified_index`; insns.size() if there is none.
    [[nodiscard]] u32 find(u32 verified_index) const;
    /// Deletes every insn for which `drop(index)` is true.
    template<class Drop>
    void erase_if(Drop drop) {
        u32 kept = 0;
        for (u32 i = 0; i < insns.size(); ++i)
            if (!drop(i)) insns[kept++] = insns[i];
        insns.erase(insns.begin() + kept, insns.end());
    }
};

/// One optimisation: keeps what the program does, whatever runs before or after it.
using Pass = void (*)(Draft&);

/// Jumps to the insn that follows anyway are nothing.
void drop_jumps_to_next(Draft& draft);

/// Two halves of a number that are loaded from side by side, shifted and joined, as compilers read fields of
/// packed structs, are one load. Engines load from any address.
void combine_loads(Draft& draft);

/// Masks and zero-extensions that change nothing, by what the verifier knows of the number, are nothing.
void drop_idle(Draft& draft);

/// The address of a map in r1 is nothing where a lookup that knows its map is all that follows: what r1 held
/// before, often the key, stays there.
void drop_map_addresses(Draft& draft);

/// What the program does with its context, as far as its own loads and stores tell: what is called may do
/// anything.
[[nodiscard]] ContextUse find_context_use(const Draft& draft);

/// For each insn, and the end: an insn has it as its target, or a function begins there.
[[nodiscard]] std::vector<bool> jump_targets(const Draft& draft);

[[nodiscard]] LoweredInsn make_insn(Op op, u8 dst, u8 src, i32 off_or_target, i64 imm);
/// The zero-extending load of so many bits: 8, 16, 32 or 64.
[[nodiscard]] Op load_op(u32 bits);
/// True for operations whose target is an insn.
[[nodiscard]] bool has_insn_target(const LoweredInsn& insn);
/// True if its target is the first insn of a function, which it calls or points at.
[[nodiscard]] bool starts_function(const LoweredInsn& insn);
/// True if execution never goes on behind it.
[[nodiscard]] inline bool ends_block(Op op) { return op == Op::exit || op == Op::ja || op == Op::ja32; }

/// Calls visit() with the index of each insn of the placed program that execution may go on with. Calls of
/// sub-programs come back.
template<class Visit>
void for_successors(const LoweredProgram& program, u32 index, Visit visit) {
    const LoweredInsn& insn = program.insns()[index];
    const OpKind kind = info(insn.op).kind;
    if (!ends_block(insn.op) && index + 1 < program.insns().size()) visit(index + 1);
    if (kind == OpKind::jump || kind == OpKind::ja || kind == OpKind::may_goto)
        visit(static_cast<u32>(insn.target));
}

/// Appends what the verified insns mean. Dead ones mean nothing, and conditional jumps that always go one way
/// are jumps or nothing.
[[nodiscard]] Result<> translate(Draft& draft);

/// The access of a context field as one of XdpBuff; appended to `out`.
void rewrite_ctx_access(const Insn& insn, const InsnFacts& facts, u32 origin, std::vector<DraftInsn>& out);

} // namespace xdplane
