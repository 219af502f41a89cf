// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "bpf/base/mapping.h"
#include "bpf/maps/map.h"

namespace xdplane {

/// BPF_MAP_TYPE_BLOOM_FILTER (Documentation/bpf/map_bloom_filter.rst): a set of values that may be asked for
/// and added to, from any thread, without a lock; values that were never added are sometimes found.
///
/// map_extra: number of hash functions k, 1 to 15; 0 is 5. Layout: a bit table of the power of two at or
/// above max_entries * k * 7/5 bits (the optimum is 1 / ln 2 for 7/5), at least 64 bits and at most 2^32: 7 k
/// / 40 to 7 k / 20 bytes per entry.
class BloomFilter final : public Map {
public:
    static Result<std::shared_ptr<Map>> create(MapSpec spec);
    BloomFilter(MapSpec spec, u64 bits, u32 functions, Mapping memory);

    // Data path.
    void add(const u8* value) noexcept;
    [[nodiscard]] bool has(const u8* value) const noexcept;

    [[nodiscard]] u64 memory_bytes() const override { return memory_.size(); }

private:
    /// Two hashes of the value, from which the others are made.
    struct Hashes {
        u64 start;
        u64 step;
    };
    [[nodiscard]] Hashes hashes(const u8* value) const noexcept;

    u32 value_size_;
    u32 functions_;
    u64 mask_; ///< bits - 1
    u64 seed_;
    Mapping memory_;
};

} // namespace xdplane
