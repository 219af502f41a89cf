// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <mutex>
#include <unordered_map>

#include "bpf/base/mapping.h"
#include "bpf/maps/hash.h"
#include "bpf/maps/map.h"

/// BPF_MAP_TYPE_ARRAY_OF_MAPS and BPF_MAP_TYPE_HASH_OF_MAPS (Documentation/bpf/map_of_maps.rst). Programs
/// look inner maps up and get the Map*; only the control thread changes them. All inner maps are alike: what
/// is compared is what Linux compares. MapSpec::inner is the template, which has no entries and no id.
namespace xdplane {

/// Inner maps, each as often as it is in the outer one. What is dropped lives on until the workers have
/// passed a quiescent point. Guarded by its owner's lock.
class InnerMaps {
public:
    void hold(std::shared_ptr<Map> map);
    void drop(const Map* map);
    [[nodiscard]] std::shared_ptr<Map> find(const Map* map) const;

private:
    struct Held {
        std::shared_ptr<Map> map;
        u64 times = 0;
    };
    std::unordered_map<const Map*, Held> held_;
};

/// Layout: max_entries pointers, one after the other.
class ArrayOfMaps final : public Map {
public:
    static Result<std::shared_ptr<Map>> create(MapSpec spec);
    ArrayOfMaps(MapSpec spec, Mapping memory);

    /// Data path: null if the slot is empty or there is none.
    [[nodiscard]] Map* lookup(u32 index) const noexcept {
        if (index >= count_) return nullptr;
        return slots()[index].load(std::memory_order_acquire);
    }

    // Control thread.
    int set(u32 index, const Result<std::shared_ptr<Map>>& inner, u64 flags);
    int erase(u32 index);
    [[nodiscard]] std::shared_ptr<Map> get(u32 index);

    [[nodiscard]] u64 memory_bytes() const override { return memory_.size(); }

private:
    [[nodiscard]] std::atomic<Map*>* slots() const noexcept {
        return reinterpret_cast<std::atomic<Map*>*>(memory_.data());
    }

    u32 count_;
    Mapping memory_;  ///< written under lock_, read by workers
    std::mutex lock_; ///< guards inner_
    InnerMaps inner_;
};

/// A hash whose values are pointers (hash.h has the layout).
class HashOfMaps final : public HashMap {
public:
    static Result<std::shared_ptr<Map>> create(MapSpec spec);

    /// Data path.
    [[nodiscard]] Map* lookup(const u8* key) const noexcept;

    // Control thread.
    int set(const u8* key, const Result<std::shared_ptr<Map>>& inner, u64 flags);
    int erase(const u8* key);
    [[nodiscard]] std::shared_ptr<Map> get(const u8* key);
    /// MapOps::copy_batch; the values are ids.
    int copy_batch(u32& bucket, MapBatch& batch, bool take);

private:
    explicit HashOfMaps(MapSpec spec);

    std::mutex lock_; ///< guards inner_, and keeps what is in the hash and what is held in step
    InnerMaps inner_;
};

// Control thread, for bpf(2) and whoever shows maps.
[[nodiscard]] bool is_map_of_maps(const Map& map);
/// `inner`: the map to store, or why there is none: that is reported in the order of Linux's checks. -EINVAL
/// if it is unlike the template.
int set_inner_map(Map& outer, const void* key, const Result<std::shared_ptr<Map>>& inner, u64 flags);
/// Null if there is none.
[[nodiscard]] std::shared_ptr<Map> inner_map(Map& outer, const void* key);

} // namespace xdplane
