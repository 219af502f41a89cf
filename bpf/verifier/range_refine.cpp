// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <bit>

#include "bpf/verifier/range.h"

/// What conditional jumps tell of ranges.
namespace xdplane {
namespace {

/// jset's second operand if one is known: src, else dst.
template<class R>
struct TestedBits {
    R* tested = nullptr;
    u64 mask = 0;
};

template<class R>
std::optional<TestedBits<R>> tested_bits(unsigned width, R& a, R& b) {
    if (b.bits.low(width).is_const()) return TestedBits<R>{&a, b.bits.low(width).value};
    if (a.bits.low(width).is_const()) return TestedBits<R>{&b, a.bits.low(width).value};
    return std::nullopt;
}

/// a < b or, with `or_equal`, a <= b. Bounds that cross are seen by Range::consistent().
template<class T>
void refine_less(T& a_min, T& a_max, T& b_min, T& b_max, bool or_equal) {
    using U = std::make_unsigned_t<T>; // wraps at the ends, as Linux does
    const U step = or_equal ? 0 : 1;
    a_max = std::min(a_max, static_cast<T>(static_cast<U>(b_max) - step));
    b_min = std::max(b_min, static_cast<T>(static_cast<U>(a_min) + step));
}

/// A number that is not v: trims a bound that is v.
template<class T>
void refine_not(T& low, T& high, T v) {
    using U = std::make_unsigned_t<T>;
    if (low == v) low = static_cast<T>(static_cast<U>(low) + 1);
    if (high == v) high = static_cast<T>(static_cast<U>(high) - 1);
}

template<class T>
void refine_equal(T& a_min, T& a_max, T& b_min, T& b_max) {
    a_min = b_min = std::max(a_min, b_min);
    a_max = b_max = std::min(a_max, b_max);
}

template<class U>
void refine_bounds(Code code, Bounds<U>& a, Bounds<U>& b) {
    using S = typename Bounds<U>::S;
    switch (code) {
    case Code::jeq:
        refine_equal(a.umin, a.umax, b.umin, b.umax);
        refine_equal(a.smin, a.smax, b.smin, b.smax);
        break;
    case Code::jlt:
    case Code::jle: refine_less(a.umin, a.umax, b.umin, b.umax, code == Code::jle); break;
    case Code::jslt:
    case Code::jsle: refine_less<S>(a.smin, a.smax, b.smin, b.smax, code == Code::jsle); break;
    default: break;
    }
}

void refine_bounds(Code code, unsigned width, Range& a, Range& b) {
    if (width == 64)
        refine_bounds(code, a.wide, b.wide);
    else
        refine_bounds(code, a.narrow, b.narrow);
}

void refine_equal_bits(unsigned width, Range& a, Range& b) {
    Tnum both;
    tnum_meet(a.bits.low(width), b.bits.low(width), both);
    a.bits = width == 64 ? both : a.bits.with_low32(both);
    b.bits = width == 64 ? both : b.bits.with_low32(both);
}

template<class U>
void refine_not(Bounds<U>& b, U v) {
    using S = typename Bounds<U>::S;
    refine_not(b.umin, b.umax, v);
    refine_not(b.smin, b.smax, static_cast<S>(v));
}

void refine_unequal(unsigned width, Range& a, Range& b) {
    const auto known = tested_bits(width, a, b);
    if (!known) return;
    if (width == 64)
        refine_not(known->tested->wide, known->mask);
    else
        refine_not(known->tested->narrow, static_cast<u32>(known->mask));
}

void refine_test_bits(bool outcome, unsigned width, Range& a, Range& b) {
    const auto known = tested_bits(width, a, b);
    if (!known) return;
    Range& tested = *known->tested;
    if (outcome) {
        // One of several bits is set, nobody knows which.
        if (std::has_single_bit(known->mask)) tested.bits = tnum_or(tested.bits, Tnum::constant(known->mask));
        return;
    }
    // Linux forgets the bounds here: they could contradict the bits on a path that never runs.
    tested.wide = {};
    tested.narrow = {};
    tested.bits = tnum_and(tested.bits, Tnum::constant(~known->mask));
}

Code opposite(Code code) {
    switch (code) {
    case Code::jeq: return Code::jne;
    case Code::jne: return Code::jeq;
    case Code::jgt: return Code::jle;
    case Code::jge: return Code::jlt;
    case Code::jlt: return Code::jge;
    case Code::jle: return Code::jgt;
    case Code::jsgt: return Code::jsle;
    case Code::jsge: return Code::jslt;
    case Code::jslt: return Code::jsge;
    case Code::jsle: return Code::jsgt;
    default: return code;
    }
}

/// The code for swapped operands.
Code mirrored(Code code) {
    switch (code) {
    case Code::jgt: return Code::jlt;
    case Code::jge: return Code::jle;
    case Code::jsgt: return Code::jslt;
    case Code::jsge: return Code::jsle;
    default: return code;
    }
}

/// a < b (with `or_equal`: a <= b) for numbers of these bounds.
template<class T>
std::optional<bool> less(T a_min, T a_max, T b_min, T b_max, bool or_equal) {
    if (or_equal ? a_max <= b_min : a_max < b_min) return true;
    if (or_equal ? a_min > b_max : a_min >= b_max) return false;
    return std::nullopt;
}

template<class U>
std::optional<bool> less(Code code, const Bounds<U>& a, const Bounds<U>& b) {
    const bool or_equal = code == Code::jle || code == Code::jsle;
    if (code == Code::jlt || code == Code::jle) return less(a.umin, a.umax, b.umin, b.umax, or_equal);
    return less(a.smin, a.smax, b.smin, b.smax, or_equal);
}

template<class U>
bool apart(const Bounds<U>& a, const Bounds<U>& b) {
    return a.umin > b.umax || a.umax < b.umin || a.smin > b.smax || a.smax < b.smin;
}

std::optional<bool> equal(unsigned width, const Range& a, const Range& b) {
    const Tnum bits_a = a.bits.low(width);
    const Tnum bits_b = b.bits.low(width);
    if (bits_a.is_const() && bits_b.is_const()) return bits_a.value == bits_b.value;
    if (!tnum_overlap(bits_a, bits_b) || apart(a.narrow, b.narrow)) return false;
    if (width == 64 && apart(a.wide, b.wide)) return false;
    return std::nullopt;
}

std::optional<bool> test_bits(unsigned width, const Range& a, const Range& b) {
    const auto known = tested_bits(width, a, b);
    if (!known) return std::nullopt;
    const Tnum tested = known->tested->bits.low(width);
    if ((tested.value & known->mask) != 0) return true;
    if ((tested.max() & known->mask) == 0) return false;
    return std::nullopt;
}

} // namespace

std::optional<bool> range_outcome(Code code, unsigned width, const Range& a, const Range& b) {
    switch (code) {
    case Code::jeq: return equal(width, a, b);
    case Code::jne: {
        const auto same = equal(width, a, b);
        return same ? std::optional(!*same) : std::nullopt;
    }
    case Code::jset: return test_bits(width, a, b);
    case Code::jgt:
    case Code::jge:
    case Code::jsgt:
    case Code::jsge: return range_outcome(mirrored(code), width, b, a);
    default: return width == 64 ? less(code, a.wide, b.wide) : less(code, a.narrow, b.narrow);
    }
}

bool range_refine(Code code, bool outcome, unsigned width, Range& a, Range& b) {
    if (const auto certain = range_outcome(code, width, a, b); certain && *certain != outcome) return false;
    const Code holds = outcome ? code : opposite(code);
    switch (holds) {
    case Code::jset: refine_test_bits(outcome, width, a, b); break;
    case Code::jne: refine_unequal(width, a, b); break;
    case Code::jgt:
    case Code::jge:
    case Code::jsgt:
    case Code::jsge: refine_bounds(mirrored(holds), width, b, a); break;
    default:
        refine_bounds(holds, width, a, b);
        if (holds == Code::jeq) refine_equal_bits(width, a, b);
        break;
    }
    a.sync();
    b.sync();
    a.settle();
    b.settle();
    return true;
}

} // namespace xdplane
