// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/verifier/state.h"

#include <algorithm>
#include <utility>

namespace xdplane {
namespace {

/// Which id of the old state stands for which of the current one. Ids are only names: what matters is who
/// shares one, so the pairing must be one to one.
class IdPairs {
public:
    bool pair(u32 old_id, u32 cur_id) {
        if (old_id == 0 && cur_id == 0) return true;
        if (old_id == 0 || cur_id == 0) return false;
        for (const auto& [o, c] : pairs_) {
            if (o == old_id) return c == cur_id;
            if (c == cur_id) return false;
        }
        pairs_.emplace_back(old_id, cur_id);
        return true;
    }
    /// Scalars: a number without an id is linked with itself alone.
    bool pair_scalars(u32 old_id, u32 cur_id) {
        if (old_id == 0) old_id = --alone_;
        if (cur_id == 0) cur_id = --alone_;
        return pair(old_id, cur_id);
    }

private:
    std::vector<std::pair<u32, u32>> pairs_;
    u32 alone_ = 0;
};

bool range_covers(i32 old, i32 cur) {
    if (old < 0 || cur < 0) return old == cur;
    return old <= cur;
}

/// Compares two states, slot by slot.
class Comparison {
public:
    Comparison(const CompareContext& context, Compare how) : context_(context), how_(how) {}

    bool references(const State& old, const State& cur) {
        if (old.locks != cur.locks || old.rcu_locks != cur.rcu_locks || old.preempt_off != cur.preempt_off)
            return false;
        if (old.refs.size() != cur.refs.size()) return false;
        for (std::size_t i = 0; i < old.refs.size(); ++i) {
            if (old.refs[i].kind != cur.refs[i].kind || old.refs[i].of != cur.refs[i].of) return false;
            if (!ids_.pair(old.refs[i].id, cur.refs[i].id)) return false;
        }
        return true;
    }

    bool frame(const Frame& old, const Frame& cur, u16 live) {
        if (old.callback_depth > cur.callback_depth) return false;
        for (u32 r = 0; r < kRegisters; ++r)
            if ((live >> r & 1) != 0 && !reg(old.regs[r], cur.regs[r], (old.regs_precise >> r & 1) != 0))
                return false;
        if (how_ == Compare::exact && old.slots.size() != cur.slots.size()) return false;
        static const StackSlot kUntouched;
        for (u32 s = 0; s < old.slots.size(); ++s) {
            if (how_ == Compare::covers && (old.slots_read >> s & 1) == 0) continue;
            const StackSlot& other = s < cur.slots.size() ? cur.slots[s] : kUntouched;
            if (!slot(old.slots[s], other, (old.slots_precise >> s & 1) != 0)) return false;
        }
        return true;
    }

private:
    bool equal(const RegState& old, const RegState& cur) {
        RegState renamed = cur;
        renamed.id = old.id;
        renamed.ref = old.ref;
        return old == renamed && ids_.pair(old.id, cur.id) && ids_.pair(old.ref, cur.ref);
    }

    bool scalar(const RegState& old, const RegState& cur, bool precise) {
        if (!precise && context_.privileged && how_ == Compare::covers) return true;
        if (!old.var.contains(cur.var)) return false;
        // Links count only where the old state has some; both sides then refine alike.
        if (old.id == 0) return ids_.pair_scalars(0, cur.id);
        return old.off == cur.off && old.added == cur.added && ids_.pair_scalars(old.id, cur.id);
    }

    bool reg(const RegState& old, const RegState& cur, bool precise) {
        if (how_ == Compare::exact) return equal(old, cur);
        if (old.kind == RegKind::not_init) return true;
        if (old.kind != cur.kind || old.or_null != cur.or_null) return false;
        switch (old.kind) {
        case RegKind::scalar: return scalar(old, cur, precise);
        case RegKind::map_value:
        case RegKind::map_key:
        case RegKind::mem:
            return old.map == cur.map && old.inner == cur.inner && old.uid == cur.uid &&
                   old.mem_size == cur.mem_size && old.read_only == cur.read_only &&
                   old.ringbuf == cur.ringbuf && old.off == cur.off && old.var.contains(cur.var) &&
                   ids_.pair(old.id, cur.id) && ids_.pair(old.ref, cur.ref);
        case RegKind::packet:
        case RegKind::packet_meta:
            return old.off == cur.off && range_covers(old.range, cur.range) && old.var.contains(cur.var) &&
                   ids_.pair(old.id, cur.id);
        default: return equal(old, cur);
        }
    }

    bool byte(Byte old, Byte cur) const {
        if (how_ == Compare::exact) return old == cur;
        if (old == Byte::invalid) return true;
        if (old == Byte::misc) return context_.privileged || (cur != Byte::invalid && cur != Byte::spill);
        return old == cur;
    }

    /// A slot whose 8 bytes may be read as one number.
    static const RegState* number(const StackSlot& slot) {
        static const RegState kAnything = RegState::unknown();
        if (slot.holds_scalar() && slot.spill_size() == 8) return &slot.spilled;
        const bool misc = std::ranges::all_of(slot.bytes, [](Byte b) { return b == Byte::misc; });
        return misc ? &kAnything : nullptr;
    }

    bool slot(const StackSlot& old, const StackSlot& cur, bool precise) {
        if (how_ != Compare::exact) {
            const RegState* a = number(old);
            const RegState* b = number(cur);
            if (a != nullptr && b != nullptr) return reg(*a, *b, precise);
        }
        for (u32 i = 0; i < 8; ++i)
            if (!byte(old.bytes[i], cur.bytes[i])) return false;
        if (old.is_spill()) return cur.is_spill() && reg(old.spilled, cur.spilled, precise);
        if (old.bytes[0] == Byte::dynptr)
            return old.spilled.dynptr == cur.spilled.dynptr &&
                   old.spilled.first_slot == cur.spilled.first_slot &&
                   ids_.pair(old.spilled.ref, cur.spilled.ref);
        // The depth of an iterator tells rounds apart and nothing else.
        if (old.bytes[0] == Byte::iter)
            return old.spilled.first_slot == cur.spilled.first_slot && old.spilled.iter == cur.spilled.iter &&
                   ids_.pair(old.spilled.ref, cur.spilled.ref);
        return true;
    }

    const CompareContext& context_;
    Compare how_;
    IdPairs ids_;
};

void widen(const RegState& old, RegState& cur, bool precise) {
    if (!old.is_scalar() || !cur.is_scalar() || precise) return;
    // An id is only a name here: that of a scalar on two rounds says nothing of their being the same.
    if (old.var == cur.var && (old.id == 0) == (cur.id == 0) && old.off == cur.off && old.added == cur.added)
        return;
    cur = RegState::unknown();
}

} // namespace

State::State(const State& from, Marks)
    : frames(from.frames),
      refs(from.refs),
      locks(from.locks),
      rcu_locks(from.rcu_locks),
      preempt_off(from.preempt_off),
      parent(from.parent),
      depth(from.depth),
      insn(from.insn),
      may_goto_depth(from.may_goto_depth),
      callback_unroll_depth(from.callback_unroll_depth) {}

u64 State::bytes() const {
    u64 total = sizeof(State) + frames.size() * sizeof(Frame) + steps.size() * sizeof(Step);
    for (const Frame& frame : frames) total += frame.slots.size() * sizeof(StackSlot);
    return total;
}

u32 StackSlot::spill_size() const {
    u32 n = 0;
    while (n < 8 && bytes[n] == Byte::spill) ++n;
    return n;
}

void StackSlot::scrub() {
    for (Byte& b : bytes)
        if (b != Byte::invalid) b = Byte::misc;
    spilled = RegState{};
}

bool same_call_sites(const State& a, const State& b) {
    if (a.frames.size() != b.frames.size()) return false;
    for (std::size_t f = 0; f < a.frames.size(); ++f)
        if (a.frames[f].call_site != b.frames[f].call_site) return false;
    return true;
}

bool states_match(const State& old, const State& cur, const CompareContext& context, Compare how) {
    if (!same_call_sites(old, cur)) return false;
    Comparison comparison(context, how);
    if (!comparison.references(old, cur)) return false;
    for (std::size_t f = 0; f < old.frames.size(); ++f) {
        const bool top = f + 1 == old.frames.size();
        // In frames below the top only what the callee must keep is still there after the return; a callback
        // goes back to its call, which reads its arguments again.
        const u32 at = top ? cur.insn : static_cast<u32>(cur.frames[f + 1].call_site);
        if (!comparison.frame(old.frames[f], cur.frames[f], context.live[at])) return false;
    }
    return true;
}

void widen_imprecise(const State& old, State& cur) {
    for (std::size_t f = 0; f < std::min(old.frames.size(), cur.frames.size()); ++f) {
        const Frame& from = old.frames[f];
        Frame& to = cur.frames[f];
        for (u32 r = 0; r < kRegisters; ++r)
            widen(from.regs[r], to.regs[r], (from.regs_precise >> r & 1) != 0);
        for (std::size_t s = 0; s < std::min(from.slots.size(), to.slots.size()); ++s)
            if (from.slots[s].is_spill() && to.slots[s].is_spill())
                widen(from.slots[s].spilled, to.slots[s].spilled, (from.slots_precise >> s & 1) != 0);
    }
}

} // namespace xdplane
