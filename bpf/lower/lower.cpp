// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <cerrno>

#include "bpf/lower/draft.h"
#include "bpf/lower/flat.h"
#include "bpf/lower/lookup_keys.h"
#include "bpf/lower/slice.h"
#include "bpf/lower/split.h"

namespace xdplane {
namespace {

/// In this order; a pass is added by a row.
constexpr Pass kPasses[] = {
    combine_loads,
    drop_idle,
    drop_map_addresses,
    drop_jumps_to_next,
};

/// Of the count of may_goto on the stack.
constexpr u32 kBudgetSize = 8;

} // namespace

u32 Draft::find(u32 verified_index) const {
    const auto found = std::ranges::lower_bound(insns, verified_index, {}, &DraftInsn::origin);
    return static_cast<u32>(found - insns.begin());
}

std::vector<bool> jump_targets(const Draft& draft) {
    std::vector<bool> targets(draft.insns.size() + 1);
    for (const DraftInsn& entry : draft.insns)
        if (has_insn_target(entry.insn) && entry.insn.target >= 0)
            targets[draft.find(static_cast<u32>(entry.insn.target))] = true;
    for (const FunctionFacts& function : draft.program.functions())
        targets[draft.find(function.begin)] = true;
    return targets;
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
        std::optional<Slice> ahead = slice(draft);
        Result<LoweredProgram> program = finish(draft);
        if (!program) return program;
        program->split_ = find_split(*program);
        program->flat_ = find_flat(*program);
        if (!ahead) return program;
        Result<LoweredProgram> runs_ahead = finish(ahead->draft);
        if (!runs_ahead) return fail(runs_ahead.error(), "slice");
        runs_ahead->sites_ = std::move(ahead->sites);
        program->slice_ = std::make_shared<LoweredProgram>(std::move(*runs_ahead));
        return program;
    }

private:
    static Result<LoweredProgram> finish(Draft& draft) {
        for (const Pass pass : kPasses) pass(draft);
        LoweredProgram program;
        program.type_ = &draft.program.type();
        program.maps_ = draft.program.maps();
        program.writes_packet_ = draft.program.writes_packet();
        program.context_use_ = find_context_use(draft);
        if (Result<> placed = place(draft, program); !placed) return fail(placed.error(), "lower");
        program.keys_ = find_lookup_keys(program, draft.program);
        return program;
    }

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
            lowered.zero_stack = function.reads_uninit_stack && lowered.stack_depth > 0;
            const auto has = [&](Op op) {
                return std::any_of(draft.insns.begin() + begin, draft.insns.begin() + end,
                                   [op](const DraftInsn& insn) { return insn.insn.op == op; });
            };
            lowered.tail_calls = has(Op::tail_call);
            lowered.loop_budget = has(Op::may_goto);
            if (lowered.loop_budget) lowered.stack_depth += kBudgetSize;
        }
        return place_insns(draft, program);
    }

    static Result<> place_insns(const Draft& draft, LoweredProgram& program) {
        const u32 size = static_cast<u32>(draft.insns.size());
        auto function = program.functions_.begin();
        for (const DraftInsn& entry : draft.insns) {
            LoweredInsn insn = entry.insn;
            if (has_insn_target(insn)) {
                const u32 target = insn.target < 0 ? size : draft.find(static_cast<u32>(insn.target));
                if (target >= size) return fail(EINVAL, "insn {}: jump out of range", entry.origin);
                insn.target = static_cast<i32>(target);
                if (starts_function(insn)) {
                    if (target == 0) return fail(EINVAL, "insn {}: call of the main program", entry.origin);
                    const auto callee =
                        std::ranges::lower_bound(program.functions_, target, {}, &LoweredFunction::begin);
                    if (callee == program.functions_.end() || callee->begin != target)
                        return fail(EINVAL, "insn {}: call into the middle of a function", entry.origin);
                    insn.imm = callee - program.functions_.begin();
                }
            }
            while (function != program.functions_.end() && function->end <= program.insns_.size()) ++function;
            if (insn.op == Op::may_goto) {
                if (function == program.functions_.end())
                    return fail(EINVAL, "insn {}: may_goto outside of all functions", entry.origin);
                insn.imm = -i64{function->stack_depth};
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

const LookupKey* LoweredProgram::key_of(u32 insn) const {
    const auto found = std::ranges::lower_bound(keys_, insn, {}, &LookupKey::insn);
    return found != keys_.end() && found->insn == insn ? &*found : nullptr;
}

Result<LoweredProgram> lower(const VerifiedProgram& program) { return Lowering::run(program); }

} // namespace xdplane
