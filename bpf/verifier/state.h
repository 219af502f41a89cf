// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <array>
#include <vector>

#include "bpf/helpers/helper.h"
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
    map_key,
    stack,
    packet,
    packet_meta,
    packet_end,
    mem, ///< memory of mem_size bytes
    sock,
    sock_common,
    tcp_sock,
    xdp_sock,
    func,   ///< a sub-program's address; its index is in `uid`
    dynptr, ///< in slots: one of the two of a dynptr; in registers: a dynptr that the program did not make
    iter,   ///< only in slots: an open-coded iterator
};

enum class IterState : u8 { none, active, drained };

/// A register, or what was spilled from one. A pointer is its base + off + a number in var.
struct RegState {
    /// `range` of a packet pointer that a comparison left at, or behind, data_end.
    static constexpr i32 kAtEnd = -1;
    static constexpr i32 kBeyondEnd = -2;

    RegKind kind = RegKind::not_init;
    bool or_null = false;    ///< pointers: may be null instead; all of the same id are null or none is
    bool read_only = false;  ///< mem
    bool ringbuf = false;    ///< mem: a record of a ring buffer
    bool of_packet = false;  ///< mem: a slice of the packet
    bool inner = false;      ///< map_ptr, map_value: `map` is only the template of what an outer map holds
    bool first_slot = false; ///< dynptr in a slot: the lower half
    u8 frame = 0;            ///< stack: index of the frame it points into
    DynptrKind dynptr = DynptrKind::none;
    IterState iter = IterState::none;
    /// Scalars with an id: 0, or the width (32 or 64) of the addition that made the number differ from that
    /// of the id by off.
    u8 added = 0;
    /// Pointers: the fixed part of the offset. Scalars with an id: the number is that of every other scalar
    /// with the same id and off 0, plus off.
    i32 off = 0;
    /// 0: none. Scalars: linked with others of the same id. Packet pointers: the variable part that range
    /// counts from. or_null pointers: what a null check settles.
    u32 id = 0;
    u32 ref = 0;   ///< the reference that it stands for, or that keeps it alive (Linux's ref_obj_id)
    i32 range = 0; ///< packet, packet_meta: bytes from base + var that are inside the packet; or kAtEnd...
    u32 mem_size = 0;
    u32 uid =
        0; ///< map_ptr, map_value of an inner map: which one; func: function; dynptr: its id; iter: depth
    u32 dynptr_id = 0;  ///< mem: the dynptr that it is a slice of
    Map* map = nullptr; ///< map_ptr, map_value, map_key
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
    [[nodiscard]] bool is_socket() const { return kind >= RegKind::sock && kind <= RegKind::xdp_sock; }
    /// Base and fixed part of the offset alone, both as they were handed out.
    [[nodiscard]] bool unmodified() const { return off == 0 && var.is_const() && var.value() == 0; }

    friend bool operator==(const RegState&, const RegState&) = default;
};

enum class Byte : u8 {
    invalid, ///< never written
    misc,    ///< some number
    zero,
    spill, ///< part of StackSlot::spilled
    dynptr,
    iter,
};

/// 8 bytes of stack. Spills start at the slot's first byte; scalars may fill 1, 2, 4 or all 8 bytes.
struct StackSlot {
    std::array<Byte, 8> bytes{};
    RegState spilled; ///< if bytes[0] is spill, dynptr or iter

    [[nodiscard]] bool is_spill() const { return bytes[0] == Byte::spill; }
    [[nodiscard]] bool is_object() const { return bytes[0] == Byte::dynptr || bytes[0] == Byte::iter; }
    [[nodiscard]] u32 spill_size() const;
    [[nodiscard]] bool holds_scalar() const { return is_spill() && spilled.is_scalar(); }
    /// Forgets what the slot held: bytes that were written become misc, zeros too (as on Linux).
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

    bool in_callback = false;
    bool in_async_callback = false;
    i32 return_min = 0; ///< callbacks: legal r0 at exit
    i32 return_max = 0;
    u32 callback_depth = 0; ///< rounds of the callback that the current call was seen to make
    u32 async_entries = 0;  ///< how many asynchronous callbacks led here

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
    bool callback = false;        ///< a call that went into its callback, or the exit of one
    bool skipped = false;         ///< a call of a global function, which is verified on its own
    bool abnormal = false;        ///< a tail call or legacy load that left its sub-program
    u32 links = 0, links_end = 0; ///< range in State::links: scalars that were linked at a jump
};

/// A linked scalar: register or slot `index` of `frame`.
struct Link {
    u8 frame;
    bool is_slot;
    u8 index;
};

/// Something that every path must give back.
struct Reference {
    enum class Kind : u8 { object, lock };
    Kind kind = Kind::object;
    u32 id = 0;
    u32 insn = 0;             ///< that acquired it
    const void* of = nullptr; ///< lock: the map
    friend bool operator==(const Reference&, const Reference&) = default;
};

struct State {
    std::vector<Frame> frames;
    std::vector<Reference> refs;
    u32 locks = 0;           ///< spin locks held
    u32 rcu_locks = 0;       ///< bpf_rcu_read_lock sections
    u32 preempt_off = 0;     ///< bpf_preempt_disable sections
    State* parent = nullptr; ///< the checkpoint that this path passed last
    u32 branches = 0;        ///< checkpoints: paths from here that are not finished
    u32 depth = 0;           ///< checkpoints before it
    u32 insn = 0;
    u32 may_goto_depth = 0;
    u32 callback_unroll_depth = 0;
    /// Checkpoints: a path from here came back to this one, which is not finished: the marks are not
    /// complete.
    State* open_loop = nullptr;
    std::vector<Step> steps; ///< since parent
    std::vector<Link> links;
    u64 history_at = 0; ///< Verifier::processed_ at its last entry
    u32 history = 0;    ///< entries that Linux's jump history would have since parent

    State() = default;
    struct Marks {};
    /// A checkpoint of it: all but the way there.
    State(const State& from, Marks);
    State(const State&) = default;
    State& operator=(State&&) = default;
    State(State&&) = default;

    /// Bytes of memory that it takes, about.
    [[nodiscard]] u64 bytes() const;
    [[nodiscard]] Frame& top() { return frames.back(); }
    [[nodiscard]] const Frame& top() const { return frames.back(); }
    [[nodiscard]] u8 frame_index() const { return static_cast<u8>(frames.size() - 1); }
    [[nodiscard]] bool marks_incomplete() const { return open_loop != nullptr && open_loop->branches > 0; }
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
    covers, ///< whatever is safe from `old` on is safe from `cur` on, as far as old's marks tell
    within, ///< the same without looking at marks: every number counts
    exact,  ///< the same state: a loop that changes nothing
};
struct CompareContext {
    const std::vector<u16>& live; ///< by insn: registers that may be read from there on
    bool privileged;              ///< uninitialised stack may be read
};
[[nodiscard]] bool states_match(const State& old, const State& cur, const CompareContext& context,
                                Compare how);
[[nodiscard]] bool same_call_sites(const State& a, const State& b);

/// Numbers that changed from `old` to `cur`, and that nobody relied on yet, become any number: so loops
/// through callbacks and iterators come to an end (Linux's widen_imprecise_scalars).
void widen_imprecise(const State& old, State& cur);

} // namespace xdplane
