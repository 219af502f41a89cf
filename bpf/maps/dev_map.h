// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <linux/bpf.h>
#include <memory>
#include <mutex>

#include "bpf/base/mapping.h"
#include "bpf/maps/map.h"

namespace xdplane {

class Program;

/// A port that a devmap leads to. Immutable; lives until no worker can hold it.
struct DevTarget {
    u32 key;
    /// What lookups see: ifindex and the id of the program (0: none); struct bpf_devmap_val.
    bpf_devmap_val value;
    std::shared_ptr<const Program> program; ///< runs on the packet before it leaves; null: none
    const Entry* entry;                     ///< of the program; null: none
    /// The next of its bucket; written under the map's lock, read by workers.
    std::atomic<DevTarget*> next{nullptr};

    DevTarget(u32 its_key, u32 ifindex) : key(its_key), value{}, entry(nullptr) { value.ifindex = ifindex; }
};

/// BPF_MAP_TYPE_DEVMAP and BPF_MAP_TYPE_DEVMAP_HASH (Documentation/bpf/map_devmap.rst): where
/// bpf_redirect_map sends packets. An ifindex is a port of the data plane; any that is not 0 is taken, since
/// maps are filled before ports are there. A packet for a port that is not there is dropped and counted.
///
/// DEVMAP: 8 bytes per entry, and 48 per target. DEVMAP_HASH: 8 bytes per bucket, as many buckets as entries
/// (rounded up to a power of 2), and 48 per target. Workers read without a lock.
class DevMap final : public Map {
public:
    static Result<std::shared_ptr<Map>> create(MapSpec spec, const MapOps& ops);
    ~DevMap() override;

    /// Data path: null if there is none. Valid until the worker's next quiescent point.
    [[nodiscard]] const DevTarget* find(u32 key) const noexcept;
    /// Data path: calls `each(const DevTarget&)` for every target.
    template<class Each>
    void for_each_target(Each each) const noexcept {
        for (u32 bucket = 0; bucket < buckets_; ++bucket)
            for (const DevTarget* t = load(slots()[bucket]); t != nullptr; t = load(t->next)) each(*t);
    }
    /// Control threads: puts a target in place (null, DEVMAP only: none), under BPF_ANY, _NOEXIST or _EXIST
    /// as Linux takes them. 0, -EINVAL, -E2BIG or -EEXIST.
    int set(u32 key, std::unique_ptr<DevTarget> target, u64 flags);
    int erase(u32 key);
    /// Control threads: -ENOENT.
    int copy(u32 key, void* value) const;
    int next(const void* key, void* out) const;

    /// Which devmap this is, for Redirect::map; below kMaxMaps and in use by nobody else while it lives.
    [[nodiscard]] u16 number() const noexcept { return number_; }
    static constexpr u32 kMaxMaps = 1U << 15;
    /// Data path: the map of a number(); null if it is gone.
    [[nodiscard]] static const DevMap* by_number(u16 number) noexcept;

    [[nodiscard]] u64 memory_bytes() const override { return memory_.size(); }

    DevMap(MapSpec spec, const MapOps& ops, Mapping memory, u32 buckets, u16 number);

private:
    using Link = std::atomic<DevTarget*>;
    [[nodiscard]] static DevTarget* load(const Link& link) noexcept {
        return link.load(std::memory_order_acquire);
    }
    [[nodiscard]] bool hashed() const noexcept { return spec().type == BPF_MAP_TYPE_DEVMAP_HASH; }
    [[nodiscard]] Link* slots() const noexcept { return reinterpret_cast<Link*>(memory_.data()); }
    [[nodiscard]] u32 bucket_of(u32 key) const noexcept;
    [[nodiscard]] Link* link_of(u32 key) const noexcept;

    Mapping memory_; ///< a Link per bucket. DEVMAP: keys are buckets, of one target at most
    u32 buckets_;
    mutable std::mutex lock_; ///< of control threads: guards count_ and who writes links
    u32 count_ = 0;
    u16 number_;
};

} // namespace xdplane
