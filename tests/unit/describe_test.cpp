// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/verifier/describe.h"

#include <gtest/gtest.h>

/// Texts that Linux 6.18 prints for these registers, slots and frames.
namespace xdplane {
namespace {

Range masked(u64 mask) { return range_alu(Code::and_, 64, Range::unknown(), Range::constant(mask)); }

struct ScalarRow {
    Range range;
    const char* text;
};

TEST(Describe, Scalars) {
    const Range sign = range_alu(Code::arsh, 64, Range::unknown(), Range::constant(63));
    const ScalarRow rows[] = {
        {Range::unknown(), "scalar()"},
        {Range::constant(0), "0"},
        {Range::constant(32767), "32767"},
        {Range::constant(32768), "0x8000"},
        {Range::constant(~u64{0}), "-1"},
        {Range::constant(static_cast<u64>(-32768)), "-32768"},
        {Range::constant(static_cast<u64>(-32769)), "0xffffffffffff7fff"},
        {Range::of_width(8), "scalar(smin=smin32=0,smax=umax=smax32=umax32=255,var_off=(0x0; 0xff))"},
        {Range::of_width(16), "scalar(smin=smin32=0,smax=umax=smax32=umax32=0xffff,var_off=(0x0; 0xffff))"},
        {Range::of_width(32), "scalar(smin=0,smax=umax=0xffffffff,var_off=(0x0; 0xffffffff))"},
        {range_sign_extend(Range::unknown(), 8), "scalar(smin=smin32=-128,smax=smax32=127)"},
        {range_sign_extend(Range::unknown(), 32), "scalar(smin=0xffffffff80000000,smax=0x7fffffff)"},
        {masked(u64{0xffffffff} << 32),
         "scalar(smax=0x7fffffff00000000,umax=0xffffffff00000000,smin32=0,smax32=umax32=0,var_off=(0x0; "
         "0xffffffff00000000))"},
        {sign, "scalar(smin=smin32=-1,smax=smax32=0)"},
        {range_alu(Code::sub, 64, Range::of_width(32), Range::constant(3)),
         "scalar(smin=-3,smax=0xfffffffc)"},
        // The 32-bit bound is not sign-extended where it is printed in hex.
        {range_alu(Code::sub, 64, sign, Range::constant(40000)),
         "scalar(smin=0xffffffffffff63bf,smax=0xffffffffffff63c0,umin=0xffffffffffff63bf,umax="
         "0xffffffffffff63c0,smin32=umin32=0xffff63bf,smax32=umax32=0xffff63c0,var_off=(0xffffffffffff6380; "
         "0x7f))"},
    };
    for (const ScalarRow& row : rows) EXPECT_EQ(describe(RegState::scalar(row.range), 0), row.text);
    EXPECT_EQ(describe(RegState::constant(5), 0, true), "P5");
    EXPECT_EQ(describe(RegState::unknown(), 0, true), "Pscalar()");
}

TEST(Describe, LinksOfScalars) {
    RegState reg = RegState::unknown();
    reg.id = 3;
    EXPECT_EQ(describe(reg, 0), "scalar(id=3)");
    reg.added = 64;
    EXPECT_EQ(describe(reg, 0), "scalar(id=3+0)");
    reg.off = -4;
    EXPECT_EQ(describe(reg, 0), "scalar(id=3-4)");
    reg.var = Range::of_width(8);
    reg.off = 7;
    EXPECT_EQ(describe(reg, 0),
              "scalar(id=3+7,smin=smin32=0,smax=umax=smax32=umax32=255,var_off=(0x0; 0xff))");
    reg.var = Range::constant(9);
    EXPECT_EQ(describe(reg, 0), "9");
}

TEST(Describe, Pointers) {
    RegState reg = RegState::pointer(RegKind::ctx);
    EXPECT_EQ(describe(reg, 0), "ctx()");
    reg.off = 4;
    EXPECT_EQ(describe(reg, 0), "ctx(off=4)");
    reg = RegState::pointer(RegKind::packet_end);
    EXPECT_EQ(describe(reg, 0), "pkt_end()");
    reg = RegState::pointer(RegKind::packet);
    EXPECT_EQ(describe(reg, 0), "pkt(r=0)");
    reg.id = 1;
    reg.off = 3;
    reg.range = 70000;
    reg.var = Range::of_width(16);
    EXPECT_EQ(describe(reg, 0),
              "pkt(id=1,off=3,r=0x11170,smin=smin32=0,smax=umax=smax32=umax32=0xffff,var_off=(0x0; 0xffff))");
    reg = RegState::pointer(RegKind::mem);
    reg.or_null = true;
    reg.id = 2;
    reg.mem_size = 8;
    EXPECT_EQ(describe(reg, 0), "mem_or_null(id=2,sz=8)");
    EXPECT_EQ(kind_name(reg), "mem_or_null");
}

TEST(Describe, StackPointers) {
    RegState reg = RegState::pointer(RegKind::stack);
    EXPECT_EQ(describe(reg, 0), "fp0");
    reg.off = -8;
    EXPECT_EQ(describe(reg, 0), "fp-8");
    EXPECT_EQ(describe(reg, 1), "fp[0]-8");
    reg.frame = 1;
    EXPECT_EQ(describe(reg, 1), "fp-8");
    reg.var = masked(7);
    EXPECT_EQ(describe(reg, 1), "fp(off=-8,smin=smin32=0,smax=umax=smax32=umax32=7,var_off=(0x0; 0x7))");
}

/// Kinds that carry what RegState has no field for.
TEST(Describe, Views) {
    const Range zero = Range::constant(0);
    const RegView::MapView map{"array", 4, 64};
    const RegView::MapView nameless{"", 4, 64};
    const struct {
        RegView view;
        const char* text;
    } rows[] = {
        {{.type = "sock_or_null", .id = 2, .ref_obj_id = 2, .var = &zero}, "sock_or_null(id=2,ref_obj_id=2)"},
        {{.type = "sock_common", .var = &zero}, "sock_common()"},
        {{.type = "func"}, "func()"},
        {{.type = "map_key", .map = &map}, "map_key(map=array,ks=4,vs=64)"},
        {{.type = "map_value", .off = 100000, .map = &map}, "map_value(map=array,ks=4,vs=64,off=0x186a0)"},
        {{.type = "map_value", .off = -100000, .map = &nameless},
         "map_value(ks=4,vs=64,off=0xfffffffffffe7960)"},
        {{.type = "ringbuf_mem", .off = 8, .ref_obj_id = 2, .has_size = true, .size = 100000, .var = &zero},
         "ringbuf_mem(ref_obj_id=2,off=8,sz=0x186a0)"},
        {{.type = "dynptr_ptr", .dynptr = "local"}, "dynptr_ptr(type=local)"},
    };
    for (const auto& row : rows) EXPECT_EQ(describe(row.view), row.text);
    EXPECT_EQ(describe_dynptr(1, "ringbuf", 1, 2, 1), "fp-24=dynptr_ringbuf(id=1,ref_id=2,dynptr_id=1)");
    EXPECT_EQ(describe_dynptr(0, "local", 1, 0, 1), "fp-16=dynptr_local(id=1,dynptr_id=1)");
}

StackSlot slot_of_bytes(std::initializer_list<Byte> from_the_lowest) {
    StackSlot slot;
    std::copy(from_the_lowest.begin(), from_the_lowest.end(), slot.bytes.begin());
    return slot;
}

TEST(Describe, StackSlots) {
    constexpr Byte kNone = Byte::invalid;
    constexpr Byte kMisc = Byte::misc;
    constexpr Byte kZero = Byte::zero;
    constexpr Byte kSpill = Byte::spill;
    EXPECT_EQ(describe_slot({}, 0, 0), "");
    EXPECT_EQ(describe_slot(slot_of_bytes({kZero, kNone, kNone, kNone, kZero, kZero}), 2, 0),
              "fp-24=??00???0");
    StackSlot slot = slot_of_bytes({kMisc, kMisc, kMisc, kMisc, kZero, kZero, kZero, kZero});
    EXPECT_EQ(describe_slot(slot, 1, 0), "fp-16=0000mmmm");
    slot = slot_of_bytes({kSpill, kSpill, kSpill, kSpill});
    slot.spilled = RegState::constant(5);
    EXPECT_EQ(describe_slot(slot, 1, 0), "fp-16=????5");
    EXPECT_EQ(describe_slot(slot, 1, 0, true), "fp-16=????P5");
    slot = slot_of_bytes({kSpill, kMisc, kMisc, kMisc, kMisc, kMisc, kMisc, kMisc});
    slot.spilled = RegState::unknown();
    EXPECT_EQ(describe_slot(slot, 0, 0), "fp-8=mmmmmmmscalar()");
    slot.bytes.fill(kSpill);
    slot.spilled = RegState::pointer(RegKind::stack);
    slot.spilled.off = -8;
    EXPECT_EQ(describe_slot(slot, 0, 0), "fp-8=fp-8");
    EXPECT_EQ(describe_slot(slot, 0, 1), "fp-8=fp[0]-8");
}

TEST(Describe, Frames) {
    Frame frame;
    frame.regs[R0] = RegState::constant(7);
    frame.regs[R1] = RegState::pointer(RegKind::ctx);
    frame.regs[R10] = RegState::pointer(RegKind::stack);
    frame.regs[R10].frame = 1;
    frame.slot(1).bytes.fill(Byte::zero);
    frame.slot(2).bytes.fill(Byte::misc);
    EXPECT_EQ(describe_frame(frame, 1), " frame1: R0=7 R1=ctx() R10=fp0 fp-16=00000000 fp-24=mmmmmmmm");
    frame.regs[R10].frame = 0;
    EXPECT_EQ(describe_frame(frame, 0, {.regs = 1U << R1, .slots = 1U << 1}), " R1=ctx() fp-16=00000000");
    EXPECT_EQ(describe_frame(frame, 0, {.regs = 1U << R5, .slots = 0}), "");
    const u32 refs[] = {2, 5};
    EXPECT_EQ(describe_frame(frame, 0, {.regs = 1, .slots = 0}, {.refs = refs}), " R0=7 refs=2,5");
    EXPECT_EQ(describe_frame(frame, 1, {.regs = 1, .slots = 0}, {.in_callback = true}), " frame1: R0=7 cb");
    EXPECT_EQ(describe_frame(frame, 0, {.regs = 1, .slots = 0}, {.in_async_callback = true}),
              " R0=7 async_cb");
    frame.regs_precise = 1;
    frame.slots_precise = 1 << 1;
    frame.slots[1].bytes.fill(Byte::spill);
    frame.slots[1].spilled = RegState::constant(3);
    EXPECT_EQ(describe_frame(frame, 0, {.regs = 1, .slots = 1 << 1}), " R0=P7 fp-16=P3");
}

TEST(Describe, States) {
    // "0: (bf) r6 = r1" and its state; longer lines move it on by eights.
    EXPECT_EQ(state_padding(15), 23U);
    EXPECT_EQ(state_padding(34), 4U);
    EXPECT_EQ(state_padding(35), 3U);
    EXPECT_EQ(state_padding(36), 10U);
    EXPECT_EQ(state_padding(43), 3U);
}

} // namespace
} // namespace xdplane
