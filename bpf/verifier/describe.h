// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "bpf/verifier/state.h"

/// Registers, stack slots and frames as Linux 6.18 prints them in its log: pure functions from data to text,
/// compared with the running kernel by tests/differential/verifier_values_test.cpp.
namespace xdplane {

/// What Linux prints of one register, in its order; fields that are 0 are left out.
struct RegView {
    std::string_view type; ///< "scalar", "pkt", "map_value_or_null", "sock", "ringbuf_mem"...
    enum class Shape : u8 { scalar, stack, pointer } shape = Shape::pointer;
    bool precise = false; ///< scalars: "P" in front
    u32 id = 0;
    bool linked = false; ///< scalars with an id: off is the distance to the number of that id, "id=1+4"
    i32 off = 0;         ///< fixed part of a pointer's offset
    u32 ref_obj_id = 0;
    struct MapView {
        std::string_view name;
        u32 key_size = 0;
        u32 value_size = 0;
    };
    const MapView* map = nullptr;
    bool has_range = false; ///< packet pointers: "r=" is printed, also if it is 0
    i64 range = 0;
    bool has_size = false; ///< memory: "sz="
    u32 size = 0;
    std::string_view dynptr;    ///< "dynptr_ptr(type=local)": the argument of a callback or global function
    i32 frame = -1;             ///< stack: the frame pointed into if it is not the printed one: "fp[0]-8"
    const Range* var = nullptr; ///< a scalar's number, or the variable part of an offset
};
[[nodiscard]] std::string describe(const RegView& reg);

/// "scalar(umax=255,var_off=(0x0; 0xff))", "pkt(id=1,off=14,r=14)", "fp-8", "7". `frame` is the index of the
/// frame that is printed; `precise` puts the mark of a scalar that its path relies on.
[[nodiscard]] std::string describe(const RegState& reg, u32 frame, bool precise = false);

/// "pkt", "map_value_or_null": Linux's name of a register's kind.
[[nodiscard]] std::string kind_name(const RegState& reg);

/// "smin=0,smax=umax=255,var_off=(0x0; 0xff)": only what is not the widest. Appends a comma first if `out`
/// does not end in '('.
void describe_range(const Range& range, std::string& out);

/// "(0x0; 0xff)", or "0x8" if every bit is known, as rejections have it.
[[nodiscard]] std::string tnum_text(const Tnum& bits);

/// A stack slot: "fp-8=mmmm0000", "fp-16=fp-8", "fp-24=????scalar(...)"; empty if no byte of it was written.
[[nodiscard]] std::string describe_slot(const StackSlot& slot, u32 index, u32 frame, bool precise = false);

/// A dynptr of two stack slots, `index` the upper one's (the lower number):
/// "fp-24=dynptr_ringbuf(id=1,ref_id=2, dynptr_id=1)". `type` is "local", "ringbuf", "skb" or "xdp"; ids that
/// are 0 are left out.
[[nodiscard]] std::string describe_dynptr(u32 index, std::string_view type, u32 id, u32 ref_id,
                                          u32 dynptr_id);

/// Which parts of a frame to print.
struct FrameParts {
    u32 regs = (1U << kRegisters) - 1; ///< a bit each
    u64 slots = ~u64{0};
};
/// What is true of the whole state or the frame's function.
struct FrameNotes {
    std::span<const u32> refs; ///< ids of acquired references, oldest first
    bool in_callback = false;
    bool in_async_callback = false;
};
/// " R0=0 R10=fp0 fp-8=7 refs=2", " frame1: R1=ctx()": begins with a space, unless nothing is to be said.
/// `index` is the frame's, 0 for the main program's.
[[nodiscard]] std::string describe_frame(const Frame& frame, u32 index, const FrameParts& parts = {},
                                         const FrameNotes& notes = {});

/// Spaces between an instruction of `length` characters and the "; R1=..." behind it.
[[nodiscard]] std::size_t state_padding(std::size_t length);

} // namespace xdplane
