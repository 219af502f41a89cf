// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <cerrno>

#include "bpf/lower/draft.h"

namespace xdplane {
namespace {

/// In this order; a pass is added by a row.
constexpr Pass kPasses[] = {
    drop_jumps_to_next,
};

} // namespace

u32 Draft::find(u32 verified_index) const {
    const auto found = std::ranges::lower_bound(insns, verified_index, {}, &DraftInsn::origin);
    return static_cast<u32>(found - insns.begin());
}

void drop_jumps_to_next(Draft& draft) {
    draft.erase_if([&](u32 i) {
        const LoweredInsn& insn = draft.insns[i].insn;
        if (insn.op != Op::ja) return false;
        const u32 target = static_cast<u32>(insn.target);
        // Everything between the jump and its target is gone if what follows has the target's origin or a
        // later one. The same insn may be the target of the jump only if it loops.
        return target > draft.insns[i].origin && i + 1 < draft.insns.size() &&
               draft.insns[i + 1].origin >= target;
    });
}

/// Places a draft: verified indices become lowered ones.
class Lowering {
public:
    static Result<LoweredProgram> run(const VerifiedProgram& verified) {
        Draft draft{verified, {}};
        if (Result<> translated = translate(draft); !translated) return fail(translated.error(), "lower");
        for (const Pass pass : kPasses) pass(draft);

        LoweredProgram program;
        program.type_ = &verified.type();
        program.maps_ = verified.maps();
        program.writes_packet_ = verified.writes_packet();
        if (Result<> placed = place(draft, program); !placed) return fail(placed.error(), "lower");
        return program;
    }

private:
    /// The target of a tail call may call any helper.
    static bool needs_context(const Draft& draft, const DraftInsn& entry) {
        if (entry.insn.op == Op::tail_call) return true;
        const HelperProto* helper = draft.program.facts()[entry.origin].helper;
        return entry.insn.op == Op::call_helper && (helper == nullptr || helper->needs_context);
    }

    static Result<> place(const Draft& draft, LoweredProgram& program) {
        const u32 size = static_cast<u32>(draft.insns.size());
        program.insns_.reserve(size);
        program.origins_.reserve(size);
        for (const FunctionFacts& function : draft.program.functions()) {
            const u32 begin = draft.find(function.begin);
            const u32 end = draft.find(function.end);
            if (begin == end) continue; // never called
            LoweredFunction& lowered = program.functions_.emplace_back();
            lowered.begin = begin;
            lowered.end = end;
            lowered.stack_depth = function.stack_depth;
            lowered.is_callback = function.is_callback;
            lowered.tail_calls =
                std::any_of(draft.insns.begin() + begin, draft.insns.begin() + end,
                            [](const DraftInsn& insn) { return insn.insn.op == Op::tail_call; });
        }
        for (const DraftInsn& entry : draft.insns) {
            LoweredInsn insn = entry.insn;
            if (has_insn_target(insn)) {
                const u32 target = insn.target < 0 ? size : draft.find(static_cast<u32>(insn.target));
                if (target >= size) return fail(EINVAL, "insn {}: jump out of range", entry.origin);
                insn.target = static_cast<i32>(target);
            }
            program.tail_calls_ |= insn.op == Op::tail_call;
            program.needs_context_ |= needs_context(draft, entry);
            program.insns_.push_back(insn);
            program.origins_.push_back(entry.origin);
        }
        if (program.functions_.empty() || program.functions_.front().begin != 0)
            return fail(EINVAL, "the program has no first insn");
        return {};
    }
};

Result<LoweredProgram> lower(const VerifiedProgram& program) { return Lowering::run(program); }

} // namespace xdplane
