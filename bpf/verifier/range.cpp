// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/verifier/range.h"

#include <algorithm>

namespace xdplane {
namespace {

constexpr u64 kHigh32 = ~u64{0} << 32;

template<class U>
void raise(U& low, U floor) {
    if (floor > low) low = floor;
}
template<class U>
void lower(U& high, U ceiling) {
    if (ceiling < high) high = ceiling;
}

/// Bounds from known bits (of the low bits of `bits`, as many as U has).
template<class U>
void learn_bits(Bounds<U>& b, const Tnum& bits) {
    using S = typename Bounds<U>::S;
    const U value = static_cast<U>(bits.value);
    const U mask = static_cast<U>(bits.mask);
    const U sign = U{1} << (sizeof(U) * 8 - 1);
    raise(b.umin, value);
    lower(b.umax, static_cast<U>(value | mask));
    raise(b.smin, static_cast<S>(value | (mask & sign)));
    lower(b.smax, static_cast<S>(value | (mask & ~sign)));
}

/// Signed bounds from unsigned ones and back.
template<class U>
void learn_signs(Bounds<U>& b) {
    using S = typename Bounds<U>::S;
    if (b.umin > b.umax || b.smin > b.smax) return; // empty: sync() will see
    if (static_cast<S>(b.umin) <= static_cast<S>(b.umax)) {
        raise(b.smin, static_cast<S>(b.umin));
        lower(b.smax, static_cast<S>(b.umax));
        if (b.smin > b.smax) return;
    }
    if (b.smin < 0 && b.smax >= 0) {
        // Two stretches of unsigned numbers: [0, smax] and [smin, all ones]. One may lie outside.
        if (b.umax < static_cast<U>(b.smin)) {
            lower(b.umax, static_cast<U>(b.smax));
            raise(b.smin, S{0});
        } else if (b.umin > static_cast<U>(b.smax)) {
            raise(b.umin, static_cast<U>(b.smin));
            lower(b.smax, S{-1});
        }
    } else {
        raise(b.umin, static_cast<U>(b.smin));
        lower(b.umax, static_cast<U>(b.smax));
    }
}

/// The low half from the whole.
void learn_narrow(Range& r) {
    if (r.wide.umin > r.wide.umax || r.wide.smin > r.wide.smax) return;
    if ((r.wide.umin & kHigh32) == (r.wide.umax & kHigh32)) {
        raise(r.narrow.umin, static_cast<u32>(r.wide.umin));
        lower(r.narrow.umax, static_cast<u32>(r.wide.umax));
    }
    // Within one stretch of 2^32 the low half, read as signed, runs from end to end if it does not wrap.
    const bool short_unsigned = r.wide.umax - r.wide.umin < u64{1} << 32;
    if (short_unsigned && static_cast<i32>(r.wide.umin) <= static_cast<i32>(r.wide.umax)) {
        raise(r.narrow.smin, static_cast<i32>(r.wide.umin));
        lower(r.narrow.smax, static_cast<i32>(r.wide.umax));
    }
    const u64 span = static_cast<u64>(r.wide.smax) - static_cast<u64>(r.wide.smin);
    if (span < u64{1} << 32) {
        const u32 first = static_cast<u32>(r.wide.smin);
        const u32 last = static_cast<u32>(r.wide.smax);
        if (static_cast<i32>(first) <= static_cast<i32>(last)) {
            raise(r.narrow.smin, static_cast<i32>(first));
            lower(r.narrow.smax, static_cast<i32>(last));
        }
        if (first <= last) {
            raise(r.narrow.umin, first);
            lower(r.narrow.umax, last);
        }
    }
}

/// The whole from its low half.
void learn_wide(Range& r) {
    if (r.narrow.umin > r.narrow.umax || r.narrow.smin > r.narrow.smax) return;
    // The least number from umin up whose low half is in bounds, and the greatest from umax down.
    const u64 low_of_min = r.wide.umin & ~kHigh32;
    if (low_of_min < r.narrow.umin)
        r.wide.umin = (r.wide.umin & kHigh32) | r.narrow.umin;
    else if (low_of_min > r.narrow.umax && (r.wide.umin & kHigh32) != kHigh32)
        r.wide.umin = (r.wide.umin & kHigh32) + (u64{1} << 32) + r.narrow.umin;
    const u64 low_of_max = r.wide.umax & ~kHigh32;
    if (low_of_max > r.narrow.umax)
        r.wide.umax = (r.wide.umax & kHigh32) | r.narrow.umax;
    else if (low_of_max < r.narrow.umin && (r.wide.umax & kHigh32) != 0)
        r.wide.umax = (r.wide.umax & kHigh32) - (u64{1} << 32) + r.narrow.umax;
    if (r.wide.smin >= std::numeric_limits<i32>::min() && r.wide.smax <= std::numeric_limits<i32>::max()) {
        raise(r.wide.smin, static_cast<i64>(r.narrow.smin));
        lower(r.wide.smax, static_cast<i64>(r.narrow.smax));
    }
}

template<class U>
bool empty(const Bounds<U>& b) {
    return b.umin > b.umax || b.smin > b.smax;
}

template<class U>
Bounds<U> anything() {
    return {};
}

/// An end-to-end result [low, high] in wider arithmetic: kept if both ends wrap equally often.
template<class T, class W>
void keep_if_contiguous(W low, W high, T& out_low, T& out_high) {
    const auto wraps = [](W v) { return (v - static_cast<W>(static_cast<T>(v))); };
    if (wraps(low) != wraps(high)) return;
    out_low = static_cast<T>(low);
    out_high = static_cast<T>(high);
}

template<class U>
Bounds<U> bounds_add(const Bounds<U>& a, const Bounds<U>& b) {
    using S = typename Bounds<U>::S;
    using W = __int128;
    Bounds<U> r;
    keep_if_contiguous<U, W>(W{a.umin} + b.umin, W{a.umax} + b.umax, r.umin, r.umax);
    keep_if_contiguous<S, W>(W{a.smin} + b.smin, W{a.smax} + b.smax, r.smin, r.smax);
    return r;
}

template<class U>
Bounds<U> bounds_sub(const Bounds<U>& a, const Bounds<U>& b) {
    using S = typename Bounds<U>::S;
    using W = __int128;
    Bounds<U> r;
    keep_if_contiguous<U, W>(W{a.umin} - b.umax, W{a.umax} - b.umin, r.umin, r.umax);
    keep_if_contiguous<S, W>(W{a.smin} - b.smax, W{a.smax} - b.smin, r.smin, r.smax);
    return r;
}

template<class U>
Bounds<U> bounds_mul(const Bounds<U>& a, const Bounds<U>& b) {
    using S = typename Bounds<U>::S;
    Bounds<U> r;
    if (static_cast<unsigned __int128>(a.umax) * b.umax <= std::numeric_limits<U>::max()) {
        r.umin = static_cast<U>(a.umin * b.umin);
        r.umax = static_cast<U>(a.umax * b.umax);
    }
    const auto product = [](S x, S y) { return static_cast<__int128>(x) * y; };
    const auto ends = std::minmax(
        {product(a.smin, b.smin), product(a.smin, b.smax), product(a.smax, b.smin), product(a.smax, b.smax)});
    if (ends.first >= std::numeric_limits<S>::min() && ends.second <= std::numeric_limits<S>::max()) {
        r.smin = static_cast<S>(ends.first);
        r.smax = static_cast<S>(ends.second);
    }
    return r;
}

template<class U>
Bounds<U> bounds_lsh(const Bounds<U>& a, unsigned count) {
    using S = typename Bounds<U>::S;
    Bounds<U> r;
    if (a.umax <= std::numeric_limits<U>::max() >> count) {
        r.umin = static_cast<U>(a.umin << count);
        r.umax = static_cast<U>(a.umax << count);
    }
    const auto shifted = [count](S v) { return static_cast<S>(static_cast<U>(v) << count); };
    const auto fits = [&](S v) { return (shifted(v) >> count) == v; };
    if (fits(a.smin) && fits(a.smax)) {
        r.smin = shifted(a.smin);
        r.smax = shifted(a.smax);
    }
    return r;
}

template<class U>
Bounds<U> bounds_rsh(const Bounds<U>& a, unsigned count) {
    Bounds<U> r;
    r.umin = a.umin >> count;
    r.umax = a.umax >> count;
    return r;
}

template<class U>
Bounds<U> bounds_arsh(const Bounds<U>& a, unsigned count) {
    using S = typename Bounds<U>::S;
    Bounds<U> r;
    r.smin = static_cast<S>(a.smin >> count);
    r.smax = static_cast<S>(a.smax >> count);
    return r;
}

template<class U>
Bounds<U> bounds_bitwise(Code code, const Bounds<U>& a, const Bounds<U>& b) {
    Bounds<U> r;
    if (code == Code::and_) r.umax = std::min(a.umax, b.umax);
    if (code == Code::or_) r.umin = std::max(a.umin, b.umin);
    return r;
}

/// Drops what only holds for 64 bits; the caller has narrow and the low bits right.
Range zero_extend(const Range& r) {
    Range out;
    out.bits = r.bits.low(32);
    out.narrow = r.narrow;
    out.wide.umin = r.narrow.umin;
    out.wide.umax = r.narrow.umax;
    out.wide.smin = r.narrow.umin;
    out.wide.smax = r.narrow.umax;
    (void)out.sync();
    return out;
}

/// Shifts of `width` bits by a known count; 32-bit ones leave the result in the low half.
Range range_shift(Code code, unsigned width, const Range& dst, unsigned count) {
    Range r;
    switch (code) {
    case Code::lsh: r.bits = tnum_lsh(dst.bits, count); break;
    case Code::rsh: r.bits = tnum_rsh(dst.bits.low(width), count); break;
    default: r.bits = tnum_arsh(dst.bits, count, width); break;
    }
    const auto bounds = [&](const auto& b) {
        switch (code) {
        case Code::lsh: return bounds_lsh(b, count);
        case Code::rsh: return bounds_rsh(b, count);
        default: return bounds_arsh(b, count);
        }
    };
    if (width == 64)
        r.wide = bounds(dst.wide);
    else
        r.narrow = bounds(dst.narrow);
    return r;
}

/// Operations whose low half depends on the operands' low halves only.
Range range_low_first(Code code, const Range& a, const Range& b) {
    Range r;
    switch (code) {
    case Code::add:
        r.bits = tnum_add(a.bits, b.bits);
        r.wide = bounds_add(a.wide, b.wide);
        r.narrow = bounds_add(a.narrow, b.narrow);
        break;
    case Code::sub:
        r.bits = tnum_sub(a.bits, b.bits);
        r.wide = bounds_sub(a.wide, b.wide);
        r.narrow = bounds_sub(a.narrow, b.narrow);
        break;
    case Code::mul:
        r.bits = tnum_mul(a.bits, b.bits);
        r.wide = bounds_mul(a.wide, b.wide);
        r.narrow = bounds_mul(a.narrow, b.narrow);
        break;
    case Code::and_: r.bits = tnum_and(a.bits, b.bits); break;
    case Code::or_: r.bits = tnum_or(a.bits, b.bits); break;
    case Code::xor_: r.bits = tnum_xor(a.bits, b.bits); break;
    default: return r;
    }
    if (code == Code::and_ || code == Code::or_) {
        r.wide = bounds_bitwise(code, a.wide, b.wide);
        r.narrow = bounds_bitwise(code, a.narrow, b.narrow);
    }
    return r;
}

/// Forgets the upper halves, so that a 32-bit operation cannot use them.
Range low_half(const Range& r) {
    Range out;
    out.bits = Tnum::unknown().with_low32(r.bits);
    out.narrow = r.narrow;
    return out;
}

template<class U>
bool refine_bounds(Code code, Bounds<U>& a, Bounds<U>& b) {
    switch (code) {
    case Code::jeq:
        a.umin = b.umin = std::max(a.umin, b.umin);
        a.umax = b.umax = std::min(a.umax, b.umax);
        a.smin = b.smin = std::max(a.smin, b.smin);
        a.smax = b.smax = std::min(a.smax, b.smax);
        break;
    case Code::jne: {
        const auto cut = [](Bounds<U>& x, const Bounds<U>& c) {
            if (c.umin != c.umax) return true;
            using S = typename Bounds<U>::S;
            const U v = c.umin;
            if (x.umin == x.umax && x.umin == v) return false;
            if (x.umin == v) ++x.umin;
            if (x.umax == v) --x.umax;
            if (x.smin == x.smax && x.smin == static_cast<S>(v)) return false;
            if (x.smin == static_cast<S>(v)) ++x.smin;
            if (x.smax == static_cast<S>(v)) --x.smax;
            return true;
        };
        return cut(a, b) && cut(b, a);
    }
    case Code::jlt: // a < b
        if (b.umax == 0 || a.umin == std::numeric_limits<U>::max()) return false;
        lower(a.umax, static_cast<U>(b.umax - 1));
        raise(b.umin, static_cast<U>(a.umin + 1));
        break;
    case Code::jle:
        lower(a.umax, b.umax);
        raise(b.umin, a.umin);
        break;
    case Code::jslt: {
        using S = typename Bounds<U>::S;
        if (b.smax == std::numeric_limits<S>::min() || a.smin == std::numeric_limits<S>::max()) return false;
        lower(a.smax, static_cast<S>(b.smax - 1));
        raise(b.smin, static_cast<S>(a.smin + 1));
        break;
    }
    case Code::jsle:
        lower(a.smax, b.smax);
        raise(b.smin, a.smin);
        break;
    default: break;
    }
    return !empty(a) && !empty(b);
}

bool refine_wide_or_narrow(Code code, unsigned width, Range& a, Range& b) {
    return width == 64 ? refine_bounds(code, a.wide, b.wide) : refine_bounds(code, a.narrow, b.narrow);
}

/// Equal numbers have equal bits.
bool refine_equal_bits(unsigned width, Range& a, Range& b) {
    Tnum both;
    if (width == 64) {
        if (!tnum_meet(a.bits, b.bits, both)) return false;
        a.bits = b.bits = both;
        return true;
    }
    if (!tnum_meet(a.bits.low(32), b.bits.low(32), both)) return false;
    a.bits = a.bits.with_low32(both);
    b.bits = b.bits.with_low32(both);
    return true;
}

/// jset with a constant on one side.
bool refine_test_bits(bool outcome, unsigned width, Range& a, const Range& b) {
    const Tnum mask = b.bits.low(width);
    if (!mask.is_const()) return true;
    const Tnum tested = a.bits.low(width);
    if (outcome) {
        if ((tested.max() & mask.value) == 0) return false;
        const u64 possible = tested.max() & mask.value;
        // One bit is left that can be set: it is.
        if ((possible & (possible - 1)) == 0) {
            a.bits.value |= possible;
            a.bits.mask &= ~possible;
        }
        return true;
    }
    if ((tested.value & mask.value) != 0) return false;
    a.bits.mask &= ~mask.value;
    return true;
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

} // namespace

Range Range::constant(u64 v) {
    return {Tnum::constant(v), Bounds<u64>::constant(v), Bounds<u32>::constant(static_cast<u32>(v))};
}

Range Range::of_width(unsigned bits) {
    Range r;
    r.bits = r.bits.low(bits);
    (void)r.sync();
    return r;
}

bool Range::sync() {
    // Each round only narrows; three settle all but contrived cases, and stopping early is sound.
    for (int round = 0; round < 3; ++round) {
        const Range before = *this;
        learn_bits(wide, bits);
        learn_bits(narrow, bits);
        learn_signs(wide);
        learn_narrow(*this);
        learn_signs(narrow);
        learn_wide(*this);
        learn_signs(wide);
        if (empty(wide) || empty(narrow)) return false;
        Tnum met;
        if (!tnum_meet(bits, Tnum::range(wide.umin, wide.umax), met)) return false;
        const Tnum low_half_bits = Tnum::unknown().with_low32(Tnum::range(narrow.umin, narrow.umax));
        if (!tnum_meet(met, low_half_bits, bits)) return false;
        if (*this == before) break;
    }
    return true;
}

Range range_alu(Code code, unsigned width, const Range& dst, const Range& src) {
    const bool narrow = width == 32;
    const Range a = narrow ? low_half(dst) : dst;
    const Range b = narrow ? low_half(src) : src;
    Range r;
    switch (code) {
    case Code::add:
    case Code::sub:
    case Code::mul:
    case Code::and_:
    case Code::or_:
    case Code::xor_: r = range_low_first(code, a, b); break;
    case Code::lsh:
    case Code::rsh:
    case Code::arsh: {
        // As in Linux: by an unknown count, or too far, anything may come, not even of 32 bits.
        const Bounds<u64> count = narrow ? zero_extend(b).wide : b.wide;
        if (!count.is_const() || count.umax >= width) return r;
        r = range_shift(code, width, a, static_cast<unsigned>(count.umax));
        break;
    }
    case Code::neg: r = range_low_first(Code::sub, Range::constant(0), a); break;
    case Code::mov: r = b; break;
    case Code::movsx8: return narrow ? range_truncate(range_sign_extend(b, 8), 32) : range_sign_extend(b, 8);
    case Code::movsx16:
        return narrow ? range_truncate(range_sign_extend(b, 16), 32) : range_sign_extend(b, 16);
    case Code::movsx32: return range_sign_extend(b, 32);
    default: return r; // division and modulo: as in Linux 6.18, anything
    }
    if (narrow) return zero_extend(r);
    (void)r.sync();
    return r;
}

Range range_truncate(const Range& range, unsigned bits) {
    if (bits == 64) return range;
    if (bits == 32) return zero_extend(range);
    Range r;
    r.bits = range.bits.low(bits);
    const u64 most = (u64{1} << bits) - 1;
    if ((range.wide.umin & ~most) == (range.wide.umax & ~most)) {
        r.wide.umin = range.wide.umin & most;
        r.wide.umax = range.wide.umax & most;
    }
    (void)r.sync();
    return r;
}

Range range_sign_extend(const Range& range, unsigned bits) {
    if (bits == 64) return range;
    Range r;
    r.bits = range.bits.sign_extended(bits);
    const i64 most = static_cast<i64>((u64{1} << (bits - 1)) - 1);
    const i64 least = -most - 1;
    if (bits == 32) {
        r.wide.smin = range.narrow.smin;
        r.wide.smax = range.narrow.smax;
        r.narrow = range.narrow;
    } else if (range.wide.smin >= least && range.wide.smax <= most) {
        r.wide.smin = range.wide.smin;
        r.wide.smax = range.wide.smax;
    } else {
        r.wide.smin = least;
        r.wide.smax = most;
    }
    (void)r.sync();
    return r;
}

bool range_refine(Code code, bool outcome, unsigned width, Range& a, Range& b) {
    if (code == Code::jset) {
        if (!refine_test_bits(outcome, width, a, b) || !refine_test_bits(outcome, width, b, a)) return false;
        return a.sync() && b.sync();
    }
    const Code holds = outcome ? code : opposite(code);
    bool possible = true;
    switch (holds) {
    case Code::jgt: possible = refine_wide_or_narrow(Code::jlt, width, b, a); break;
    case Code::jge: possible = refine_wide_or_narrow(Code::jle, width, b, a); break;
    case Code::jsgt: possible = refine_wide_or_narrow(Code::jslt, width, b, a); break;
    case Code::jsge: possible = refine_wide_or_narrow(Code::jsle, width, b, a); break;
    case Code::jeq:
        possible = refine_equal_bits(width, a, b) && refine_wide_or_narrow(Code::jeq, width, a, b);
        break;
    default: possible = refine_wide_or_narrow(holds, width, a, b); break;
    }
    return possible && a.sync() && b.sync();
}

} // namespace xdplane
