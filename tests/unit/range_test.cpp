// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/verifier/range.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <optional>
#include <random>
#include <vector>

/// Soundness of every operator against enumeration: abstract values of a few numbers each, placed where
/// 32- and 64-bit numbers wrap or change sign.
namespace xdplane {
namespace {

/// An abstract value, and all numbers that it was made of.
struct Sample {
    Range range;
    std::vector<u64> numbers;
};

/// Where things happen: around 0, the ends of i32 and u32, and those of i64.
constexpr u64 kPlaces[] = {
    0, u64{1} << 31, u64{1} << 32, u64{3} << 31, u64{1} << 63, (u64{1} << 63) + (u64{1} << 31)};

/// The least Range that holds all numbers, as the verifier would have come to it: bounds and bits.
Range range_of(const std::vector<u64>& numbers) {
    Range r;
    u64 ones = ~u64{0};
    u64 zeros = ~u64{0};
    r.wide = {numbers[0], numbers[0], static_cast<i64>(numbers[0]), static_cast<i64>(numbers[0])};
    r.narrow = Bounds<u32>::constant(static_cast<u32>(numbers[0]));
    for (const u64 v : numbers) {
        ones &= v;
        zeros &= ~v;
        const u32 n = static_cast<u32>(v);
        r.wide.umin = std::min(r.wide.umin, v);
        r.wide.umax = std::max(r.wide.umax, v);
        r.wide.smin = std::min(r.wide.smin, static_cast<i64>(v));
        r.wide.smax = std::max(r.wide.smax, static_cast<i64>(v));
        r.narrow.umin = std::min(r.narrow.umin, n);
        r.narrow.umax = std::max(r.narrow.umax, n);
        r.narrow.smin = std::min(r.narrow.smin, static_cast<i32>(n));
        r.narrow.smax = std::max(r.narrow.smax, static_cast<i32>(n));
    }
    r.bits = {ones, ~(ones | zeros)};
    return r;
}

/// Spans and bit patterns of up to 4 bits around each place, and some that are far apart.
const std::vector<Sample>& samples() {
    static const std::vector<Sample> kSamples = [] {
        std::vector<Sample> all;
        const auto add = [&](std::vector<u64> numbers) {
            all.push_back({range_of(numbers), std::move(numbers)});
        };
        for (const u64 place : kPlaces) {
            for (i64 low = -4; low < 4; ++low)
                for (i64 high = low; high < 4; high += 1 + (high > low + 2 ? 2 : 0)) {
                    std::vector<u64> span;
                    for (i64 v = low; v <= high; ++v) span.push_back(place + static_cast<u64>(v));
                    add(span);
                }
            for (const u64 mask : {u64{5}, u64{10}, u64{12}}) {
                std::vector<u64> pattern;
                for (u64 v = 0; v < 16; ++v)
                    if ((v & ~mask) == 0) pattern.push_back(place + v);
                add(pattern);
            }
        }
        for (const u64 a : kPlaces)
            for (const u64 b : kPlaces)
                if (a < b) add({a, a + 1, b - 1, b});
        return all;
    }();
    return kSamples;
}

std::optional<u64> concrete(Code code, unsigned width, u64 a, u64 b) {
    const bool narrow = width == 32;
    const u32 a32 = static_cast<u32>(a);
    const u32 b32 = static_cast<u32>(b);
    const auto pick = [&](u64 wide, u32 low) { return narrow ? u64{low} : wide; };
    switch (code) {
    case Code::add: return pick(a + b, a32 + b32);
    case Code::sub: return pick(a - b, a32 - b32);
    case Code::mul: return pick(a * b, a32 * b32);
    case Code::and_: return pick(a & b, a32 & b32);
    case Code::or_: return pick(a | b, a32 | b32);
    case Code::xor_: return pick(a ^ b, a32 ^ b32);
    case Code::neg: return pick(u64{0} - a, u32{0} - a32);
    case Code::mov: return pick(b, b32);
    case Code::div: return pick(b == 0 ? 0 : a / b, b32 == 0 ? 0 : a32 / b32);
    case Code::mod: return pick(b == 0 ? a : a % b, b32 == 0 ? a32 : a32 % b32);
    case Code::lsh: return pick(a << (b & 63), a32 << (b & 31));
    case Code::rsh: return pick(a >> (b & 63), a32 >> (b & 31));
    case Code::arsh:
        return pick(static_cast<u64>(static_cast<i64>(a) >> (b & 63)),
                    static_cast<u32>(static_cast<i32>(a32) >> (b & 31)));
    case Code::movsx8:
        return pick(static_cast<u64>(i64{static_cast<i8>(b)}), static_cast<u32>(i32{static_cast<i8>(b)}));
    case Code::movsx16:
        return pick(static_cast<u64>(i64{static_cast<i16>(b)}), static_cast<u32>(i32{static_cast<i16>(b)}));
    case Code::movsx32:
        return narrow ? std::nullopt : std::optional(static_cast<u64>(i64{static_cast<i32>(b)}));
    default: return std::nullopt;
    }
}

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

std::string text(const Range& r) {
    return fmt::format("u[{:x},{:x}] s[{:x},{:x}] u32[{:x},{:x}] s32[{:x},{:x}] ({:x};{:x})", r.wide.umin,
                       r.wide.umax, r.wide.smin, r.wide.smax, r.narrow.umin, r.narrow.umax, r.narrow.smin,
                       r.narrow.smax, r.bits.value, r.bits.mask);
}

struct CodeRow {
    Code code;
    const char* name;
};

class RangeAlu : public testing::TestWithParam<CodeRow> {};

void check_alu(Code code, unsigned width, const Sample& a, const Sample& b) {
    const Range r = range_alu(code, width, a.range, b.range);
    for (const u64 x : a.numbers)
        for (const u64 y : b.numbers) {
            const auto c = concrete(code, width, x, y);
            if (c && !r.contains(*c)) {
                FAIL() << std::hex << x << " op " << y << " = " << *c << "\n"
                       << text(a.range) << "\n"
                       << text(b.range) << "\n"
                       << text(r);
            }
        }
}

TEST_P(RangeAlu, HoldsEveryResult) {
    for (const unsigned width : {32U, 64U})
        for (const Sample& a : samples())
            for (const Sample& b : samples()) {
                check_alu(GetParam().code, width, a, b);
                if (HasFatalFailure()) return;
            }
}

TEST_P(RangeAlu, HoldsEveryResultOfShiftCountsAndFactors) {
    // Small second operands, which matter to shifts.
    for (const unsigned width : {32U, 64U})
        for (const Sample& a : samples())
            for (u64 low = 0; low < 70; low += 3)
                for (const u64 more : {0, 1, 5, 40}) {
                    std::vector<u64> counts;
                    for (u64 v = low; v <= low + more; ++v) counts.push_back(v);
                    check_alu(GetParam().code, width, a, {range_of(counts), counts});
                    if (HasFatalFailure()) return;
                }
}

INSTANTIATE_TEST_SUITE_P(
    Operators, RangeAlu,
    testing::Values(CodeRow{Code::add, "add"}, CodeRow{Code::sub, "sub"}, CodeRow{Code::mul, "mul"},
                    CodeRow{Code::div, "div"}, CodeRow{Code::mod, "mod"}, CodeRow{Code::and_, "and"},
                    CodeRow{Code::or_, "or"}, CodeRow{Code::xor_, "xor"}, CodeRow{Code::lsh, "lsh"},
                    CodeRow{Code::rsh, "rsh"}, CodeRow{Code::arsh, "arsh"}, CodeRow{Code::neg, "neg"},
                    CodeRow{Code::mov, "mov"}, CodeRow{Code::movsx8, "movsx8"},
                    CodeRow{Code::movsx16, "movsx16"}, CodeRow{Code::movsx32, "movsx32"}),
    [](const auto& one) { return std::string(one.param.name); });

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

TEST(Range, SyncSeesThatNothingIsLeft) {
    Range r;
    r.wide.umin = 10;
    r.wide.umax = 9;
    EXPECT_FALSE(r.sync());
    Range bits = Range::constant(5);
    bits.wide = {6, 9, 6, 9};
    EXPECT_FALSE(bits.sync());
    Range halves;
    halves.wide = {1, 2, 1, 2};
    halves.narrow.umin = 7;
    EXPECT_FALSE(halves.sync());
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
