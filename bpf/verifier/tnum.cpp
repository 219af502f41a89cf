// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/verifier/tnum.h"

#include <bit>

namespace xdplane {
namespace {

constexpr u64 low_mask(unsigned bits) { return bits >= 64 ? ~u64{0} : (u64{1} << bits) - 1; }

} // namespace

Tnum Tnum::range(u64 min, u64 max) {
    // Bits above the highest one in which the ends differ are the same in everything between.
    const u64 unknown = low_mask(static_cast<unsigned>(std::bit_width(min ^ max)));
    return {min & ~unknown, unknown};
}

u64 Tnum::next(u64 v) const {
    if (v >= max()) return max();
    if (v < min()) return min();
    const u64 wrong = (v ^ value) & ~mask;
    const u64 below = low_mask(static_cast<unsigned>(std::bit_width(wrong))); // with the highest wrong bit
    const u64 first = wrong & ~(below >> 1);
    // A known 1 where v has 0: right it, and have the least below. Else count up in the unknown bits, above a
    // known 0 where v has 1, if there is one.
    if ((first & value) != 0) return (v & ~below) | (value & below);
    return (((v | ~mask | below) + 1) & mask & ~below) | value;
}

Tnum Tnum::low(unsigned bits) const { return {value & low_mask(bits), mask & low_mask(bits)}; }

Tnum Tnum::sign_extended(unsigned bits) const {
    const unsigned shift = 64 - bits;
    return {static_cast<u64>(static_cast<i64>(value << shift) >> shift),
            static_cast<u64>(static_cast<i64>(mask << shift) >> shift)};
}

Tnum Tnum::swapped(unsigned bits) const {
    return {std::byteswap(value) >> (64 - bits), std::byteswap(mask) >> (64 - bits)};
}

Tnum Tnum::with_low32(const Tnum& lower) const {
    const u64 high = ~low_mask(32);
    return {(value & high) | (lower.value & low_mask(32)), (mask & high) | (lower.mask & low_mask(32))};
}

Tnum tnum_add(Tnum a, Tnum b) {
    // A bit of the sum is known where both operands' bits are known and the carry into it is the same whether
    // all unknown bits are 0 or all are 1: carries grow with the operands.
    const u64 least = a.value + b.value;
    const u64 most = a.max() + b.max();
    const u64 unknown = (least ^ most) | a.mask | b.mask;
    return {least & ~unknown, unknown};
}

Tnum tnum_sub(Tnum a, Tnum b) {
    // Likewise for borrows: fewest where a is at its greatest and b at its least.
    const u64 most = a.max() - b.value;
    const u64 least = a.value - b.max();
    const u64 unknown = (most ^ least) | a.mask | b.mask;
    return {(a.value - b.value) & ~unknown, unknown};
}

Tnum tnum_and(Tnum a, Tnum b) {
    const u64 ones = a.value & b.value;
    return {ones, a.max() & b.max() & ~ones};
}

Tnum tnum_or(Tnum a, Tnum b) {
    const u64 ones = a.value | b.value;
    return {ones, (a.mask | b.mask) & ~ones};
}

Tnum tnum_xor(Tnum a, Tnum b) {
    const u64 unknown = a.mask | b.mask;
    return {(a.value ^ b.value) & ~unknown, unknown};
}

Tnum tnum_mul(Tnum a, Tnum b) {
    // Long multiplication, bit by bit of a. Where a bit may be 0 or 1, the sum so far is either.
    Tnum sum = Tnum::constant(0);
    for (unsigned i = 0; i < 64 && (a.max() >> i) != 0; ++i) {
        const u64 bit = u64{1} << i;
        if ((a.max() & bit) == 0) continue;
        const Tnum more = tnum_add(sum, tnum_lsh(b, i));
        sum = (a.mask & bit) == 0 ? more : tnum_join(sum, more);
    }
    return sum;
}

Tnum tnum_lsh(Tnum a, unsigned shift) { return {a.value << shift, a.mask << shift}; }
Tnum tnum_rsh(Tnum a, unsigned shift) { return {a.value >> shift, a.mask >> shift}; }

Tnum tnum_arsh(Tnum a, unsigned shift, unsigned width) {
    const Tnum wide = a.sign_extended(width);
    const Tnum shifted{static_cast<u64>(static_cast<i64>(wide.value) >> shift),
                       static_cast<u64>(static_cast<i64>(wide.mask) >> shift)};
    return shifted.low(width);
}

Tnum tnum_join(Tnum a, Tnum b) {
    const u64 unknown = (a.value ^ b.value) | a.mask | b.mask;
    return {a.value & ~unknown, unknown};
}

bool tnum_meet(Tnum a, Tnum b, Tnum& out) {
    const bool some = tnum_overlap(a, b);
    const u64 unknown = a.mask & b.mask;
    out = {(a.value | b.value) & ~unknown, unknown};
    return some;
}

} // namespace xdplane
