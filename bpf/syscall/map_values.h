// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <memory>
#include <vector>

#include "bpf/maps/map.h"

/// Inside of bpf(2): what the commands on elements, one by one and in batches, share. Values are as they
/// cross bpf(2): where a map holds objects, fds go in and ids come out. 0 or -errno.
namespace xdplane {

/// What an fd may do with the map that it names: its mode, and no writes once the map is frozen.
struct MapAccess {
    std::shared_ptr<Map> map;
    bool read;
    bool write;
};
[[nodiscard]] Result<MapAccess> map_access(u32 fd);

/// A key or value that the caller hands over: a copy, since other threads may write to it meanwhile. Maps
/// without keys (queues) take none.
[[nodiscard]] Result<std::vector<u8>> copy_in(u64 address, u32 size);

/// BPF_F_LOCK where the values have no lock.
[[nodiscard]] bool lacks_lock(const Map& map, u64 flags);

/// The keys are null for maps without.
[[nodiscard]] int load_value(Map& map, const u8* key, u8* value, u64 flags);
[[nodiscard]] int store_value(Map& map, const u8* key, const u8* value, u64 flags);
[[nodiscard]] int erase_value(Map& map, const u8* key);
/// GET_NEXT_KEY; `key` null: the first one.
[[nodiscard]] int next_key(Map& map, const u8* key, u8* next);

} // namespace xdplane
