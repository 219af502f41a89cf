// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "bpf/maps/words.h"

/// The hash function of hashes and bloom filters.
namespace xdplane {

inline constexpr u64 kMixMultiplier = 0x9e3779b97f4a7c15ULL; // 2^64 divided by the golden ratio

/// The halves of a 128-bit product, folded: spreads every input bit over the whole word.
[[nodiscard]] inline u64 mix_words(u64 a, u64 b) noexcept {
    __extension__ using u128 = unsigned __int128;
    const u128 product = u128{a} * b;
    return static_cast<u64>(product) ^ static_cast<u64>(product >> 64);
}

/// The hash of no byte of a key that has `size`.
[[nodiscard]] constexpr u64 mix_start(u32 size, u64 seed) noexcept { return seed ^ (size * kMixMultiplier); }

[[nodiscard]] inline u64 mix_bytes(const u8* bytes, u32 size, u64 seed) noexcept {
    u64 hash = mix_start(size, seed);
    for (; size >= 8; size -= 8, bytes += 8) hash = mix_words(hash ^ read_word(bytes), kMixMultiplier);
    if (size != 0) hash = mix_words(hash ^ read_partial(bytes, size), kMixMultiplier);
    return hash;
}

/// What set_hash_secret() set.
[[nodiscard]] u64 hash_secret();

} // namespace xdplane
