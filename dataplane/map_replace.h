// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "bpf/base/result.h"
#include "dataplane/map_entries.h"

namespace xdplane {

/// What became of a map's entries.
struct Replaced {
    u64 added = 0;
    u64 removed = 0;
    u64 kept = 0;    ///< were there before, and are in the file
    u64 changed = 0; ///< of those kept: some of what the file gives was different
};

/// Brings a map that programs use to exactly these entries, a step at a time:
/// - an entry that is in both stays the element it is. What the file gives of its value is written in place,
///   word by word; the rest, such as counters, goes on. At no moment is it missing.
/// - new ones are added before old ones are deleted, or, if the map has no room for both, after.
/// In an array the entries are the elements that are not all 0; deleting one makes it 0.
///
/// Hashes, per-CPU hashes, tries, arrays and per-CPU arrays; others are EOPNOTSUPP. E2BIG with both numbers
/// if the map is too small. Nothing is changed after these errors. What can fail later (no memory left, or
/// entries that programs add at the same time fill the map) leaves what has been done, and says so. Control
/// thread, not a reader of the Reclaimer.
[[nodiscard]] Result<Replaced> replace_entries(Map& map, const MapEntries& entries);

} // namespace xdplane
