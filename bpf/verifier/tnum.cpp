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

Tnum Tnum::low(unsigned bits) const { return {value & low_mask(bits), mask & low_mask(bits)}; }

Tnum Tnum::sign_extended(unsigned bits) const {
    const unsigned shift = 64 - bits;
    return {static_cast<u64>(static_cast<i64>(value << shift) >> shift),
            static_cast<u64>(static_cast<i64>(mask << shift) >> shift)};
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
    // Long multiplication. The product of the known parts is exact; each bit of a that may be 1 adds b or
    // nothing, each that is 1 adds b's unknown bits.
    Tnum sum = Tnum::constant(a.value * b.value);
    for (unsigned i = 0; i < 64; ++i) {
        const u64 bit = u64{1} << i;
        if ((a.value & bit) != 0)
            sum = tnum_add(sum, {0, b.mask << i});
        else if ((a.mask & bit) != 0)
            sum = tnum_add(sum, {0, b.max() << i});
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

bool tnum_meet(Tnum a, Tnum b, Tnum& out) {
    if (((a.value ^ b.value) & ~a.mask & ~b.mask) != 0) return false;
    const u64 unknown = a.mask & b.mask;
    out = {(a.value | b.value) & ~unknown, unknown};
    return true;
}

} // namespace xdplane
