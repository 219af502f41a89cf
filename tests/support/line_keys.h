// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <vector>

#include "bpf/maps/hash_mix.h"

namespace xdplane {

/// Keys of 8 bytes that every small hash has in one bucket.
inline std::vector<u64> keys_of_one_line(u32 count) {
    constexpr u64 kMask = 0xfff;
    std::vector<u64> keys;
    for (u64 key = 1; keys.size() < count; ++key) {
        const u64 hash = mix_bytes(reinterpret_cast<const u8*>(&key), sizeof(key), hash_secret());
        if (((hash ^ (hash >> 32)) & kMask) == 5) keys.push_back(key);
    }
    return keys;
}

} // namespace xdplane
