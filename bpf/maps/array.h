// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "bpf/base/mapping.h"
#include "bpf/maps/map.h"
#include "bpf/maps/words.h"

namespace xdplane {

/// BPF_MAP_TYPE_ARRAY and BPF_MAP_TYPE_PERCPU_ARRAY (Documentation/bpf/map_array.rst). All entries exist from
/// the start, zeroed, and are updated in place.
///
/// Layout: values of round_up(value_size, 8) bytes, one after the other from a page boundary:
/// round_up(value_size, 8) bytes per entry and nothing else, exactly what Linux lets user space mmap. Per
/// CPU: one such row per CPU, each from a page boundary, so that CPUs share no cache line.
class ArrayMap final : public Map {
public:
    static Result<std::shared_ptr<Map>> create(MapSpec spec, const MapOps& ops);

    /// Data path: the value of `index` for `cpu` (0 if not per CPU); null out of range.
    [[nodiscard]] u64* value(u32 index, u32 cpu) const noexcept {
        if (index >= count_) return nullptr;
        return reinterpret_cast<u64*>(values_ + cpu * cpu_stride_ + u64{index} * stride_);
    }
    /// For engines: these never change. Value of index i for CPU c: values() + c * cpu_stride() + i *
    /// stride().
    [[nodiscard]] u8* values() const { return values_; }
    [[nodiscard]] u32 stride() const { return stride_; }
    [[nodiscard]] u64 cpu_stride() const { return cpu_stride_; } ///< 0 if not per CPU
    [[nodiscard]] u32 count() const { return count_; }
    [[nodiscard]] u64 memory_bytes() const override { return memory_.size(); }
    [[nodiscard]] std::span<const u8> own_pages() const override { return memory_.bytes(); }

    ArrayMap(MapSpec spec, const MapOps& ops, Mapping memory, UniqueFd storage, u64 cpu_stride);

private:
    u8* values_;
    u64 cpu_stride_;
    u32 stride_;
    u32 count_;
    Mapping memory_;
};

} // namespace xdplane
