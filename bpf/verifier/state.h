// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <array>
#include <vector>

#include "bpf/verifier/range.h"

/// What is known at one point of one path: registers, stack and frames. Plain values, copied at branches.
namespace xdplane {

class Map;

enum class RegKind : u8 {
    not_init,
    scalar,
    ctx,
    map_ptr,
    map_value,
    stack,
    packet,
    packet_meta,
    packet_end,
    mem, ///< memory of mem_size bytes
};

/// A register, or what was spilled from one. A pointer is its base + off + a number in var.
struct RegState {
    RegKind kind = RegKind::not_init;
    bool or_null = false; ///< pointers: may be null instead; all of the same id are null or none is
    u8 frame = 0;         ///< stack: index of the frame it points into
    /// Pointers: the fixed part of the offset. Scalars with an id: the number is that of every other scalar
    /// with the same id and off 0, plus off.
    i32 off = 0;
    /// 0: none. Scalars: linked with others of the same id. Packet pointers: the variable part that range
    /// counts from. or_null pointers: what a null check settles.
    u32 id = 0;
    u32 range = 0; ///< packet, packet_meta: bytes from base + var that are inside the packet
    u32 mem_size = 0;
    Map* map = nullptr; ///< map_ptr, map_value
    Range var;          ///< scalars: the number

    [[nodiscard]] static RegState scalar(const Range& range) {
        RegState r;
        r.kind = RegKind::scalar;
        r.var = range;
        return r;
    }
    [[nodiscard]] static RegState constant(u64 v) { return scalar(Range::constant(v)); }
    [[nodiscard]] static RegState unknown() { return scalar(Range::unknown()); }
    [[nodiscard]] static RegState pointer(RegKind kind) {
        RegState r;
        r.kind = kind;
        r.var = Range::constant(0);
        return r;
    }

    [[nodiscard]] bool is_scalar() const { return kind == RegKind::scalar; }
    [[nodiscard]] bool is_pointer() const { return kind > RegKind::scalar; }
    [[nodiscard]] bool is_const() const { return is_scalar() && var.is_const(); }
    [[nodiscard]] bool is_null() const { return is_const() && var.value() == 0; }
    [[nodiscard]] bool in_packet() const { return kind == RegKind::packet || kind == RegKind::packet_meta; }

    friend bool operator==(const RegState&, const RegState&) = default;
};

enum class Byte : u8 {
    invalid, ///< never written
    misc,    ///< some number
    zero,
    spill, ///< part of StackSlot::spilled
};

/// 8 bytes of stack. Spills start at the slot's first byte; scalars may fill 1, 2, 4 or all 8 bytes.
struct StackSlot {
    std::array<Byte, 8> bytes{};
    RegState spilled; ///< if bytes[0] is spill

    [[nodiscard]] bool is_spill() const { return bytes[0] == Byte::spill; }
    [[nodiscard]] u32 spill_size() const;
    [[nodiscard]] bool holds_scalar() const { return is_spill() && spilled.is_scalar(); }
    /// Forgets the spilled register: its bytes become misc.
    void scrub();
};
inline constexpr u32 kSlots = kStackSize / 8;

/// Slot 0 holds offsets -8 to -1.
[[nodiscard]] inline u32 slot_of(i64 off) { return static_cast<u32>((-off - 1) / 8); }
[[nodiscard]] inline u32 byte_of(i64 off) { return static_cast<u32>(off & 7); }

struct Frame {
    std::array<RegState, kRegisters> regs;
    std::vector<StackSlot> slots; ///< as many as were touched
    u32 function = 0;
    i32 call_site = -1; ///< the call insn in the frame before; -1: main

    // Marks of the state that the frame is part of, for pruning. A bit per slot or register.
    u64 slots_read = 0;    ///< checkpoints: read by what follows, before it was written
    u64 slots_written = 0; ///< wholly written since the state before
    u64 slots_precise = 0; ///< checkpoints: scalars whose bounds what follows relies on
    u16 regs_precise = 0;

    [[nodiscard]] StackSlot& slot(u32 index) {
        if (index >= slots.size()) slots.resize(index + 1);
        return slots[index];
    }
    [[nodiscard]] Byte byte(i64 off) const {
        const u32 index = slot_of(off);
        return index < slots.size() ? slots[index].bytes[byte_of(off)] : Byte::invalid;
    }
};

/// One simulated insn, for walking back along a path.
struct Step {
    static constexpr u8 kNoSlot = 255;
    u32 insn = 0;
    u8 frame = 0;                 ///< in which it ran
    u8 slot_frame = 0;            ///< of the spill or fill, if slot is set
    u8 slot = kNoSlot;            ///< a spill or fill that moved a whole scalar
    u32 links = 0, links_end = 0; ///< range in State::links: scalars that were linked at a jump
};

/// A linked scalar: register or slot `index` of `frame`.
struct Link {
    u8 frame;
    bool is_slot;
    u8 index;
};

struct State {
    std::vector<Frame> frames;
    State* parent = nullptr; ///< the checkpoint that this path passed last
    u32 branches = 0;        ///< checkpoints: paths from here that are not finished
    u32 insn = 0;
    std::vector<Step> steps; ///< since parent
    std::vector<Link> links;

    [[nodiscard]] Frame& top() { return frames.back(); }
    [[nodiscard]] const Frame& top() const { return frames.back(); }
    [[nodiscard]] u8 depth() const { return static_cast<u8>(frames.size() - 1); }
};

/// Calls f(RegState&) for each register and spilled register of every frame.
template<class F>
void for_each_reg(State& state, F&& f) {
    for (Frame& frame : state.frames) {
        for (RegState& reg : frame.regs) f(reg);
        for (StackSlot& slot : frame.slots)
            if (slot.is_spill()) f(slot.spilled);
    }
}

enum class Compare : u8 {
    covers, ///< whatever is safe from `old` on is safe from `cur` on
    exact,  ///< the same state: a loop that changes nothing
};
/// `live` gives the registers that may be read from an insn on.
[[nodiscard]] bool states_match(const State& old, const State& cur, const std::vector<u16>& live,
                                Compare how);

} // namespace xdplane
