// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "bpf/verifier/range.h"

/// Abstract values with the numbers that they were made of: what operators on ranges are tested with.
namespace xdplane {

/// An abstract value, and all numbers that it was made of.
struct Sample {
    Range range;
    std::vector<u64> numbers;
};

/// Where things happen: around 0, the ends of i32 and u32, and those of i64.
inline constexpr u64 kPlaces[] = {
    0, u64{1} << 31, u64{1} << 32, u64{3} << 31, u64{1} << 63, (u64{1} << 63) + (u64{1} << 31)};

/// The least Range that holds all numbers, as the verifier would have come to it: bounds and bits.
inline Range range_of(const std::vector<u64>& numbers) {
    Range r;
    u64 ones = ~u64{0};
    u64 zeros = ~u64{0};
    r.wide = {numbers[0], numbers[0], static_cast<i64>(numbers[0]), static_cast<i64>(numbers[0])};
    r.narrow = Bounds<u32>::constant(static_cast<u32>(numbers[0]));
    for (const u64 v : numbers) {
        ones &= v;
        zeros &= ~v;
        const u32 n = static_cast<u32>(v);
        r.wide.umin = std::min(r.wide.umin, v);
        r.wide.umax = std::max(r.wide.umax, v);
        r.wide.smin = std::min(r.wide.smin, static_cast<i64>(v));
        r.wide.smax = std::max(r.wide.smax, static_cast<i64>(v));
        r.narrow.umin = std::min(r.narrow.umin, n);
        r.narrow.umax = std::max(r.narrow.umax, n);
        r.narrow.smin = std::min(r.narrow.smin, static_cast<i32>(n));
        r.narrow.smax = std::max(r.narrow.smax, static_cast<i32>(n));
    }
    r.bits = {ones, ~(ones | zeros)};
    return r;
}

/// Spans and bit patterns of up to 4 bits around each place, and some that are far apart.
inline const std::vector<Sample>& samples() {
    static const std::vector<Sample> kSamples = [] {
        std::vector<Sample> all;
        const auto add = [&](std::vector<u64> numbers) {
            all.push_back({range_of(numbers), std::move(numbers)});
        };
        for (const u64 place : kPlaces) {
            for (i64 low = -4; low < 4; ++low)
                for (i64 high = low; high < 4; high += 1 + (high > low + 2 ? 2 : 0)) {
                    std::vector<u64> span;
                    for (i64 v = low; v <= high; ++v) span.push_back(place + static_cast<u64>(v));
                    add(span);
                }
            for (const u64 mask : {u64{5}, u64{10}, u64{12}}) {
                std::vector<u64> pattern;
                for (u64 v = 0; v < 16; ++v)
                    if ((v & ~mask) == 0) pattern.push_back(place + v);
                add(pattern);
            }
        }
        for (const u64 a : kPlaces)
            for (const u64 b : kPlaces)
                if (a < b) add({a, a + 1, b - 1, b});
        return all;
    }();
    return kSamples;
}

inline std::string text(const Range& r) {
    return fmt::format("u[{:x},{:x}] s[{:x},{:x}] u32[{:x},{:x}] s32[{:x},{:x}] ({:x};{:x})", r.wide.umin,
                       r.wide.umax, r.wide.smin, r.wide.smax, r.narrow.umin, r.narrow.umax, r.narrow.smin,
                       r.narrow.smax, r.bits.value, r.bits.mask);
}

struct CodeRow {
    Code code;
    const char* name;
};

/// Every abstract value of so many bits, as a Range: all bit patterns within all bounds.
inline std::vector<Sample> all_narrow(u64 place, unsigned bits_wide = 4) {
    const u64 end = u64{1} << bits_wide;
    std::vector<Sample> all;
    std::set<std::array<u64, 10>> known;
    const auto add = [&](const Tnum& bits, u64 low, u64 high) {
        Sample sample;
        for (u64 v = low; v <= high; ++v)
            if (bits.contains(v)) sample.numbers.push_back(place + v);
        if (sample.numbers.empty()) return;
        sample.range = Range::unknown();
        sample.range.bits = {place + bits.value, bits.mask};
        sample.range.wide.umin = place + low;
        sample.range.wide.umax = place + high;
        sample.range.sync();
        const auto& [wide, narrow] = std::tie(sample.range.wide, sample.range.narrow);
        const auto unsign = [](i64 v) { return static_cast<u64>(v); };
        if (known
                .insert({sample.range.bits.value, sample.range.bits.mask, wide.umin, wide.umax,
                         unsign(wide.smin), unsign(wide.smax), narrow.umin, narrow.umax, unsign(narrow.smin),
                         unsign(narrow.smax)})
                .second)
            all.push_back(std::move(sample));
    };
    for (u64 mask = 0; mask < end; ++mask)
        for (u64 value = 0; value < end; ++value)
            for (u64 low = 0; (value & mask) == 0 && low < end; ++low)
                for (u64 high = low; high < end; ++high) add({value, mask}, low, high);
    return all;
}

} // namespace xdplane
