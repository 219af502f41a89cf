// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "bpf/base/result.h"
#include "bpf/base/types.h"

namespace xdplane {

class Btf;
struct MapSpec;

/// Where the special fields of a map's value are, by its BTF: programs touch them through helpers only, and
/// updates leave them alone. -1: there is none.
struct MapRecord {
    static constexpr u32 kSpinLockSize = 4;
    static constexpr u32 kTimerSize = 16;
    i32 spin_lock = -1; ///< offset of the struct bpf_spin_lock
    i32 timer = -1;     ///< offset of the struct bpf_timer

    friend bool operator==(const MapRecord&, const MapRecord&) = default;
    [[nodiscard]] bool any() const { return spin_lock >= 0 || timer >= 0; }
    /// True if bytes [begin, end) of the value touch a special field.
    [[nodiscard]] bool overlaps(i64 begin, i64 end) const {
        return (spin_lock >= 0 && begin < spin_lock + i64{kSpinLockSize} && spin_lock < end) ||
               (timer >= 0 && begin < timer + i64{kTimerSize} && timer < end);
    }
};

/// Reads the record from the BTF of the value and checks that the map may have it, with Linux's errors:
/// E2BIG (a second lock or timer), EINVAL (alignment, nested too deep), EACCES (BPF_F_RDONLY_PROG,
/// BPF_F_WRONLY_PROG), EOPNOTSUPP (map type, and fields that are not supported here: kernel pointers, lists,
/// trees, work queues). A map without BTF has none.
[[nodiscard]] Result<MapRecord> read_map_record(const MapSpec& spec);

} // namespace xdplane
