// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "bpf/base/types.h"

/// Known bits of a 64-bit number ("tristate number", as Linux calls it).
namespace xdplane {

/// A set of numbers: every x with (x & ~mask) == value. Bits in mask are unknown; value has none of them.
///
/// Every operation is sound: for x in a and y in b, x op y (mod 2^64) is in op(a, b). None knows more or less
/// than that of Linux 6.18 does.
struct Tnum {
    u64 value = 0;
    u64 mask = ~u64{0};

    [[nodiscard]] static constexpr Tnum constant(u64 v) { return {v, 0}; }
    [[nodiscard]] static constexpr Tnum unknown() { return {}; }
    /// The smallest set with all of [min, max].
    [[nodiscard]] static Tnum range(u64 min, u64 max);

    [[nodiscard]] constexpr bool is_const() const { return mask == 0; }
    [[nodiscard]] constexpr bool contains(u64 v) const { return (v & ~mask) == value; }
    /// Every number of `other` is in this set.
    [[nodiscard]] constexpr bool contains(const Tnum& other) const {
        return (other.mask & ~mask) == 0 && (other.value & ~mask) == value;
    }
    [[nodiscard]] constexpr u64 min() const { return value; }
    [[nodiscard]] constexpr u64 max() const { return value | mask; }
    /// Every number is a multiple of `size`, a power of two.
    [[nodiscard]] constexpr bool aligned(u64 size) const { return ((value | mask) & (size - 1)) == 0; }

    /// The least number of this above v; the greatest if none is above it.
    [[nodiscard]] u64 next(u64 v) const;

    /// The low `bits` bits, zero-extended.
    [[nodiscard]] Tnum low(unsigned bits) const;
    /// The low `bits` bits, sign-extended to 64.
    [[nodiscard]] Tnum sign_extended(unsigned bits) const;
    /// The lowest `bits` (16, 32, 64) in the other order of bytes, the rest 0.
    [[nodiscard]] Tnum swapped(unsigned bits) const;
    /// The upper 32 bits of this with the lower 32 bits of `lower`.
    [[nodiscard]] Tnum with_low32(const Tnum& lower) const;

    friend bool operator==(const Tnum&, const Tnum&) = default;
};

[[nodiscard]] Tnum tnum_add(Tnum a, Tnum b);
[[nodiscard]] Tnum tnum_sub(Tnum a, Tnum b);
[[nodiscard]] Tnum tnum_and(Tnum a, Tnum b);
[[nodiscard]] Tnum tnum_or(Tnum a, Tnum b);
[[nodiscard]] Tnum tnum_xor(Tnum a, Tnum b);
[[nodiscard]] Tnum tnum_mul(Tnum a, Tnum b);
[[nodiscard]] Tnum tnum_lsh(Tnum a, unsigned shift); ///< shift < 64
[[nodiscard]] Tnum tnum_rsh(Tnum a, unsigned shift);
/// Arithmetic shift of the low `width` (32 or 64) bits; a 32-bit result is zero-extended.
[[nodiscard]] Tnum tnum_arsh(Tnum a, unsigned shift, unsigned width);
/// The smallest set with all numbers of both.
[[nodiscard]] Tnum tnum_join(Tnum a, Tnum b);
/// Some number is in both sets.
[[nodiscard]] constexpr bool tnum_overlap(Tnum a, Tnum b) {
    return ((a.value ^ b.value) & ~a.mask & ~b.mask) == 0;
}
/// The numbers in both sets; false if there is none: `out` then has each bit that either of them is sure of,
/// 1 where they disagree, as Linux goes on with.
bool tnum_meet(Tnum a, Tnum b, Tnum& out);

} // namespace xdplane
