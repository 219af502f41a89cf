// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <cerrno>

#include "bpf/verifier/simulation.h"

namespace xdplane {

/// The offsets [low, high) from the frame's top that the access may touch, all of them inside the frame.
bool Verifier::check_stack_bounds(const Access& access, i64& low, i64& high) {
    const RegState& r = reg(access.reg);
    const Bounds<u64>& var = r.var.wide;
    constexpr i64 kFar = 1 << 29;
    const i64 off = r.off + access.off;
    if (var.smin <= -kFar || var.smax >= kFar)
        return reject(EACCES, "invalid unbounded variable-offset {} stack R{}",
                      access.write ? "write to" : "read from", access.reg);
    low = off + var.smin;
    high = off + var.smax + access.size;
    if (low >= -i64{kStackSize} && high <= 0) {
        note_stack_use(r.frame, low);
        return true;
    }
    if (r.var.is_const())
        return reject(EACCES, "invalid {} stack R{} off={} size={}", access.write ? "write to" : "read from",
                      access.reg, low, access.size);
    return reject(EACCES, "invalid variable-offset {} stack R{} var_off=(0x{:x}; 0x{:x}) off={} size={}",
                  access.write ? "write to" : "read from", access.reg, r.var.bits.value, r.var.bits.mask, off,
                  access.size);
}

void Verifier::note_stack_use(u32 frame, i64 low) {
    u32& depth = functions_[cur_->frames[frame].function].stack_depth;
    const u32 needed = static_cast<u32>((-low + 7) / 8 * 8);
    depth = std::max(depth, needed);
}

/// Marks the slots of [low, high) as read; every byte must have been written.
bool Verifier::read_stack_bytes(u32 index, i64 low, i64 high, const Access& access) {
    const Frame& owner = cur_->frames[index];
    for (i64 off = low; off < high; ++off) {
        if (owner.byte(off) == Byte::invalid)
            return reject(EACCES, "invalid read from stack R{} off {}+{} size {}", access.reg, low, off - low,
                          high - low);
    }
    for (u32 s = slot_of(high - 1); s <= slot_of(low); ++s) mark_stack_read(index, s);
    return true;
}

bool Verifier::read_stack(const Access& access, RegState& out) {
    i64 low = 0;
    i64 high = 0;
    if (!check_stack_bounds(access, low, high)) return false;
    const u32 index = reg(access.reg).frame;
    const Frame& owner = cur_->frames[index];
    if (!read_stack_bytes(index, low, high, access)) return false;
    out = RegState::scalar(Range::of_width(access.size * 8));

    if (!reg(access.reg).var.is_const()) {
        // Somewhere in [low, high): the number is known only if all of it is zero.
        bool zeros = true;
        for (i64 off = low; off < high; ++off) zeros &= owner.byte(off) == Byte::zero;
        if (zeros) out = RegState::constant(0);
        return true;
    }
    const u32 s = slot_of(low);
    const StackSlot& slot = owner.slots[s];
    const u32 first = byte_of(low);
    if (slot.is_spill() && first < slot.spill_size()) {
        if (!slot.spilled.is_scalar()) {
            if (access.size != 8) return reject(EACCES, "invalid size of register fill");
            out = slot.spilled;
            return true;
        }
        if (first == 0 && access.size <= slot.spill_size()) {
            const Range moved = range_truncate(slot.spilled.var, access.size * 8);
            out = RegState::scalar(moved);
            if (moved == slot.spilled.var && slot.spilled.id != 0) {
                out.id = slot.spilled.id;
                out.off = slot.spilled.off;
            }
            Step& step = cur_->steps.back();
            step.slot = static_cast<u8>(s);
            step.slot_frame = static_cast<u8>(index);
            return true;
        }
    }
    bool zeros = true;
    for (u32 b = first; b < first + access.size; ++b) zeros &= slot.bytes[b] == Byte::zero;
    if (zeros) out = RegState::constant(0);
    return true;
}

bool Verifier::write_stack(const Access& access, const RegState* value, i32 value_reg, bool immediate) {
    i64 low = 0;
    i64 high = 0;
    if (!check_stack_bounds(access, low, high)) return false;
    const RegState& base = reg(access.reg);
    const u32 index = base.frame;
    Frame& owner = cur_->frames[index];
    (void)owner.slot(slot_of(low)); // grows

    if (!base.var.is_const()) {
        if (value->is_pointer() && value->kind == RegKind::stack && index != cur_->depth())
            return reject(EINVAL, "cannot spill pointers to stack into stack frame of the caller");
        for (i64 off = low; off < high; ++off) {
            StackSlot& slot = owner.slot(slot_of(off));
            // Perhaps written, perhaps not: what was known is lost, what was uninitialised stays so.
            if (slot.is_spill()) slot.scrub();
            Byte& b = slot.bytes[byte_of(off)];
            if (b == Byte::zero) b = Byte::misc;
        }
        return true;
    }

    const u32 s = slot_of(low);
    StackSlot& slot = owner.slots[s];
    const u32 first = byte_of(low);
    if (access.size == 8) owner.slots_written |= u64{1} << s;
    if (value->is_pointer() && access.size != 8) return reject(EACCES, "invalid size of register spill");
    if (value->kind == RegKind::stack && index != cur_->depth())
        return reject(EINVAL, "cannot spill pointers to stack into stack frame of the caller");
    if (slot.is_spill()) slot.scrub();

    const bool spills = first == 0 && (immediate || value_reg >= 0);
    if (spills) {
        slot.spilled = *value;
        if (value->is_scalar()) {
            RegState& kept = slot.spilled;
            kept = RegState::scalar(range_truncate(value->var, access.size * 8));
            if (value_reg >= 0 && kept.var == value->var && !kept.var.is_const()) {
                RegState& source = reg(static_cast<u32>(value_reg));
                if (source.id == 0) {
                    source.id = new_id();
                    source.off = 0;
                }
                kept.id = source.id;
                kept.off = source.off;
            }
            Step& step = cur_->steps.back();
            step.slot = static_cast<u8>(s);
            step.slot_frame = static_cast<u8>(index);
        }
        for (u32 b = 0; b < access.size; ++b) slot.bytes[b] = Byte::spill;
        return true;
    }
    Byte byte = Byte::misc;
    if (value->is_null()) {
        byte = Byte::zero;
        if (value_reg >= 0) mark_precise(static_cast<u32>(value_reg));
    }
    for (u32 b = first; b < first + access.size; ++b) slot.bytes[b] = byte;
    return true;
}

bool Verifier::check_helper_stack(const Access& access, Use use) {
    i64 low = 0;
    i64 high = 0;
    if (!check_stack_bounds(access, low, high)) return false;
    const RegState& base = reg(access.reg);
    const u32 index = base.frame;
    const bool fixed = base.var.is_const();
    Frame& owner = cur_->frames[index];
    (void)owner.slot(slot_of(low));
    if (use != Use::write_uninit || !fixed) {
        for (i64 off = low; off < high; ++off)
            if (owner.byte(off) == Byte::invalid)
                return reject(EACCES, "invalid {}read from stack R{} off {}+{} size {}",
                              fixed ? "indirect " : "variable-offset indirect ", access.reg, low, off - low,
                              access.size);
        for (u32 s = slot_of(high - 1); s <= slot_of(low); ++s) mark_stack_read(index, s);
    }
    if (use == Use::read) return true;
    for (i64 off = low; off < high; ++off) {
        StackSlot& slot = owner.slots[slot_of(off)];
        if (slot.is_spill()) slot.scrub();
        slot.bytes[byte_of(off)] = Byte::misc;
    }
    if (!fixed) return true;
    for (u32 s = slot_of(high - 1); s <= slot_of(low); ++s) {
        const i64 slot_low = -8 * (i64{s} + 1);
        if (low <= slot_low && slot_low + 8 <= high) owner.slots_written |= u64{1} << s;
    }
    return true;
}

} // namespace xdplane
