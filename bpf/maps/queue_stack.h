// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <vector>

#include "bpf/base/mapping.h"
#include "bpf/maps/map.h"
#include "bpf/maps/spin_lock.h"
#include "bpf/maps/words.h"

namespace xdplane {

/// BPF_MAP_TYPE_QUEUE and BPF_MAP_TYPE_STACK (Documentation/bpf/map_queue_stack.rst): values without keys,
/// out first in first, or last in first. A lock for each operation, as on Linux: values are copied in and
/// out, so nobody holds a pointer into the map.
///
/// Layout: a ring of max_entries values of round_up(value_size, 8) bytes.
class QueueStackMap final : public Map {
public:
    static Result<std::shared_ptr<Map>> create(MapSpec spec, const MapOps& ops);
    QueueStackMap(MapSpec spec, const MapOps& ops, Mapping memory);

    // Data path.
    /// -E2BIG if it is full; with BPF_EXIST the oldest value makes room. -EINVAL: other flags.
    int push(const u8* value, u64 flags) noexcept;
    /// The oldest value of a queue, the latest of a stack. -ENOENT, and zeros, if there is none.
    int get(u8* value, bool remove) noexcept;

    /// Control thread: the values, the oldest first: pushed in this order they make the same map.
    [[nodiscard]] std::vector<std::vector<u8>> values();
    [[nodiscard]] u64 memory_bytes() const override { return memory_.size(); }

private:
    /// Of the value that comes out as number `order`.
    [[nodiscard]] u64* slot(u32 order) const noexcept;

    u32 value_size_;
    u32 stride_;
    u32 capacity_;
    bool stack_;
    Mapping memory_;
    SpinLock lock_; ///< guards the rest and the values
    u32 oldest_ = 0;
    u32 count_ = 0;
};

} // namespace xdplane
