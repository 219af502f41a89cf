// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <gtest/gtest.h>
#include <random>

#include "tests/unit/range_samples.h"

/// What comparisons tell of ranges, and what their parts tell each other, against enumeration.
namespace xdplane {
namespace {

bool holds(Code code, unsigned width, u64 a, u64 b) {
    if (width == 32) {
        a = static_cast<u32>(a);
        b = static_cast<u32>(b);
    }
    const i64 sa = width == 32 ? i64{static_cast<i32>(a)} : static_cast<i64>(a);
    const i64 sb = width == 32 ? i64{static_cast<i32>(b)} : static_cast<i64>(b);
    switch (code) {
    case Code::jeq: return a == b;
    case Code::jne: return a != b;
    case Code::jgt: return a > b;
    case Code::jge: return a >= b;
    case Code::jlt: return a < b;
    case Code::jle: return a <= b;
    case Code::jsgt: return sa > sb;
    case Code::jsge: return sa >= sb;
    case Code::jslt: return sa < sb;
    case Code::jsle: return sa <= sb;
    default: return (a & b) != 0;
    }
}

class RangeRefine : public testing::TestWithParam<CodeRow> {};

TEST_P(RangeRefine, KeepsEveryPairThatFits) {
    for (const unsigned width : {32U, 64U})
        for (const bool outcome : {false, true})
            for (const Sample& a : samples())
                for (const Sample& b : samples()) {
                    Range ra = a.range;
                    Range rb = b.range;
                    const bool possible = range_refine(GetParam().code, outcome, width, ra, rb);
                    for (const u64 x : a.numbers)
                        for (const u64 y : b.numbers) {
                            if (holds(GetParam().code, width, x, y) != outcome) continue;
                            if (!possible || !ra.contains(x) || !rb.contains(y))
                                FAIL() << std::hex << x << " , " << y << " outcome " << outcome << " width "
                                       << width << "\n"
                                       << text(a.range) << " -> " << text(ra) << "\n"
                                       << text(b.range) << " -> " << text(rb);
                        }
                }
}

TEST_P(RangeRefine, DecidesConstants) {
    // Of two constants exactly one outcome is possible.
    for (const unsigned width : {32U, 64U})
        for (const u64 place : kPlaces)
            for (i64 d = -2; d <= 2; ++d) {
                const u64 x = place;
                const u64 y = place + static_cast<u64>(d);
                for (const bool outcome : {false, true}) {
                    Range a = Range::constant(x);
                    Range b = Range::constant(y);
                    EXPECT_EQ(range_refine(GetParam().code, outcome, width, a, b),
                              holds(GetParam().code, width, x, y) == outcome);
                }
            }
}

INSTANTIATE_TEST_SUITE_P(Comparisons, RangeRefine,
                         testing::Values(CodeRow{Code::jeq, "jeq"}, CodeRow{Code::jne, "jne"},
                                         CodeRow{Code::jgt, "jgt"}, CodeRow{Code::jge, "jge"},
                                         CodeRow{Code::jlt, "jlt"}, CodeRow{Code::jle, "jle"},
                                         CodeRow{Code::jsgt, "jsgt"}, CodeRow{Code::jsge, "jsge"},
                                         CodeRow{Code::jslt, "jslt"}, CodeRow{Code::jsle, "jsle"},
                                         CodeRow{Code::jset, "jset"}),
                         [](const auto& one) { return std::string(one.param.name); });

TEST(Range, ExtensionsHoldEveryResult) {
    for (const Sample& a : samples())
        for (const unsigned bits : {8U, 16U, 32U, 64U})
            for (const u64 x : a.numbers) {
                const unsigned shift = 64 - bits;
                ASSERT_TRUE(range_truncate(a.range, bits).contains(x << shift >> shift));
                ASSERT_TRUE(range_sign_extend(a.range, bits)
                                .contains(static_cast<u64>(static_cast<i64>(x << shift) >> shift)));
            }
}

/// One object on both sides: what holds for a register compared with itself.
TEST_P(RangeRefine, KeepsNumbersComparedWithThemselves) {
    for (const unsigned width : {32U, 64U})
        for (const bool outcome : {false, true})
            for (const Sample& a : samples()) {
                Range r = a.range;
                const bool possible = range_refine(GetParam().code, outcome, width, r, r);
                for (const u64 x : a.numbers)
                    if (holds(GetParam().code, width, x, x) == outcome) {
                        ASSERT_TRUE(possible && r.contains(x)) << std::hex << x << "\n" << text(r);
                    }
            }
}

/// Each part alone: what the others learn from it must not lose a number.
TEST(Range, SyncLosesNoNumber) {
    std::mt19937_64 random(20261122);
    for (const Sample& a : samples())
        for (unsigned parts = 0; parts < 128; ++parts) {
            Range r;
            if ((parts & 1) != 0) r.bits = a.range.bits;
            if ((parts & 2) != 0) r.wide.umin = a.range.wide.umin;
            if ((parts & 4) != 0) r.wide.umax = a.range.wide.umax;
            if ((parts & 8) != 0) r.wide.smin = a.range.wide.smin;
            if ((parts & 16) != 0) r.wide.smax = a.range.wide.smax;
            if ((parts & 32) != 0) r.narrow.umin = a.range.narrow.umin, r.narrow.umax = a.range.narrow.umax;
            if ((parts & 64) != 0) r.narrow.smin = a.range.narrow.smin, r.narrow.smax = a.range.narrow.smax;
            const Range before = r;
            ASSERT_TRUE(r.sync());
            for (const u64 x : a.numbers)
                ASSERT_TRUE(r.contains(x)) << std::hex << x << "\n" << text(before) << "\n" << text(r);
            for (int i = 0; i < 20; ++i) {
                // Whatever the parts allowed together is still allowed.
                const u64 x = a.numbers[0] + (random() >> (random() % 64)) * (i % 2 == 0 ? 1 : ~u64{0});
                if (before.contains(x)) {
                    ASSERT_TRUE(r.contains(x)) << std::hex << x << "\n" << text(before) << "\n" << text(r);
                }
            }
        }
}

/// Not always, as in Linux: where one number fits the bits from a bound on, it is taken for that one.
TEST(Range, SyncSeesThatNothingIsLeft) {
    Range r;
    r.bits.mask = ~u64{1};
    r.wide.smin = 11;
    r.wide.smax = 8;
    EXPECT_FALSE(r.sync());
    Range bits;
    bits.bits = {8, 3};
    bits.narrow.umin = 16;
    EXPECT_FALSE(bits.sync());
    Range halves;
    halves.wide = {1, 2, 1, 2};
    halves.narrow.umin = 7;
    EXPECT_FALSE(halves.sync());
    halves.settle();
    EXPECT_EQ(halves.wide, Bounds<u64>());
    EXPECT_EQ(halves.narrow, Bounds<u32>());
    EXPECT_FALSE(Range::constant(3).contains(halves));
}

/// What programs rely on to be accepted.
TEST(Range, LearnsWhatProgramsNeed) {
    const Range masked = range_alu(Code::and_, 64, Range::unknown(), Range::constant(0xff));
    EXPECT_EQ(masked.wide.umax, 0xffU);
    EXPECT_EQ(masked.wide.smin, 0);
    const Range scaled = range_alu(Code::lsh, 64, masked, Range::constant(2));
    EXPECT_EQ(scaled.wide.umax, 0xffU << 2);
    EXPECT_EQ(scaled.bits.mask, 0xffU << 2);
    const Range shifted = range_alu(Code::rsh, 32, Range::unknown(), Range::constant(28));
    EXPECT_EQ(shifted.wide.umax, 15U);
    Range index = Range::of_width(32);
    Range limit = Range::constant(16);
    ASSERT_TRUE(range_refine(Code::jslt, true, 32, index, limit));
    Range none = Range::constant(0);
    ASSERT_TRUE(range_refine(Code::jsge, true, 32, index, none));
    EXPECT_EQ(index.wide.umax, 15U);
    Range not_zero = Range::of_width(8);
    Range zero = Range::constant(0);
    ASSERT_TRUE(range_refine(Code::jne, true, 64, not_zero, zero));
    EXPECT_EQ(not_zero.wide.umin, 1U);
    Range flag = Range::of_width(8);
    Range bit = Range::constant(4);
    ASSERT_TRUE(range_refine(Code::jset, false, 64, flag, bit));
    EXPECT_FALSE(flag.contains(4));
}

} // namespace
} // namespace xdplane
