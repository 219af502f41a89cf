// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/verifier/tnum.h"

#include <bit>
#include <functional>
#include <gtest/gtest.h>
#include <vector>

namespace xdplane {
namespace {

/// Every abstract value of five bits.
std::vector<Tnum> all_tnums(unsigned bits) {
    std::vector<Tnum> all;
    const u64 limit = u64{1} << bits;
    for (u64 mask = 0; mask < limit; ++mask)
        for (u64 value = 0; value < limit; ++value)
            if ((value & mask) == 0) all.push_back({value, mask});
    return all;
}

std::vector<u64> members(const Tnum& t) {
    std::vector<u64> all;
    for (u64 v = 0; v < 64; ++v)
        if (t.contains(v)) all.push_back(v);
    return all;
}

/// Sign-fills or shifts up, so that carries, borrows and signs at the word's ends are met too.
struct Placement {
    const char* name;
    std::function<u64(u64)> place;
};
const Placement kPlacements[] = {
    {"low", [](u64 v) { return v; }},
    {"middle", [](u64 v) { return v << 30; }},
    {"high", [](u64 v) { return v << 59; }},
    {"signed", [](u64 v) { return static_cast<u64>(static_cast<i64>(v << 59) >> 59); }},
};

using Binary = Tnum (*)(Tnum, Tnum);
using Concrete = u64 (*)(u64, u64);
struct BinaryRow {
    const char* name;
    Binary abstract;
    Concrete concrete;
    bool exact; ///< the smallest set possible
};
const BinaryRow kBinary[] = {
    {"add", tnum_add, [](u64 a, u64 b) { return a + b; }, true},
    {"sub", tnum_sub, [](u64 a, u64 b) { return a - b; }, true},
    {"and", tnum_and, [](u64 a, u64 b) { return a & b; }, true},
    {"or", tnum_or, [](u64 a, u64 b) { return a | b; }, true},
    {"xor", tnum_xor, [](u64 a, u64 b) { return a ^ b; }, true},
    {"mul", tnum_mul, [](u64 a, u64 b) { return a * b; }, false},
};

class TnumBinary : public testing::TestWithParam<BinaryRow> {};

TEST_P(TnumBinary, HoldsEveryResult) {
    const BinaryRow& row = GetParam();
    const auto all = all_tnums(5);
    for (const Placement& placement : kPlacements) {
        // Sign-filled masks are legal tnums as well: every copy of an unknown sign bit is unknown.
        for (const Tnum& a : all) {
            for (std::size_t j = 0; j < all.size(); j += 1 + (row.exact ? 0 : 2)) {
                const Tnum& b = all[j];
                const Tnum pa{placement.place(a.value), placement.place(a.mask)};
                const Tnum pb{placement.place(b.value), placement.place(b.mask)};
                const Tnum r = row.abstract(pa, pb);
                ASSERT_EQ(r.value & r.mask, 0U);
                u64 ones = ~u64{0};
                u64 zeros = ~u64{0};
                for (const u64 x : members(a)) {
                    for (const u64 y : members(b)) {
                        const u64 c = row.concrete(placement.place(x), placement.place(y));
                        ones &= c;
                        zeros &= ~c;
                        if (!r.contains(c))
                            FAIL() << row.name << " " << placement.name << " " << x << " " << y;
                    }
                }
                if (row.exact && placement.name == kPlacements[0].name) {
                    ASSERT_EQ(r.value, ones);
                    ASSERT_EQ(r.mask, ~(ones | zeros));
                }
            }
        }
    }
}
INSTANTIATE_TEST_SUITE_P(Operators, TnumBinary, testing::ValuesIn(kBinary),
                         [](const auto& one) { return std::string(one.param.name); });

TEST(Tnum, ShiftsHoldEveryResult) {
    for (const Placement& placement : kPlacements) {
        for (const Tnum& a : all_tnums(6)) {
            const Tnum p{placement.place(a.value), placement.place(a.mask)};
            for (unsigned shift = 0; shift < 64; ++shift) {
                for (const u64 m : members(a)) {
                    const u64 x = placement.place(m);
                    ASSERT_TRUE(tnum_lsh(p, shift).contains(x << shift));
                    ASSERT_TRUE(tnum_rsh(p, shift).contains(x >> shift));
                    ASSERT_TRUE(
                        tnum_arsh(p, shift, 64).contains(static_cast<u64>(static_cast<i64>(x) >> shift)));
                    if (shift < 32) {
                        const u32 low = static_cast<u32>(x);
                        ASSERT_TRUE(tnum_arsh(p, shift, 32)
                                        .contains(static_cast<u32>(static_cast<i32>(low) >> shift)));
                    }
                }
            }
        }
    }
}

TEST(Tnum, ExtensionsHoldEveryResult) {
    for (const Placement& placement : kPlacements) {
        for (const Tnum& a : all_tnums(6)) {
            const Tnum p{placement.place(a.value), placement.place(a.mask)};
            for (const unsigned bits : {4U, 8U, 16U, 32U, 64U}) {
                const unsigned shift = 64 - bits;
                for (const u64 m : members(a)) {
                    const u64 x = placement.place(m);
                    ASSERT_TRUE(p.low(bits).contains(x << shift >> shift));
                    ASSERT_TRUE(p.sign_extended(bits).contains(
                        static_cast<u64>(static_cast<i64>(x << shift) >> shift)));
                }
            }
        }
    }
}

TEST(Tnum, RangeIsTheSmallestSetOfASpan) {
    for (u64 low = 0; low < 64; ++low) {
        for (u64 high = low; high < 64; ++high) {
            const Tnum t = Tnum::range(low, high);
            for (u64 v = low; v <= high; ++v) ASSERT_TRUE(t.contains(v));
            // No bit above the highest that differs is unknown.
            ASSERT_LT(t.mask >> 1, low == high ? 1 : (low ^ high));
        }
    }
    EXPECT_EQ(Tnum::range(0, ~u64{0}), Tnum::unknown());
    EXPECT_EQ(Tnum::range(~u64{0}, ~u64{0}), Tnum::constant(~u64{0}));
}

TEST(Tnum, MeetKeepsWhatIsInBoth) {
    const auto all = all_tnums(5);
    for (const Tnum& a : all) {
        for (const Tnum& b : all) {
            Tnum both;
            const bool some = tnum_meet(a, b, both);
            u32 common = 0;
            for (u64 v = 0; v < 32; ++v) {
                const bool in = a.contains(v) && b.contains(v);
                common += in ? 1 : 0;
                if (some) {
                    ASSERT_EQ(both.contains(v), in);
                }
            }
            ASSERT_EQ(some, common > 0);
        }
    }
}

TEST(Tnum, JoinIsTheSmallestSetOfBoth) {
    const auto all = all_tnums(5);
    for (const Tnum& a : all) {
        for (const Tnum& b : all) {
            const Tnum both = tnum_join(a, b);
            ASSERT_TRUE(both.contains(a) && both.contains(b));
            ASSERT_EQ(both.value & both.mask, 0U);
            // A bit is unknown only where some two numbers differ.
            u64 ones = ~u64{0};
            u64 zeros = ~u64{0};
            for (const Tnum* t : {&a, &b}) {
                ones &= t->value;
                zeros &= ~t->max();
            }
            ASSERT_EQ(both.mask, ~(ones | zeros));
        }
    }
}

TEST(Tnum, NextIsTheLeastNumberAbove) {
    for (const unsigned place : {0U, 29U, 58U}) {
        for (const Tnum& t : all_tnums(6)) {
            const Tnum placed{t.value << place, t.mask << place};
            for (u64 v = 0; v < 64; ++v) {
                u64 expected = t.max();
                for (u64 m = 64; m-- > v + 1;)
                    if (t.contains(m)) expected = m;
                ASSERT_EQ(placed.next(v << place), expected << place) << t.value << " " << t.mask << " " << v;
                // Numbers between those that can be.
                if (place == 29 && v < t.max()) {
                    ASSERT_EQ(placed.next((v << place) + 5), expected << place);
                }
            }
        }
    }
}

TEST(Tnum, SwappedHasTheOtherOrder) {
    for (const unsigned place : {0U, 6U, 13U, 28U, 58U}) {
        for (const Tnum& t : all_tnums(6)) {
            const Tnum placed{t.value << place, t.mask << place};
            for (const u64 m : members(t)) {
                const u64 x = m << place;
                ASSERT_TRUE(placed.swapped(16).contains(std::byteswap(static_cast<u16>(x))));
                ASSERT_TRUE(placed.swapped(32).contains(std::byteswap(static_cast<u32>(x))));
                ASSERT_TRUE(placed.swapped(64).contains(std::byteswap(x)));
            }
            ASSERT_EQ(placed.swapped(64).swapped(64), placed);
        }
    }
}

TEST(Tnum, ContainsIsInclusion) {
    const auto all = all_tnums(4);
    for (const Tnum& a : all) {
        for (const Tnum& b : all) {
            bool included = true;
            for (u64 v = 0; v < 16; ++v) included &= !b.contains(v) || a.contains(v);
            ASSERT_EQ(a.contains(b), included);
        }
    }
}

TEST(Tnum, AlignmentAndLowHalf) {
    EXPECT_TRUE((Tnum{8, 0x30}).aligned(8));
    EXPECT_FALSE((Tnum{8, 0x34}).aligned(8));
    EXPECT_FALSE((Tnum{4, 0}).aligned(8));
    const Tnum mixed = (Tnum{u64{5} << 32, u64{2} << 32}).with_low32({3, 4});
    EXPECT_EQ(mixed.value, (u64{5} << 32) | 3);
    EXPECT_EQ(mixed.mask, (u64{2} << 32) | 4);
}

} // namespace
} // namespace xdplane
