// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <bit>
#include <span>

#include "bpf/base/types.h"

namespace xdplane {

struct SipKey {
    u64 k0;
    u64 k1;
};

/// SipHash-2-4 (Aumasson and Bernstein, 2012) of whole 64-bit words, in the machine's byte order.
[[nodiscard]] constexpr u64 siphash24(const SipKey& key, std::span<const u64> words) noexcept {
    u64 v0 = key.k0 ^ 0x736f6d6570736575ULL;
    u64 v1 = key.k1 ^ 0x646f72616e646f6dULL;
    u64 v2 = key.k0 ^ 0x6c7967656e657261ULL;
    u64 v3 = key.k1 ^ 0x7465646279746573ULL;
    const auto rounds = [&](u32 count) {
        for (; count != 0; --count) {
            v0 += v1, v1 = std::rotl(v1, 13) ^ v0, v0 = std::rotl(v0, 32);
            v2 += v3, v3 = std::rotl(v3, 16) ^ v2;
            v0 += v3, v3 = std::rotl(v3, 21) ^ v0;
            v2 += v1, v1 = std::rotl(v1, 17) ^ v2, v2 = std::rotl(v2, 32);
        }
    };
    const auto absorb = [&](u64 word) {
        v3 ^= word;
        rounds(2);
        v0 ^= word;
    };
    for (const u64 word : words) absorb(word);
    absorb(static_cast<u64>(words.size() * 8) << 56);
    v2 ^= 0xff;
    rounds(4);
    return v0 ^ v1 ^ v2 ^ v3;
}

} // namespace xdplane
