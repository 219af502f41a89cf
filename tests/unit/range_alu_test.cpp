// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <gtest/gtest.h>
#include <optional>
#include <span>

#include "tests/unit/range_samples.h"

/// Soundness of arithmetic on ranges against enumeration.
namespace xdplane {
namespace {

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
    case Code::sdiv:
    case Code::smod: {
        const bool quotient = code == Code::sdiv;
        if ((narrow ? b32 : b) == 0) return quotient ? 0 : pick(a, a32);
        if (narrow ? b32 == ~u32{0} : b == ~u64{0}) return quotient ? pick(u64{0} - a, u32{0} - a32) : 0;
        const i64 x = narrow ? i64{static_cast<i32>(a32)} : static_cast<i64>(a);
        const i64 y = narrow ? i64{static_cast<i32>(b32)} : static_cast<i64>(b);
        const u64 r = static_cast<u64>(quotient ? x / y : x % y);
        return pick(r, static_cast<u32>(r));
    }
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

/// XDPLANE_RANGE_BITS=5 takes minutes of an optimised build.
unsigned exhaustive_bits() {
    const char* bits = std::getenv("XDPLANE_RANGE_BITS");
    return bits != nullptr ? static_cast<unsigned>(std::clamp(std::atoi(bits), 1, 6)) : 4;
}

TEST_P(RangeAlu, HoldsEveryResultOfAllPairsOfNarrowValues) {
    const std::vector<Sample> all = all_narrow(0, exhaustive_bits());
    ASSERT_GT(all.size(), 0U);
    constexpr std::array kOfOneOperand = {Code::neg, Code::mov, Code::movsx8, Code::movsx16, Code::movsx32};
    const bool one = std::ranges::find(kOfOneOperand, GetParam().code) != kOfOneOperand.end();
    for (const unsigned width : {32U, 64U})
        for (const Sample& a : all)
            for (const Sample& b : one ? std::span(&a, 1) : std::span(all)) {
                check_alu(GetParam().code, width, a, b);
                if (HasFatalFailure()) return;
            }
}

TEST_P(RangeAlu, HoldsEveryResultOfNarrowValuesAtBorders) {
    // At 0, at the border of i32 and at that of i64; every value is met as either operand.
    static const std::vector<Sample> kPlaced[] = {all_narrow(0), all_narrow((u64{1} << 31) - 16),
                                                  all_narrow(u64{1} << 63)};
    constexpr std::size_t kStride = 101;
    for (const std::vector<Sample>& all : kPlaced)
        for (const unsigned width : {32U, 64U})
            for (std::size_t i = 0; i < all.size(); ++i)
                for (std::size_t j = i % kStride; j < kPlaced[0].size(); j += kStride) {
                    check_alu(GetParam().code, width, all[i], kPlaced[0][j]);
                    check_alu(GetParam().code, width, kPlaced[0][j], all[i]);
                    if (HasFatalFailure()) return;
                }
}

INSTANTIATE_TEST_SUITE_P(
    Operators, RangeAlu,
    testing::Values(CodeRow{Code::add, "add"}, CodeRow{Code::sub, "sub"}, CodeRow{Code::mul, "mul"},
                    CodeRow{Code::div, "div"}, CodeRow{Code::mod, "mod"}, CodeRow{Code::sdiv, "sdiv"},
                    CodeRow{Code::smod, "smod"}, CodeRow{Code::and_, "and"}, CodeRow{Code::or_, "or"},
                    CodeRow{Code::xor_, "xor"}, CodeRow{Code::lsh, "lsh"}, CodeRow{Code::rsh, "rsh"},
                    CodeRow{Code::arsh, "arsh"}, CodeRow{Code::neg, "neg"}, CodeRow{Code::mov, "mov"},
                    CodeRow{Code::movsx8, "movsx8"}, CodeRow{Code::movsx16, "movsx16"},
                    CodeRow{Code::movsx32, "movsx32"}),
    [](const auto& one) { return std::string(one.param.name); });

u64 swapped(Code code, unsigned width, u64 v) {
    const u64 low = width == 64 ? v : v & ((u64{1} << width) - 1);
    return code == Code::to_le ? low : std::byteswap(low) >> (64 - width);
}

TEST(Range, SwapsHoldEveryResult) {
    for (const Sample& a : samples())
        for (const Code code : {Code::to_le, Code::to_be, Code::bswap})
            for (const unsigned width : {16U, 32U, 64U}) {
                const Range r = range_swap(code, width, a.range);
                for (const u64 x : a.numbers)
                    ASSERT_TRUE(r.contains(swapped(code, width, x))) << std::hex << x << "\n"
                                                                     << text(a.range) << "\n"
                                                                     << text(r);
            }
}

/// Pointers' offsets are numbers too, but wrap less.
TEST(Range, OffsetsHoldEverySum) {
    for (const Sample& a : samples())
        for (const Sample& b : samples()) {
            const Range sum = range_offset(Code::add, a.range, b.range);
            const Range difference = range_offset(Code::sub, a.range, b.range);
            for (const u64 x : a.numbers)
                for (const u64 y : b.numbers) {
                    ASSERT_TRUE(sum.contains(x + y)) << text(a.range) << "\n" << text(b.range);
                    ASSERT_TRUE(difference.contains(x - y)) << text(a.range) << "\n" << text(b.range);
                }
        }
}

TEST(Range, ForksHoldEveryNumber) {
    const Range mask = Range::constant(0x50);
    u32 forks = 0;
    for (const Sample& a : samples()) {
        const auto fork = range_fork(Code::and_, a.range, mask);
        if (!fork) continue;
        ++forks;
        for (const u64 x : a.numbers)
            ASSERT_TRUE(fork->minus_one.contains(x) || fork->zero.contains(x)) << std::hex << x;
    }
    EXPECT_GT(forks, 0U);
    const Range sign = range_alu(Code::arsh, 64, Range::unknown(), Range::constant(63));
    const auto both = range_fork(Code::or_, sign, mask);
    ASSERT_TRUE(both);
    EXPECT_EQ(both->minus_one, Range::constant(~u64{0}));
    EXPECT_EQ(both->zero, Range::constant(0));
    // The low half alone may be a sign.
    Range half = range_alu(Code::arsh, 32, Range::unknown(), Range::constant(31));
    ASSERT_TRUE(range_fork(Code::and_, half, mask));
    EXPECT_EQ(range_fork(Code::and_, half, mask)->minus_one.narrow, Bounds<u32>::constant(~u32{0}));
    EXPECT_FALSE(range_fork(Code::xor_, sign, mask));
    EXPECT_FALSE(range_fork(Code::and_, sign, Range::of_width(8)));
    EXPECT_FALSE(range_fork(Code::and_, Range::of_width(8), mask));
}

} // namespace
} // namespace xdplane
