// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <cerrno>

#include "bpf/verifier/simulation.h"

namespace xdplane {
namespace {

constexpr i64 kFar = 1 << 29; // Linux's BPF_MAX_VAR_OFF

/// Bits that the number may have set: those of a narrower one survive a store of that width.
u32 width_of(const Range& range) { return 64 - static_cast<u32>(__builtin_clzll(range.wide.umax | 1)); }

} // namespace

/// The offsets [low, high) from the frame's top that the access may touch, all of them inside the frame.
bool Verifier::check_stack_bounds(const Access& access, i64& low, i64& high) {
    const RegState& r = reg(access.reg);
    const Bounds<u64>& var = r.var.wide;
    const char* what = access.write ? " write to" : " read from";
    const i64 off = r.off + access.off;
    const bool fixed = r.var.is_const();
    if (!fixed && (var.smin <= -kFar || var.smax >= kFar))
        return reject(EACCES, "invalid unbounded variable-offset{} stack R{}", what, access.reg);
    low = off + var.smin;
    high = off + var.smax + access.size;
    if (low >= -i64{kStackSize} && low < 0 && high <= 0) {
        note_stack_use(r.frame, low);
        (void)cur_->frames[r.frame].slot(slot_of(low)); // grows
        return true;
    }
    const int code = low < -i64{kStackSize} || low >= 0 ? EACCES : EINVAL;
    if (fixed) return reject(code, "invalid{} stack R{} off={} size={}", what, access.reg, low, access.size);
    return reject(code, "invalid variable-offset{} stack R{} var_off={} off={} size={}", what, access.reg,
                  tnum_text(r.var.bits), off, access.size);
}

void Verifier::note_stack_use(u32 frame, i64 low) {
    u32& depth = function_in(frame).stack_depth;
    const u32 needed = static_cast<u32>((-low + 7) / 8 * 8);
    depth = std::max(depth, needed);
}

/// Linux lets the privileged read what was never written. Here it then reads as zero: the engines clear such
/// a function's stack first.
void Verifier::note_uninit_read(u32 frame) { function_in(frame).reads_uninit_stack = true; }

/// Bytes [low, high) hold numbers, or (helpers of the privileged) anything: marks their slots as read.
bool Verifier::check_initialised(const Access& access, u32 index, i64 low, i64 high, bool scalars_only) {
    const Frame& owner = cur_->frames[index];
    const bool fixed = reg(access.reg).var.is_const();
    for (i64 off = low; off < high; ++off) {
        const Byte b = owner.byte(off);
        if (b == Byte::misc || b == Byte::zero) continue;
        if (b == Byte::invalid && privileged()) {
            note_uninit_read(index);
            continue;
        }
        if (b == Byte::spill) {
            const bool scalar = owner.slots[slot_of(off)].spilled.is_scalar();
            if (scalar || (privileged() && !scalars_only)) continue;
        }
        if (fixed && access.helper)
            return reject(EACCES, "invalid read from stack R{} off {}+{} size {}", access.reg, low, off - low,
                          access.size);
        if (fixed)
            return reject(EACCES, "invalid read from stack off {}+{} size {}", low, off - low, access.size);
        return reject(EACCES, "invalid read from stack R{} var_off {}+{} size {}", access.reg,
                      tnum_text(reg(access.reg).var.bits), off - low, access.size);
    }
    for (u32 s = slot_of(high - 1); s <= slot_of(low); ++s) mark_stack_read(index, s);
    return true;
}

/// A load from a slot that begins with a spilled register.
bool Verifier::read_spill(const Access& access, u32 index, u32 s, RegState& out) {
    const StackSlot& slot = cur_->frames[index].slots[s];
    const u32 spilled = slot.spill_size();
    if (!slot.spilled.is_scalar()) {
        if (access.size != 8) return reject(EACCES, "invalid size of register fill");
        out = slot.spilled;
        return true;
    }
    const auto note_fill = [&] {
        Step& step = cur_->steps.back();
        step.slot = static_cast<u8>(s);
        step.slot_frame = static_cast<u8>(index);
        note_history();
    };
    if (access.size == 8 && spilled == 8) {
        out = slot.spilled;
        note_fill();
        return true;
    }
    // Part of the number.
    out = RegState::scalar(range_truncate(slot.spilled.var, access.size * 8));
    if (width_of(slot.spilled.var) <= access.size * 8) {
        out.id = slot.spilled.id;
        out.off = slot.spilled.off;
        out.added = slot.spilled.added;
    }
    note_fill();
    return true;
}

bool Verifier::read_stack(const Access& access, RegState& out) {
    i64 low = 0;
    i64 high = 0;
    if (!check_stack_bounds(access, low, high)) return false;
    const u32 index = reg(access.reg).frame;
    const Frame& owner = cur_->frames[index];
    if (!reg(access.reg).var.is_const()) {
        if (!privileged())
            return reject(EACCES, "R{} variable stack access prohibited for !root, var_off={} off={}",
                          access.reg, tnum_text(reg(access.reg).var.bits), reg(access.reg).off + access.off);
        Access somewhere = access;
        somewhere.helper = true;
        if (!check_initialised(somewhere, index, low, high, false)) return false;
        // Somewhere in [low, high): the number is known only if all of it is zero.
        bool zeros = true;
        for (i64 off = low; off < high; ++off) zeros &= owner.byte(off) == Byte::zero;
        out = zeros ? RegState::constant(0) : RegState::scalar(Range::of_width(access.size * 8));
        return true;
    }
    const u32 s = slot_of(low);
    const StackSlot& slot = owner.slots[s];
    const u32 first = byte_of(low);
    mark_stack_read(index, s);
    touch_slots(low, high);
    if (slot.is_spill() && !slot.spilled.is_scalar()) return read_spill(access, index, s, out);
    if (slot.is_spill() && first == 0 && access.size <= slot.spill_size())
        return read_spill(access, index, s, out);
    if (!check_initialised(access, index, low, high, true)) return false;
    out = RegState::scalar(Range::of_width(access.size * 8));
    u32 zeros = 0;
    u32 spills = 0;
    for (u32 b = first; b < first + access.size; ++b) {
        zeros += slot.bytes[b] == Byte::zero ? 1 : 0;
        spills += slot.bytes[b] == Byte::spill ? 1 : 0;
    }
    if (zeros == access.size) out = RegState::constant(0);
    if (spills == access.size && slot.spilled.is_null()) {
        out = RegState::constant(0);
        Step& step = cur_->steps.back();
        step.slot = static_cast<u8>(s);
        step.slot_frame = static_cast<u8>(index);
        note_history();
    }
    return true;
}

/// A store at an offset that is not known: perhaps written, perhaps not.
bool Verifier::write_stack_somewhere(const Access& access, const RegState& value, i32 value_reg, i64 low,
                                     i64 high) {
    const u32 index = reg(access.reg).frame;
    Frame& owner = cur_->frames[index];
    if (!privileged())
        return reject(EACCES, "R{} variable stack access prohibited for !root, var_off={} off={}", access.reg,
                      tnum_text(reg(access.reg).var.bits), reg(access.reg).off + access.off);
    if (!destroy_objects(index, low, high)) return false;
    touch_slots(low, high);
    const bool zero = value.is_null();
    bool zero_used = false;
    for (i64 off = low; off < high; ++off) {
        StackSlot& slot = owner.slot(slot_of(off));
        Byte& b = slot.bytes[byte_of(off)];
        if (b == Byte::spill && zero && slot.spilled.is_null()) {
            zero_used = true;
            continue;
        }
        if (b == Byte::invalid) note_uninit_read(index);
        const bool stays_zero = zero && b == Byte::zero;
        zero_used |= stays_zero;
        if (slot.is_spill()) slot.scrub();
        b = stays_zero ? Byte::zero : Byte::misc;
    }
    if (zero_used && value_reg >= 0) mark_precise(static_cast<u32>(value_reg));
    return true;
}

bool Verifier::write_stack(const Access& access, const RegState* value, i32 value_reg, bool immediate) {
    i64 low = 0;
    i64 high = 0;
    if (!check_stack_bounds(access, low, high)) return false;
    const RegState& base = reg(access.reg);
    const u32 index = base.frame;
    if (!base.var.is_const()) return write_stack_somewhere(access, *value, value_reg, low, high);

    Frame& owner = cur_->frames[index];
    const u32 s = slot_of(low);
    StackSlot& slot = owner.slots[s];
    const u32 first = byte_of(low);
    if (!privileged() && slot.is_spill() && !slot.spilled.is_scalar() && access.size != 8)
        return reject(EACCES, "attempt to corrupt spilled pointer on stack");
    if (!destroy_objects(index, low, high)) return false;
    if (access.size == 8) owner.slots_written |= u64{1} << s;
    touch_slots(low, high);
    if (value->is_pointer()) {
        if (access.size != 8) return reject(EACCES, "invalid size of register spill");
        if (value->kind == RegKind::stack && index != cur_->frame_index())
            return reject(EINVAL, "cannot spill pointers to stack into stack frame of the caller");
    }

    const bool spills =
        first == 0 && (value->is_pointer() || (privileged() && (immediate || value_reg >= 0)));
    if (spills) {
        RegState kept = *value;
        if (value->is_scalar()) {
            const bool fits = width_of(value->var) <= access.size * 8;
            kept = RegState::scalar(range_truncate(value->var, access.size * 8));
            if (fits && value_reg >= 0) {
                RegState& source = reg(static_cast<u32>(value_reg));
                link_source(source);
                kept.id = source.id;
                kept.off = source.off;
                kept.added = source.added;
            }
            Step& step = cur_->steps.back();
            step.slot = static_cast<u8>(s);
            step.slot_frame = static_cast<u8>(index);
            note_history();
        }
        slot.spilled = kept;
        for (u32 b = 0; b < 8; ++b)
            if (b < access.size || slot.bytes[b] == Byte::spill)
                slot.bytes[b] = b < access.size ? Byte::spill : Byte::misc;
        return true;
    }
    if (slot.is_spill()) slot.scrub();
    Byte byte = Byte::misc;
    if (value->is_null()) {
        byte = Byte::zero;
        if (value_reg >= 0) mark_precise(static_cast<u32>(value_reg));
    }
    for (u32 b = first; b < first + access.size; ++b) slot.bytes[b] = byte;
    return true;
}

/// `access.size` bytes of stack that a helper reads or writes.
bool Verifier::check_helper_stack(const Access& access, Use use) {
    if (access.size == 0 && !access.zero_ok) return reject(EACCES, "invalid zero-sized read");
    i64 low = 0;
    i64 high = 0;
    if (!check_stack_bounds(access, low, high)) return false;
    const RegState& base = reg(access.reg);
    const u32 index = base.frame;
    const bool fixed = base.var.is_const();
    if (low == high) return true;
    Frame& owner = cur_->frames[index];
    if (!fixed && !privileged())
        return reject(EACCES, "R{} variable offset stack access prohibited for !root, var_off={}", access.reg,
                      tnum_text(base.var.bits));
    const bool fills = use == Use::write_uninit && fixed;
    if (fills) {
        for (i64 off = low; off < high; ++off)
            if (owner.byte(off) == Byte::dynptr)
                return reject(EACCES, "potential write to dynptr at off={} disallowed", off);
        if (!destroy_objects(index, low, high)) return false;
    } else if (!check_initialised(access, index, low, high, false)) {
        return false;
    }
    if (use == Use::read) return true;
    for (i64 off = low; off < high; ++off) {
        StackSlot& slot = owner.slots[slot_of(off)];
        if (slot.is_spill()) {
            if (!privileged() && !slot.spilled.is_scalar())
                return reject(EACCES, "attempt to corrupt spilled pointer on stack");
            slot.scrub();
        }
        slot.bytes[byte_of(off)] = Byte::misc;
    }
    if (!fixed) return true;
    touch_slots(low, high);
    for (u32 s = slot_of(high - 1); s <= slot_of(low); ++s) {
        const i64 slot_low = -8 * (i64{s} + 1);
        if (low <= slot_low && slot_low + 8 <= high) owner.slots_written |= u64{1} << s;
    }
    return true;
}

} // namespace xdplane
