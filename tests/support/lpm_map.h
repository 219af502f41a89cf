// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// Tries for tests, and IPv4 prefixes in them.
#pragma once
#include <gtest/gtest.h>
#include <memory>

#include "bpf/maps/map.h"

namespace xdplane {

inline std::shared_ptr<Map> make_lpm_trie(u32 data_size, u32 value_size, u32 max_entries) {
    auto map = create_map({.type = BPF_MAP_TYPE_LPM_TRIE,
                           .key_size = 4 + data_size,
                           .value_size = value_size,
                           .max_entries = max_entries,
                           .flags = BPF_F_NO_PREALLOC});
    EXPECT_TRUE(map) << map.error().message;
    return map ? *map : nullptr;
}

struct V4 {
    u32 length;
    u8 data[4];
};
inline V4 v4(u32 length, u32 address) {
    return {length,
            {static_cast<u8>(address >> 24), static_cast<u8>(address >> 16), static_cast<u8>(address >> 8),
             static_cast<u8>(address)}};
}
inline u64* find(Map& map, const V4& key) { return static_cast<u64*>(map.ops().lookup(map, &key)); }
inline int put(Map& map, const V4& key, u64 value, u64 flags = BPF_ANY) {
    return map.ops().update(map, &key, &value, flags);
}
inline int erase(Map& map, const V4& key) { return map.ops().erase(map, &key); }

} // namespace xdplane
