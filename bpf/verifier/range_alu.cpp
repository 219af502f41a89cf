// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>

#include "bpf/verifier/range.h"

/// What arithmetic makes of ranges.
namespace xdplane {
namespace {

template<class U>
using Signed = typename Bounds<U>::S;

template<class U>
void forget_signed(Bounds<U>& b) {
    b.smin = std::numeric_limits<Signed<U>>::min();
    b.smax = std::numeric_limits<Signed<U>>::max();
}
template<class U>
void forget_unsigned(Bounds<U>& b) {
    b.umin = 0;
    b.umax = std::numeric_limits<U>::max();
}

/// The signed bounds are the unsigned ones, if those do not cross the sign's border.
template<class U>
void signed_as_unsigned(Bounds<U>& b) {
    b.smin = static_cast<Signed<U>>(b.umin);
    b.smax = static_cast<Signed<U>>(b.umax);
    if (b.smin > b.smax) forget_signed(b);
}

/// Bounds from end to end of a sum or difference, computed without overflow. Unsigned ones may wrap if both
/// ends do; signed ones may not.
template<class U>
Bounds<U> from_ends(__int128 umin, __int128 umax, __int128 smin, __int128 smax) {
    using S = Signed<U>;
    Bounds<U> r;
    const auto wraps = [](__int128 v) { return v != static_cast<U>(v); };
    const auto fits = [](__int128 v) { return v == static_cast<S>(v); };
    if (wraps(umin) == wraps(umax)) {
        r.umin = static_cast<U>(umin);
        r.umax = static_cast<U>(umax);
    }
    if (fits(smin) && fits(smax)) {
        r.smin = static_cast<S>(smin);
        r.smax = static_cast<S>(smax);
    }
    return r;
}

template<class U>
Bounds<U> bounds_add(const Bounds<U>& a, const Bounds<U>& b) {
    using W = __int128;
    return from_ends<U>(W{a.umin} + b.umin, W{a.umax} + b.umax, W{a.smin} + b.smin, W{a.smax} + b.smax);
}

template<class U>
Bounds<U> bounds_sub(const Bounds<U>& a, const Bounds<U>& b) {
    using W = __int128;
    return from_ends<U>(W{a.umin} - b.umax, W{a.umax} - b.umin, W{a.smin} - b.smax, W{a.smax} - b.smin);
}

template<class U>
Bounds<U> bounds_mul(const Bounds<U>& a, const Bounds<U>& b) {
    using S = Signed<U>;
    Bounds<U> r;
    if (static_cast<unsigned __int128>(a.umax) * b.umax <= std::numeric_limits<U>::max()) {
        r.umin = static_cast<U>(a.umin * b.umin);
        r.umax = static_cast<U>(a.umax * b.umax);
    }
    using W = __int128;
    const auto [low, high] =
        std::minmax({W{a.smin} * b.smin, W{a.smin} * b.smax, W{a.smax} * b.smin, W{a.smax} * b.smax});
    if (low >= std::numeric_limits<S>::min() && high <= std::numeric_limits<S>::max()) {
        r.smin = static_cast<S>(low);
        r.smax = static_cast<S>(high);
    }
    return r;
}

/// Bounds of and, or, xor; `bits` is what is known of the result.
template<class U>
Bounds<U> bounds_bitwise(Code code, const Bounds<U>& a, const Bounds<U>& b, const Tnum& bits) {
    Bounds<U> r;
    r.umin = static_cast<U>(bits.min());
    r.umax = static_cast<U>(bits.max());
    if (code == Code::and_) r.umax = std::min(a.umax, b.umax);
    if (code == Code::or_) r.umin = std::max(a.umin, b.umin);
    signed_as_unsigned(r);
    return r;
}

template<class U>
Bounds<U> bounds_lsh(const Bounds<U>& a, unsigned count) {
    constexpr unsigned kSignBit = sizeof(U) * 8 - 1;
    Bounds<U> r;
    if (count <= kSignBit && a.umax <= U{1} << (kSignBit - count)) {
        r.umin = static_cast<U>(a.umin << count);
        r.umax = static_cast<U>(a.umax << count);
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
    Bounds<U> r;
    r.smin = static_cast<Signed<U>>(a.smin >> count);
    r.smax = static_cast<Signed<U>>(a.smax >> count);
    return r;
}

/// The low half as it is, the high half 0.
Range zero_extend(const Range& r) {
    Range out;
    out.bits = r.bits.low(32);
    out.narrow = r.narrow;
    out.wide.umin = r.narrow.umin;
    out.wide.umax = r.narrow.umax;
    out.wide.smin = 0;
    out.wide.smax = std::numeric_limits<u32>::max();
    if (r.narrow.smin >= 0 && r.narrow.smax >= 0) {
        out.wide.smin = r.narrow.smin;
        out.wide.smax = r.narrow.smax;
    }
    return out;
}

/// Shifts of `width` bits by a known count; 32-bit ones leave the result in the low half.
Range range_shift(Code code, unsigned width, const Range& dst, unsigned count) {
    Range r;
    const Tnum bits = dst.bits.low(width);
    switch (code) {
    case Code::lsh: r.bits = tnum_lsh(bits, count).low(width); break;
    case Code::rsh: r.bits = tnum_rsh(bits, count); break;
    default: r.bits = tnum_arsh(bits, count, width); break;
    }
    const auto bounds = [&](const auto& b) {
        switch (code) {
        case Code::lsh: return bounds_lsh(b, count);
        case Code::rsh: return bounds_rsh(b, count);
        default: return bounds_arsh(b, count);
        }
    };
    if (width == 32) {
        r.narrow = bounds(dst.narrow);
        return r;
    }
    r.wide = bounds(dst.wide);
    if (code != Code::lsh) return r;
    r.narrow = bounds_lsh(dst.narrow, count);
    if (count == 32) { // half of what compilers sign-extend with
        r.wide.smin = i64{dst.narrow.smin} * (i64{1} << 32);
        r.wide.smax = i64{dst.narrow.smax} * (i64{1} << 32);
    }
    return r;
}

/// Both halves at once: the low half of the result depends on those of the operands only.
Range range_arithmetic(Code code, const Range& a, const Range& b) {
    switch (code) {
    case Code::add:
        return {tnum_add(a.bits, b.bits), bounds_add(a.wide, b.wide), bounds_add(a.narrow, b.narrow)};
    case Code::sub:
        return {tnum_sub(a.bits, b.bits), bounds_sub(a.wide, b.wide), bounds_sub(a.narrow, b.narrow)};
    default: return {tnum_mul(a.bits, b.bits), bounds_mul(a.wide, b.wide), bounds_mul(a.narrow, b.narrow)};
    }
}

Range range_bitwise(Code code, const Range& a, const Range& b) {
    const Tnum bits = code == Code::and_  ? tnum_and(a.bits, b.bits)
                      : code == Code::or_ ? tnum_or(a.bits, b.bits)
                                          : tnum_xor(a.bits, b.bits);
    if (bits.is_const() && b.bits.is_const()) return Range::constant(bits.value);
    Range r{bits, bounds_bitwise(code, a.wide, b.wide, bits), bounds_bitwise(code, a.narrow, b.narrow, bits)};
    const Tnum low = bits.low(32);
    if (low.is_const() && b.bits.low(32).is_const())
        r.narrow = Bounds<u32>::constant(static_cast<u32>(low.value));
    return r;
}

/// By an unknown count, or too far, anything may come.
std::optional<unsigned> shift_count(unsigned width, const Range& src) {
    const bool known = width == 32 ? src.bits.low(32).is_const() && src.narrow.is_const()
                                   : src.bits.is_const() && src.wide.is_const();
    if (!known || src.wide.umax >= width) return std::nullopt;
    return static_cast<unsigned>(src.wide.umax);
}

/// Sign extension within the low half. The high half is whatever, for zero_extend().
Range sign_extend_low(const Range& range, unsigned bits) {
    Range r;
    if (range.is_const()) {
        const u64 v = range.bits.sign_extended(bits).value;
        r.bits = Tnum::constant(v);
        r.narrow = Bounds<u32>::constant(static_cast<u32>(v));
        return r;
    }
    const auto extended = [bits](i32 v) {
        return static_cast<i32>(static_cast<u32>(v) << (32 - bits)) >> (32 - bits);
    };
    const u32 first = static_cast<u32>(range.narrow.smin);
    const u32 last = static_cast<u32>(range.narrow.smax);
    const auto [least, most] = std::minmax({extended(range.narrow.smin), extended(range.narrow.smax)});
    if (first >> bits == last >> bits && (least < 0) == (most < 0)) {
        r.bits = Tnum::range(static_cast<u64>(i64{least}), static_cast<u64>(i64{most})).low(32);
        r.narrow = {static_cast<u32>(least), static_cast<u32>(most), least, most};
        return r;
    }
    r.bits = r.bits.low(32);
    r.narrow.smin = static_cast<i32>(-(u32{1} << (bits - 1)));
    r.narrow.smax = static_cast<i32>((u32{1} << (bits - 1)) - 1);
    return r;
}

/// The result of a move: not checked for consistence, as nothing was computed.
std::optional<Range> range_move(Code code, unsigned width, const Range& src) {
    Range r = src;
    switch (code) {
    case Code::mov: break;
    case Code::movsx8:
    case Code::movsx16: {
        const unsigned bits = code == Code::movsx8 ? 8 : 16;
        r = width == 32 ? sign_extend_low(src, bits) : range_sign_extend(src, bits);
        break;
    }
    case Code::movsx32: r = range_sign_extend(src, 32); break;
    default: return std::nullopt;
    }
    if (width == 64) return r;
    r = zero_extend(r);
    r.sync();
    return r;
}

/// Known operands: what the long way comes to as well, in a fraction of the time. Loops count with these.
std::optional<u64> constant_alu(Code code, u64 a, u64 b) {
    switch (code) {
    case Code::add: return a + b;
    case Code::sub: return a - b;
    case Code::mul: return a * b;
    case Code::and_: return a & b;
    case Code::or_: return a | b;
    case Code::xor_: return a ^ b;
    default: return std::nullopt;
    }
}

} // namespace

Range range_alu(Code code, unsigned width, const Range& dst, const Range& src) {
    if (const auto moved = range_move(code, width, src)) return *moved;
    if (dst.is_const() && src.is_const())
        if (const auto known = constant_alu(code, dst.value(), src.value()))
            return Range::constant(width == 64 ? *known : static_cast<u32>(*known));
    Range r;
    switch (code) {
    case Code::add:
    case Code::sub:
    case Code::mul: r = range_arithmetic(code, dst, src); break;
    case Code::neg: r = range_arithmetic(Code::sub, Range::constant(0), dst); break;
    case Code::and_:
    case Code::or_:
    case Code::xor_: r = range_bitwise(code, dst, src); break;
    case Code::lsh:
    case Code::rsh:
    case Code::arsh: {
        const auto count = shift_count(width, src);
        if (!count) return r;
        r = range_shift(code, width, dst, *count);
        break;
    }
    default: return r;
    }
    if (width == 32) r = zero_extend(r);
    r.sync();
    r.settle();
    return r;
}

Range range_swap(Code code, unsigned width, const Range& dst) {
    Range r = dst;
    const bool swaps = code != Code::to_le;
    if (swaps) {
        r = Range::unknown();
        r.bits = dst.bits.swapped(width);
    }
    r = range_truncate(r, width);
    r.sync();
    r.settle();
    return r;
}

std::optional<RangeFork> range_fork(Code code, const Range& dst, const Range& src) {
    if ((code != Code::and_ && code != Code::or_) || !src.is_const()) return std::nullopt;
    if (dst.wide.smin == -1 && dst.wide.smax == 0)
        return RangeFork{Range::constant(~u64{0}), Range::constant(0)};
    if (dst.narrow.smin != -1 || dst.narrow.smax != 0) return std::nullopt;
    RangeFork fork{dst, dst};
    const auto set_low = [](Range& r, u32 low) {
        r.bits = r.bits.with_low32(Tnum::constant(low));
        r.narrow = Bounds<u32>::constant(low);
    };
    set_low(fork.minus_one, ~u32{0});
    set_low(fork.zero, 0);
    return fork;
}

Range range_offset(Code code, const Range& pointer, const Range& number) {
    const Bounds<u64>& p = pointer.wide;
    const Bounds<u64>& n = number.wide;
    Range r;
    r.wide = code == Code::add ? bounds_add(p, n) : bounds_sub(p, n);
    r.bits = code == Code::add ? tnum_add(pointer.bits, number.bits) : tnum_sub(pointer.bits, number.bits);
    // Unlike those of numbers, unsigned bounds must not wrap.
    const bool wraps = code == Code::add ? p.umax + n.umax < p.umax : p.umin < n.umax;
    if (wraps) forget_unsigned(r.wide);
    r.sync();
    return r;
}

} // namespace xdplane
