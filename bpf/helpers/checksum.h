// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <bit>

#include "bpf/base/types.h"

/// Arithmetic of the Internet checksum (RFC 1071, RFC 1624). Sums are 32 bits wide, in ones' complement: zero
/// has two forms, and programs can see which one comes out, so these are Linux's formulas step by step.
namespace xdplane::checksum {

/// Ones' complement addition: 0 only if both are 0.
constexpr u32 add(u32 a, u32 b) noexcept {
    const u32 sum = a + b;
    return sum + (sum < b ? 1 : 0);
}
constexpr u32 subtract(u32 a, u32 b) noexcept { return add(a, ~b); }
/// The sum of bytes that begin at `offset` of what the whole sum is of.
constexpr u32 at_offset(u32 sum, u64 offset) noexcept { return (offset & 1) != 0 ? std::rotr(sum, 8) : sum; }
/// What goes into a header: 16 bits, complemented.
constexpr u16 fold(u32 sum) noexcept {
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<u16>(~sum);
}

/// The sum of `size` bytes, taken as little-endian words; a last odd part counts as padded with zeros.
[[nodiscard]] u32 of(const void* memory, u32 size) noexcept;

/// A header's checksum after a field of it changed by `difference`, from `from` to `to`; 16 bits: both below
/// 2^16.
constexpr u16 replace_by_difference(u16 sum, u32 difference) noexcept {
    return fold(add(difference, ~u32{sum}));
}
constexpr u16 replace16(u16 sum, u16 from, u16 to) noexcept {
    const auto plus = [](u16 a, u16 b) {
        const u16 c = static_cast<u16>(a + b);
        return static_cast<u16>(c + (c < b ? 1 : 0));
    };
    return static_cast<u16>(~plus(plus(static_cast<u16>(~sum), static_cast<u16>(~from)), to));
}
constexpr u16 replace32(u16 sum, u32 from, u32 to) noexcept {
    return fold(add(subtract(~u32{sum}, from), to));
}

} // namespace xdplane::checksum
