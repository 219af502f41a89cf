// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <cerrno>

#include "bpf/verifier/simulation.h"

/// Objects that helpers keep in the program's stack: dynptrs (two slots) and open-coded iterators (one).
namespace xdplane {
namespace {

constexpr u32 kDynptrSlots = 2;

/// "iter_num" of "bpf_iter_num_new".
std::string_view iterator_name(const HelperProto& helper) {
    std::string_view name = helper.name;
    if (name.starts_with("bpf_")) name.remove_prefix(4);
    return name.substr(0, name.rfind('_'));
}

void fill(StackSlot& slot, Byte byte, const RegState& state) {
    slot.bytes.fill(byte);
    slot.spilled = state;
}

} // namespace

/// `slots` whole slots of the stack that the register points at: `first` is the one with the lowest address.
bool Verifier::check_object_stack(u32 number, u32 slots, u32& frame_index, u32& first, const char* what) {
    const RegState& r = reg(number);
    if (!r.var.is_const()) return reject(EINVAL, "{} has to be at a constant offset", what);
    const i64 off = r.off + static_cast<i64>(r.var.value());
    if (off % 8 != 0) return reject(EINVAL, "cannot pass in {} at an offset={}", what, off);
    if (off < -i64{kStackSize})
        return reject(EACCES, "invalid write to stack R{} off={} size=8", number, off);
    if (off >= 0 || off + i64{slots} * 8 > 0)
        return reject(EINVAL, "cannot pass in {} at an offset={}", what, off);
    frame_index = r.frame;
    first = slot_of(off);
    note_stack_use(r.frame, off);
    (void)cur_->frames[r.frame].slot(first);
    return true;
}

/// Slices of the dynptr are no longer valid.
void Verifier::invalidate_dynptr(u32 frame_index, u32 slot) {
    Frame& owner = cur_->frames[frame_index];
    const RegState& state = owner.slots[slot].spilled;
    const u32 low = state.first_slot ? slot : slot + 1;
    const u32 id = state.uid;
    for (u32 s = low - 1; s <= low; ++s) {
        owner.slots[s].bytes.fill(Byte::invalid);
        owner.slots[s].spilled = RegState{};
        owner.slots_written |= u64{1} << s;
    }
    for_each_reg(*cur_, [&](RegState& r) {
        if (r.kind == RegKind::mem && id != 0 && r.dynptr_id == id)
            r = privileged() ? RegState::unknown() : RegState{};
    });
}

bool Verifier::destroy_objects(u32 frame_index, i64 low, i64 high) {
    if (low >= high) return true;
    Frame& owner = cur_->frames[frame_index];
    (void)owner.slot(slot_of(low));
    for (u32 s = slot_of(high - 1); s <= slot_of(low); ++s) {
        StackSlot& slot = owner.slots[s];
        if (slot.bytes[0] == Byte::iter) {
            slot.scrub();
            continue;
        }
        if (slot.bytes[0] != Byte::dynptr) continue;
        if (slot.spilled.ref != 0) return reject(EINVAL, "cannot overwrite referenced dynptr");
        invalidate_dynptr(frame_index, s);
    }
    return true;
}

bool Verifier::make_dynptr(u32 number, DynptrKind kind, u32 ref, bool read_only) {
    u32 owner = 0;
    u32 low = 0;
    if (!check_object_stack(number, kDynptrSlots, owner, low, "dynptr")) return false;
    const i64 off = -8 * (i64{low} + 1);
    if (!destroy_objects(owner, off, off + 16)) return false;
    RegState state = RegState::pointer(RegKind::dynptr);
    state.dynptr = kind;
    state.ref = ref;
    state.uid = new_id();
    state.read_only = read_only;
    Frame& frame = cur_->frames[owner];
    state.first_slot = true;
    fill(frame.slots[low], Byte::dynptr, state);
    state.first_slot = false;
    fill(frame.slots[low - 1], Byte::dynptr, state);
    frame.slots_written |= u64{3} << (low - 1);
    if (owner == cur_->frame_index()) touched_slots_ |= u64{3} << (low - 1);
    return true;
}

/// An initialised dynptr, on the stack or handed to a function.
bool Verifier::check_dynptr(u32 number, bool ringbuf_only, CallArguments& args) {
    const RegState& r = reg(number);
    const RegState* state = &r;
    if (ringbuf_only && r.kind == RegKind::dynptr)
        return reject(EINVAL, "cannot release unowned const bpf_dynptr");
    if (r.kind == RegKind::stack) {
        u32 owner = 0;
        u32 low = 0;
        if (!check_object_stack(number, kDynptrSlots, owner, low, "dynptr")) return false;
        const Frame& frame = cur_->frames[owner];
        const bool whole = frame.slots[low].bytes[0] == Byte::dynptr && frame.slots[low].spilled.first_slot &&
                           low >= 1 && frame.slots[low - 1].bytes[0] == Byte::dynptr &&
                           !frame.slots[low - 1].spilled.first_slot;
        if (ringbuf_only && (!whole || frame.slots[low].spilled.ref == 0))
            return reject(EINVAL, "arg {} is an unacquired reference", number);
        if (!whole) return reject(EINVAL, "Expected an initialized dynptr as arg #{}", number - 1);
        state = &frame.slots[low].spilled;
        mark_stack_read(owner, low);
        mark_stack_read(owner, low - 1);
    } else if (r.kind != RegKind::dynptr) {
        return reject(EINVAL, "R{} type={} expected=fp, dynptr_ptr", number, kind_name(r));
    }
    if (ringbuf_only && state->dynptr != DynptrKind::ringbuf)
        return reject(EINVAL, "Expected a dynptr of type ringbuf as arg #{}", number - 1);
    args.dynptr_id = state->uid;
    args.dynptr_ref = state->ref;
    args.dynptr = state->dynptr;
    args.dynptr_read_only = state->read_only;
    return true;
}

/// bpf_ringbuf_submit_dynptr and _discard_dynptr: the record is gone, and every dynptr and slice of it.
bool Verifier::release_dynptr(u32 number) {
    u32 owner = 0;
    u32 low = 0;
    if (!check_object_stack(number, kDynptrSlots, owner, low, "dynptr")) return false;
    const u32 ref = cur_->frames[owner].slots[low].spilled.ref;
    forget_reference(*cur_, ref);
    for (u32 f = 0; f < cur_->frames.size(); ++f)
        for (u32 s = 0; s < cur_->frames[f].slots.size(); ++s)
            if (cur_->frames[f].slots[s].bytes[0] == Byte::dynptr &&
                cur_->frames[f].slots[s].spilled.ref == ref)
                invalidate_dynptr(f, s);
    return true;
}

/// Stack where a dynptr can be made.
bool Verifier::check_new_dynptr(u32 number) {
    u32 owner = 0;
    u32 low = 0;
    if (!check_object_stack(number, kDynptrSlots, owner, low, "dynptr")) return false;
    for (u32 s = low - 1; s <= low; ++s)
        if (cur_->frames[owner].slots[s].bytes[0] == Byte::iter)
            return reject(EINVAL, "Dynptr has to be an uninitialized dynptr");
    return true;
}

/// The iterator argument of a kernel function: uninitialised stack to make one, or one that was made.
bool Verifier::check_iterator(const HelperProto& helper, u32 number, CallArguments& args) {
    const u32 slots = helper.iterator_size / 8;
    const std::string_view name = iterator_name(helper);
    u32 owner = 0;
    u32 low = 0;
    if (!check_object_stack(number, slots, owner, low, "iter")) return false;
    args.iterator_frame = owner;
    args.iterator_slot = low;
    Frame& frame = cur_->frames[owner];
    if (helper.iterator == IteratorUse::make) {
        for (u32 s = low + 1 - slots; s <= low; ++s)
            if (frame.slots[s].bytes[0] == Byte::iter)
                return reject(EINVAL, "expected uninitialized {} as arg #{}", name, number - 1);
        const i64 top = -8 * i64{low} + 8 * (i64{slots} - 1);
        if (!destroy_objects(owner, -8 * (i64{low} + 1), top)) return false;
        RegState state = RegState::pointer(RegKind::iter);
        state.iter = IterState::active;
        const u32 ref = acquire(Reference::Kind::object);
        for (u32 s = low + 1 - slots; s <= low; ++s) {
            state.first_slot = s == low;
            state.ref = s == low ? ref : 0;
            fill(frame.slots[s], Byte::iter, state);
            if (owner == cur_->frame_index()) touched_slots_ |= u64{1} << s;
            frame.slots_written |= u64{1} << s;
        }
        return true;
    }
    if (frame.slots[low].bytes[0] != Byte::iter || !frame.slots[low].spilled.first_slot)
        return reject(EINVAL, "expected an initialized {} as arg #{}", name, number - 1);
    for (u32 s = low + 1 - slots; s <= low; ++s) mark_stack_read(owner, s);
    if (helper.iterator != IteratorUse::destroy) return true;
    const u32 ref = frame.slots[low].spilled.ref;
    for (u32 s = low + 1 - slots; s <= low; ++s) {
        frame.slots[s].bytes.fill(Byte::invalid);
        frame.slots[s].spilled = RegState{};
        frame.slots_written |= u64{1} << s;
    }
    forget_reference(*cur_, ref);
    return true;
}

/// The next element: a path on which there is one, with the iterator active, and this one, on which it has
/// come to its end.
bool Verifier::step_iterator(const CallArguments& args, const RegState& element) {
    const auto slot_in = [&](State& state) -> RegState& {
        return state.frames[args.iterator_frame].slots[args.iterator_slot].spilled;
    };
    if (slot_in(*cur_).iter == IterState::active) {
        State* other = push_pending(insn_ + 1, State(*cur_));
        if (other == nullptr) return false;
        ++slot_in(*other).uid;
        other->top().regs[R0] = element;
        other->top().regs[R0].or_null = false;
        other->top().regs[R0].id = 0;
        if (cur_->parent != nullptr)
            if (const State* before = previous_round(*cur_->parent, insn_)) widen_imprecise(*before, *other);
    }
    slot_in(*cur_).iter = IterState::drained;
    set_reg(R0, RegState::constant(0));
    return true;
}

bool Verifier::iterator_active(const RegState& pointer) const {
    if (pointer.kind != RegKind::stack || !pointer.var.is_const()) return false;
    const u32 s = slot_of(pointer.off + static_cast<i64>(pointer.var.value()));
    const Frame& owner = cur_->frames[pointer.frame];
    return s < owner.slots.size() && owner.slots[s].bytes[0] == Byte::iter &&
           owner.slots[s].spilled.iter == IterState::active;
}

/// True if an iterator of the old state has made another number of rounds since: not the same state again.
bool Verifier::iterator_depths_differ(const State& old, const State& cur) {
    for (std::size_t f = 0; f < old.frames.size(); ++f) {
        const auto& before = old.frames[f].slots;
        const auto& now = cur.frames[f].slots;
        for (std::size_t s = 0; s < std::min(before.size(), now.size()); ++s) {
            if (before[s].bytes[0] != Byte::iter || before[s].spilled.iter != IterState::active) continue;
            if (now[s].bytes[0] != Byte::iter || now[s].spilled.uid != before[s].spilled.uid) return true;
        }
    }
    return false;
}

} // namespace xdplane
