// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/verifier/range.h"

#include <algorithm>

namespace xdplane {
namespace {

constexpr u64 kHigh32 = ~u64{0} << 32;

template<class T>
void raise(T& low, T floor) {
    low = std::max(low, floor);
}
template<class T>
void lower(T& high, T ceiling) {
    high = std::min(high, ceiling);
}

u32 low_half(u64 v) { return static_cast<u32>(v); }
u32 high_half(u64 v) { return static_cast<u32>(v >> 32); }

/// Bounds from known bits (of the low bits of `bits`, as many as U has).
template<class U>
void learn_bits(Bounds<U>& b, const Tnum& bits) {
    using S = typename Bounds<U>::S;
    constexpr U kSign = U{1} << (sizeof(U) * 8 - 1);
    const U value = static_cast<U>(bits.value);
    const U mask = static_cast<U>(bits.mask);
    raise(b.smin, static_cast<S>(value | (mask & kSign)));
    lower(b.smax, static_cast<S>(value | (mask & static_cast<U>(~kSign))));
    raise(b.umin, value);
    lower(b.umax, static_cast<U>(value | mask));
}

/// The only number that is both between the unsigned bounds and of these bits, if Linux sees it.
std::optional<u64> single_number(const Bounds<u64>& b, const Tnum& bits) {
    const bool first_fits = bits.contains(b.umin);
    const u64 next = bits.next(b.umin);
    if (first_fits) return next > b.umax ? std::optional(b.umin) : std::nullopt;
    if (next == bits.max()) return next;
    if (next <= b.umax && bits.next(next) > b.umax) return next;
    return std::nullopt;
}

void learn_bits(Range& r) {
    learn_bits(r.narrow, r.bits);
    learn_bits(r.wide, r.bits);
    if (const auto single = single_number(r.wide, r.bits)) r = Range::constant(*single);
}

template<class U>
void raise_and_lower(Bounds<U>& b, U low, U high) {
    raise(b.umin, low);
    lower(b.umax, high);
}
template<class U>
void raise_and_lower_signed(Bounds<U>& b, U low, U high) {
    using S = typename Bounds<U>::S;
    raise(b.smin, static_cast<S>(low));
    lower(b.smax, static_cast<S>(high));
}

template<class U>
bool ordered_as_signed(U low, U high) {
    using S = typename Bounds<U>::S;
    return static_cast<S>(low) <= static_cast<S>(high);
}

/// The low half from numbers that run from `low` to `high`, which are read as unsigned or as signed.
void learn_narrow(Bounds<u32>& n, u64 low, u64 high) {
    if (high_half(low) != high_half(high)) return;
    // Within one stretch of 2^32 the low halves run from end to end, if they do not wrap.
    if (low_half(low) <= low_half(high)) raise_and_lower(n, low_half(low), low_half(high));
    if (ordered_as_signed(low_half(low), low_half(high)))
        raise_and_lower_signed(n, low_half(low), low_half(high));
}

/// Likewise where they run over one border between such stretches, as -1 to 1 does.
void learn_narrow_across(Bounds<u32>& n, u64 low, u64 high) {
    if (high_half(low) + 1 != high_half(high)) return;
    if (static_cast<i32>(low_half(low)) < 0 && static_cast<i32>(low_half(high)) >= 0)
        raise_and_lower_signed(n, low_half(low), low_half(high));
}

/// Signed bounds from unsigned ones and back.
template<class U>
void learn_signs(Bounds<U>& b) {
    if (ordered_as_signed(b.umin, b.umax)) raise_and_lower_signed(b, b.umin, b.umax);
    if (static_cast<U>(b.smin) <= static_cast<U>(b.smax))
        raise_and_lower(b, static_cast<U>(b.smin), static_cast<U>(b.smax));
}

/// Signed bounds from below to above 0 are two stretches of unsigned numbers, [0, smax] and [smin, all ones]:
/// the unsigned bounds may leave only one.
template<class U>
void learn_signs_across(Bounds<U>& b) {
    using S = typename Bounds<U>::S;
    const U low = static_cast<U>(b.smin);
    const U high = static_cast<U>(b.smax);
    if (low <= high) return;
    if (b.umax < low) {
        b.smin = static_cast<S>(b.umin);
        lower(b.umax, high);
    } else if (high < b.umin) {
        b.smax = static_cast<S>(b.umax);
        raise(b.umin, low);
    }
}

/// The whole from its low half.
void learn_wide(Range& r) {
    const auto with_low = [](u64 v, u32 low) { return (v & kHigh32) | low; };
    raise_and_lower(r.wide, with_low(r.wide.umin, r.narrow.umin), with_low(r.wide.umax, r.narrow.umax));
    raise_and_lower_signed(r.wide, with_low(static_cast<u64>(r.wide.smin), r.narrow.umin),
                           with_low(static_cast<u64>(r.wide.smax), r.narrow.umax));
    // A number that sign extension of its low half does not change, and the low half is not negative.
    const bool fits =
        r.wide.smin >= std::numeric_limits<i32>::min() && r.wide.smax <= std::numeric_limits<i32>::max();
    if (r.narrow.smin < 0 || !fits) return;
    r.wide.smin = r.narrow.smin;
    r.wide.smax = r.narrow.smax;
    r.wide.umin = static_cast<u64>(r.wide.smin);
    r.wide.umax = static_cast<u64>(r.wide.smax);
    tnum_meet(r.bits, Tnum::range(r.wide.umin, r.wide.umax), r.bits);
}

void learn_bounds(Range& r) {
    const u64 smin = static_cast<u64>(r.wide.smin);
    const u64 smax = static_cast<u64>(r.wide.smax);
    learn_narrow(r.narrow, r.wide.umin, r.wide.umax);
    learn_narrow(r.narrow, smin, smax);
    learn_narrow_across(r.narrow, r.wide.umin, r.wide.umax);
    learn_narrow_across(r.narrow, smin, smax);
    learn_signs(r.narrow);
    learn_signs_across(r.narrow);
    learn_signs(r.wide);
    learn_signs_across(r.wide);
    learn_wide(r);
}

template<class U>
bool ordered(const Bounds<U>& b) {
    return b.umin <= b.umax && b.smin <= b.smax;
}

/// As the widest result of sign extension: nothing learnt from the parts.
Range any_signed(unsigned bits) {
    Range r;
    const i64 most = static_cast<i64>((u64{1} << (bits - 1)) - 1);
    r.wide.smin = -most - 1;
    r.wide.smax = most;
    r.narrow.smin = static_cast<i32>(-most - 1);
    r.narrow.smax = static_cast<i32>(most);
    return r;
}

i64 sign_extend(u64 v, unsigned bits) { return static_cast<i64>(v << (64 - bits)) >> (64 - bits); }

} // namespace

Range Range::constant(u64 v) {
    return {Tnum::constant(v), Bounds<u64>::constant(v), Bounds<u32>::constant(low_half(v))};
}

Range Range::of_width(unsigned bits) {
    // Every load asks.
    static const Range kOf32 = range_truncate(unknown(), 32);
    static const Range kOf16 = range_truncate(unknown(), 16);
    static const Range kOf8 = range_truncate(unknown(), 8);
    switch (bits) {
    case 32: return kOf32;
    case 16: return kOf16;
    case 8: return kOf8;
    default: return range_truncate(unknown(), bits);
    }
}

bool Range::sync() {
    learn_bits(*this);
    // Linux's number of rounds: another would at times learn more. One that learns nothing is the last.
    for (int round = 0; round < 3; ++round) {
        const Range before = *this;
        learn_bounds(*this);
        if (*this == before) break;
    }
    tnum_meet(bits, Tnum::range(wide.umin, wide.umax), bits);
    Tnum low;
    tnum_meet(bits.low(32), Tnum::range(narrow.umin, narrow.umax), low);
    bits = bits.with_low32(low);
    learn_bits(*this);
    return consistent();
}

bool Range::consistent() const {
    if (!ordered(wide) || !ordered(narrow)) return false;
    if (bits.is_const() && wide != Bounds<u64>::constant(bits.value)) return false;
    const Tnum low = bits.low(32);
    return !low.is_const() || narrow == Bounds<u32>::constant(low_half(low.value));
}

Range range_truncate(const Range& range, unsigned bits) {
    if (bits == 64) return range;
    const u64 most = (u64{1} << bits) - 1;
    Range r;
    r.bits = range.bits.low(bits);
    const bool one_stretch = (range.wide.umin & ~most) == (range.wide.umax & ~most);
    r.wide.umin = one_stretch ? range.wide.umin & most : 0;
    r.wide.umax = one_stretch ? range.wide.umax & most : most;
    r.wide.smin = static_cast<i64>(r.wide.umin);
    r.wide.smax = static_cast<i64>(r.wide.umax);
    if (bits == 32) r.narrow = range.narrow;
    r.sync();
    return r;
}

Range range_sign_extend(const Range& range, unsigned bits) {
    if (bits == 64) return range;
    if (range.is_const()) return Range::constant(static_cast<u64>(sign_extend(range.value(), bits)));
    const u64 first = static_cast<u64>(range.wide.smin);
    const u64 last = static_cast<u64>(range.wide.smax);
    if (first >> bits != last >> bits) return any_signed(bits);
    const auto [low, high] = std::minmax({sign_extend(first, bits), sign_extend(last, bits)});
    if ((low < 0) != (high < 0)) return any_signed(bits);
    Range r;
    r.bits = Tnum::range(static_cast<u64>(low), static_cast<u64>(high));
    r.wide = {static_cast<u64>(low), static_cast<u64>(high), low, high};
    r.narrow = {static_cast<u32>(low), static_cast<u32>(high), static_cast<i32>(low), static_cast<i32>(high)};
    return r;
}

} // namespace xdplane
