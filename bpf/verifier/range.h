// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <limits>
#include <optional>
#include <type_traits>

#include "bpf/isa/opcodes.h"
#include "bpf/verifier/tnum.h"

/// What the verifier knows of a number: its bits, and its bounds read as unsigned and signed, 64 and 32 bits.
namespace xdplane {

/// Bounds of one width: umin <= x <= umax, and the same bits read as signed within [smin, smax].
template<class U>
struct Bounds {
    using S = std::make_signed_t<U>;
    U umin = 0;
    U umax = std::numeric_limits<U>::max();
    S smin = std::numeric_limits<S>::min();
    S smax = std::numeric_limits<S>::max();

    [[nodiscard]] static constexpr Bounds constant(U v) {
        return {v, v, static_cast<S>(v), static_cast<S>(v)};
    }
    [[nodiscard]] constexpr bool contains(U v) const {
        return umin <= v && v <= umax && smin <= static_cast<S>(v) && static_cast<S>(v) <= smax;
    }
    [[nodiscard]] constexpr bool contains(const Bounds& b) const {
        return umin <= b.umin && b.umax <= umax && smin <= b.smin && b.smax <= smax;
    }
    [[nodiscard]] constexpr bool is_const() const { return umin == umax; }
    friend bool operator==(const Bounds&, const Bounds&) = default;
};

/// The numbers that satisfy all of bits, wide, and narrow (for the low 32 bits).
///
/// Everything here knows exactly what Linux 6.18 knows, no more and no less: a narrower range would have
/// programs accepted here that are refused there (tests/differential/verifier_values_test.cpp).
struct Range {
    Tnum bits;
    Bounds<u64> wide;
    Bounds<u32> narrow;

    [[nodiscard]] static Range unknown() { return {}; }
    [[nodiscard]] static Range constant(u64 v);
    /// Every number of `bits` bits (8, 16, 32, 64), zero-extended: what a load of that width gives.
    [[nodiscard]] static Range of_width(unsigned bits);

    [[nodiscard]] bool is_const() const { return bits.is_const(); }
    [[nodiscard]] u64 value() const { return bits.value; } ///< if is_const()
    [[nodiscard]] bool contains(u64 v) const {
        return bits.contains(v) && wide.contains(v) && narrow.contains(static_cast<u32>(v));
    }
    /// Every number of `other` is in this.
    [[nodiscard]] bool contains(const Range& other) const {
        return bits.contains(other.bits) && wide.contains(other.wide) && narrow.contains(other.narrow);
    }

    /// Lets each part learn from the others; false if they contradict each other: no number is left.
    bool sync();
    /// False if the parts are seen to contradict each other.
    [[nodiscard]] bool consistent() const;
    /// Forgets all but the bits if the parts contradict each other: that happens on paths that never run.
    void settle() {
        if (!consistent()) *this = {bits, {}, {}};
    }

    friend bool operator==(const Range&, const Range&) = default;
};

/// The result of an operation of OpKind::alu with a second operand (and neg, whose second is ignored):
/// `width` is 32 or 64; 32-bit results are zero-extended. Sound for every pair of numbers, also where the
/// instruction would be refused. Division, modulo, and shifts by a count that is not known or too large give
/// anything, of 64 bits even if `width` is 32.
[[nodiscard]] Range range_alu(Code code, unsigned width, const Range& dst, const Range& src);

/// Byte order conversions: `code` is to_le, to_be or bswap, `width` 16, 32 or 64.
[[nodiscard]] Range range_swap(Code code, unsigned width, const Range& dst);

/// Bitwise and and or of a number that is known to be 0 or -1 (a sign, shifted down) with a constant: Linux
/// walks both cases as paths of their own. Each is dst before the insn, which both simulate; `minus_one` goes
/// first.
struct RangeFork {
    Range minus_one;
    Range zero;
};
[[nodiscard]] std::optional<RangeFork> range_fork(Code code, const Range& dst, const Range& src);

/// The variable part of a pointer's offset after a number was added to or subtracted from the pointer.
[[nodiscard]] Range range_offset(Code code, const Range& pointer, const Range& number);

/// The low `bits` (8, 16, 32, 64), zero- or sign-extended to 64: loads.
[[nodiscard]] Range range_truncate(const Range& range, unsigned bits);
[[nodiscard]] Range range_sign_extend(const Range& range, unsigned bits);

/// Which way `a code b` (a conditional jump's code, `width` 32 or 64) comes out, if that is certain.
[[nodiscard]] std::optional<bool> range_outcome(Code code, unsigned width, const Range& a, const Range& b);

/// Narrows a and b by what holds if `a code b` came out as `outcome`; false if range_outcome() says that it
/// cannot. Both may be the same object: a register compared with itself.
[[nodiscard]] bool range_refine(Code code, bool outcome, unsigned width, Range& a, Range& b);

} // namespace xdplane
