// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/verifier/state.h"

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

bool scalar_covers(const RegState& old, const RegState& cur, bool precise, IdPairs& ids) {
    if (!precise) return true;
    if (!old.var.contains(cur.var)) return false;
    // Links count only where the old state has some; both sides then refine alike.
    if (old.id == 0) return ids.pair_scalars(0, cur.id);
    return old.off == cur.off && ids.pair_scalars(old.id, cur.id);
}

bool reg_covers(const RegState& old, const RegState& cur, bool precise, IdPairs& ids) {
    if (old.kind == RegKind::not_init) return true;
    if (old.kind != cur.kind || old.or_null != cur.or_null) return false;
    switch (old.kind) {
    case RegKind::scalar: return scalar_covers(old, cur, precise, ids);
    case RegKind::map_value:
    case RegKind::mem:
        return old.map == cur.map && old.mem_size == cur.mem_size && old.off == cur.off &&
               old.var.contains(cur.var) && ids.pair(old.id, cur.id);
    case RegKind::packet:
    case RegKind::packet_meta:
        return old.off == cur.off && old.range <= cur.range && old.var.contains(cur.var) &&
               ids.pair(old.id, cur.id);
    case RegKind::stack: return old.frame == cur.frame && old.off == cur.off && old.var.contains(cur.var);
    default: return old == cur;
    }
}

bool reg_equals(const RegState& old, const RegState& cur, IdPairs& ids) {
    RegState renamed = cur;
    renamed.id = old.id;
    return old == renamed && ids.pair(old.id, cur.id);
}

bool byte_covers(Byte old, Byte cur) {
    if (old == Byte::invalid) return true;
    if (old == cur) return true;
    return old == Byte::misc && cur != Byte::invalid;
}

bool slot_covers(const StackSlot& old, const StackSlot& cur, bool precise, IdPairs& ids) {
    if (old.is_spill()) {
        if (!cur.is_spill() || old.spill_size() != cur.spill_size()) return false;
        if (!reg_covers(old.spilled, cur.spilled, precise, ids)) return false;
    } else if (cur.is_spill() && !cur.spilled.is_scalar()) {
        // A number on one path and a pointer on the other: allowed only where nobody reads it.
        for (const Byte b : old.bytes)
            if (b != Byte::invalid) return false;
    }
    for (u32 i = 0; i < 8; ++i)
        if (old.bytes[i] != Byte::spill && !byte_covers(old.bytes[i], cur.bytes[i])) return false;
    return true;
}

bool frame_covers(const Frame& old, const Frame& cur, u16 live, IdPairs& ids) {
    for (u32 r = 0; r < kRegisters; ++r)
        if ((live >> r & 1) != 0 &&
            !reg_covers(old.regs[r], cur.regs[r], (old.regs_precise >> r & 1) != 0, ids))
            return false;
    static const StackSlot kUntouched;
    for (u32 s = 0; s < old.slots.size(); ++s) {
        if ((old.slots_read >> s & 1) == 0) continue;
        const StackSlot& other = s < cur.slots.size() ? cur.slots[s] : kUntouched;
        if (!slot_covers(old.slots[s], other, (old.slots_precise >> s & 1) != 0, ids)) return false;
    }
    return true;
}

bool frame_equals(const Frame& old, const Frame& cur, u16 live, IdPairs& ids) {
    for (u32 r = 0; r < kRegisters; ++r)
        if ((live >> r & 1) != 0 && !reg_equals(old.regs[r], cur.regs[r], ids)) return false;
    if (old.slots.size() != cur.slots.size()) return false;
    for (u32 s = 0; s < old.slots.size(); ++s) {
        if (old.slots[s].bytes != cur.slots[s].bytes) return false;
        if (old.slots[s].is_spill() && !reg_equals(old.slots[s].spilled, cur.slots[s].spilled, ids))
            return false;
    }
    return true;
}

} // namespace

u32 StackSlot::spill_size() const {
    u32 n = 0;
    while (n < 8 && bytes[n] == Byte::spill) ++n;
    return n;
}

void StackSlot::scrub() {
    for (Byte& b : bytes)
        if (b == Byte::spill) b = Byte::misc;
    spilled = RegState{};
}

bool states_match(const State& old, const State& cur, const std::vector<u16>& live, Compare how) {
    if (old.frames.size() != cur.frames.size()) return false;
    for (std::size_t f = 0; f < old.frames.size(); ++f)
        if (old.frames[f].call_site != cur.frames[f].call_site) return false;
    IdPairs ids;
    for (std::size_t f = 0; f < old.frames.size(); ++f) {
        const bool top = f + 1 == old.frames.size();
        // In frames below the top only what the callee must keep is still there after the return.
        const u16 alive =
            top ? live[cur.insn] : live[static_cast<u32>(cur.frames[f + 1].call_site) + 1] & 0x07c0;
        const bool match = how == Compare::exact ? frame_equals(old.frames[f], cur.frames[f], alive, ids)
                                                 : frame_covers(old.frames[f], cur.frames[f], alive, ids);
        if (!match) return false;
    }
    return true;
}

} // namespace xdplane
