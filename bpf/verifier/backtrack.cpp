// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/verifier/backtrack.h"

#include <fmt/format.h>
#include <optional>

#include "bpf/isa/register_use.h"
#include "bpf/verifier/simulation.h"

/// Precision: a checkpoint's number matters to a comparison only if its bounds, or bounds computed from it,
/// decided something on a path from there. Found by walking back from the decision.
namespace xdplane {
/// Linked numbers learnt from each other at this jump.
void Wanted::join_links(const Step& step, const std::vector<Link>& links) {
    bool one = false;
    for (u32 i = step.links; i < step.links_end && !one; ++i) {
        const Link& link = links[i];
        one = link.is_slot ? (slots[link.frame] >> link.index & 1) != 0
                           : (regs[link.frame] >> link.index & 1) != 0;
    }
    if (!one) return;
    for (u32 i = step.links; i < step.links_end; ++i) {
        const Link& link = links[i];
        if (link.is_slot)
            slots[link.frame] |= u64{1} << link.index;
        else
            regs[link.frame] |= register_bit(link.index);
    }
}

void Wanted::step_back(const Step& step, const std::vector<Link>& links, const OpcodeInfo& row,
                       const Insn& insn) {
    join_links(step, links);
    const u32 f = step.frame;
    u16& here = regs[f];
    const u16 dst = register_bit(insn.dst);
    const u16 src = register_bit(insn.src);
    switch (row.kind) {
    case OpKind::alu: {
        if ((here & dst) == 0) break;
        const bool replaces = row.code == Code::mov || row.code == Code::movsx8 ||
                              row.code == Code::movsx16 || row.code == Code::movsx32;
        if (replaces) here &= static_cast<u16>(~dst);
        if (row.operand == Operand::reg) here |= src;
        break;
    }
    case OpKind::endian: break; // of what is known of dst, bit by bit
    case OpKind::ld_imm64: here &= static_cast<u16>(~dst); break;
    case OpKind::ldx:
    case OpKind::load_acquire:
        if ((here & dst) == 0) break;
        here &= static_cast<u16>(~dst);
        if (step.slot != Step::kNoSlot) slots[step.slot_frame] |= u64{1} << step.slot;
        break;
    case OpKind::st:
    case OpKind::stx:
    case OpKind::store_release:
        if (step.slot == Step::kNoSlot) break;
        if ((slots[step.slot_frame] >> step.slot & 1) == 0) break;
        slots[step.slot_frame] &= ~(u64{1} << step.slot);
        if (row.kind != OpKind::st) here |= src;
        break;
    case OpKind::atomic: {
        if (row.operand != Operand::fetch) break;
        const u16 fetched = row.code == Code::cmpxchg ? register_bit(R0) : src;
        if ((here & fetched) == 0) break;
        here &= static_cast<u16>(~fetched);
        if (step.slot != Step::kNoSlot) slots[step.slot_frame] |= u64{1} << step.slot;
        break;
    }
    case OpKind::jump:
        if (row.operand == Operand::reg && (here & (dst | src)) != 0) here |= dst | src;
        break;
    case OpKind::call:
        if (step.callback) {
            // Into the callback: it got no number of the caller's, whose own registers are as they were.
            if (f + 1 >= kMaxCallFrames) break;
            regs[f + 1] = 0;
            slots[f + 1] = 0;
            break;
        }
        here &= static_cast<u16>(~kCallerSaved);
        if (insn.src == kCallLocal && !step.skipped) {
            if (f + 1 >= kMaxCallFrames) break;
            here |= regs[f + 1] & kArguments;
            regs[f + 1] = 0;
            slots[f + 1] = 0;
        } else if (step.abnormal && f > 0) {
            // A tail call that came back to the caller with a number of its own.
            here = 0;
            slots[f] = 0;
            regs[f - 1] &= static_cast<u16>(~kCallerSaved);
        }
        break;
    case OpKind::exit:
        if (f == 0) break;
        slots[f] = 0;
        here = 0;
        if (step.callback) break; // back to the call, where nothing has changed
        here = regs[f - 1] & register_bit(R0);
        regs[f - 1] &= static_cast<u16>(~kCallerSaved);
        break;
    case OpKind::ld_abs:
    case OpKind::ld_ind:
        here &= static_cast<u16>(~kCallerSaved);
        if (!step.abnormal || f == 0) break;
        here = 0;
        slots[f] = 0;
        regs[f - 1] &= static_cast<u16>(~kCallerSaved);
        break;
    case OpKind::may_goto:
    case OpKind::ja:
    case OpKind::lowered: break;
    }
    regs[f] &= static_cast<u16>(~register_bit(R10));
    join_links(step, links);
}

bool Wanted::mark(State& checkpoint) {
    bool changed = false;
    for (u32 f = 0; f < kMaxCallFrames; ++f) {
        if (f >= checkpoint.frames.size()) {
            regs[f] = 0;
            slots[f] = 0;
            continue;
        }
        Frame& frame = checkpoint.frames[f];
        for (u32 r = 0; r < kRegisters; ++r)
            if ((regs[f] >> r & 1) != 0 && !frame.regs[r].is_scalar())
                regs[f] &= static_cast<u16>(~register_bit(r));
        regs[f] &= static_cast<u16>(~frame.regs_precise);
        frame.regs_precise |= regs[f];
        for (u64 left = slots[f]; left != 0; left &= left - 1) {
            const u32 s = static_cast<u32>(__builtin_ctzll(left));
            if (s >= frame.slots.size() || !frame.slots[s].holds_scalar()) slots[f] &= ~(u64{1} << s);
        }
        slots[f] &= ~frame.slots_precise;
        frame.slots_precise |= slots[f];
        changed |= regs[f] != 0 || slots[f] != 0;
    }
    return changed;
}

namespace {

/// Says how it goes, in Linux's words: the stretch of a path, what is wanted before each of its insns, and of
/// the checkpoint in front of it.
class WalkLog {
public:
    explicit WalkLog(std::string& text) : text_(text) {}

    void stretch(const State& state) {
        if (state.steps.empty()) return;
        frame_ = state.steps.back().frame;
        const i64 first = state.steps.front().insn;
        text_ += fmt::format("mark_precise: frame{}: last_idx {} first_idx {} subseq_idx {} \n", frame_,
                             state.steps.back().insn, first, subsequent_);
        subsequent_ = first;
    }
    void step(const Wanted& wanted, const Step& step, const std::string& insn) {
        text_ += fmt::format("mark_precise: frame{}: {} before {}: {}\n", frame_, masks(wanted, frame_),
                             step.insn, insn);
        frame_ = step.frame;
    }
    void checkpoint(const Wanted& wanted, const State& state, const std::string& frame_text, u32 frame) {
        if (frame < state.frames.size())
            text_ += fmt::format("mark_precise: frame{}: parent state {}: {}\n", frame, masks(wanted, frame),
                                 frame_text);
    }

private:
    static std::string masks(const Wanted& wanted, u32 frame) {
        std::string regs;
        std::string slots;
        for (u32 r = 0; r < kRegisters; ++r)
            if ((wanted.regs[frame] >> r & 1) != 0) regs += fmt::format("{}r{}", regs.empty() ? "" : ",", r);
        for (u32 s = 0; s < 64; ++s)
            if ((wanted.slots[frame] >> s & 1) != 0)
                slots += fmt::format("{}-{}", slots.empty() ? "" : ",", (s + 1) * 8);
        return fmt::format("regs={} stack={}", regs, slots);
    }

    std::string& text_;
    u32 frame_ = 0;
    i64 subsequent_ = -1; ///< first insn of what runs after the stretch
};

} // namespace

/// Returns whether a mark was new.
bool Verifier::backtrack(State& path, Wanted& wanted, bool skip_last) {
    bool changed = false;
    std::optional<WalkLog> log;
    if (logging_all()) log.emplace(log_.text);
    for (State* state = &path;;) {
        std::size_t left = state->steps.size();
        if (skip_last && left > 0) --left;
        skip_last = false;
        if (log && wanted.any()) log->stretch(*state);
        while (left > 0) {
            if (!wanted.any()) return changed;
            const Step& step = state->steps[--left];
            if (log) log->step(wanted, step, insn_text(step.insn));
            wanted.step_back(step, state->links, info(flow_.ops[step.insn]), insn_at(step.insn));
        }
        if (state->parent == nullptr) return changed;
        state = state->parent;
        const bool marked = wanted.mark(*state);
        if (log)
            log->checkpoint(wanted, *state, state_text(*state, state->frame_index()), state->frame_index());
        if (!marked) return changed;
        changed = true;
    }
}

void Verifier::mark_precise(u32 index) {
    if (!privileged() || !reg(index).is_scalar()) return;
    end_log_line();
    Wanted wanted;
    wanted.regs[cur_->frame_index()] = register_bit(index);
    (void)backtrack(*cur_, wanted, true);
}

void Verifier::mark_slot_precise(u32 frame, u32 slot) {
    if (!privileged()) return;
    Wanted wanted;
    wanted.slots[frame] = u64{1} << slot;
    (void)backtrack(*cur_, wanted, true);
}

} // namespace xdplane
