// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <atomic>
#include <memory>

#include "bpf/base/mapping.h"
#include "bpf/maps/element_pool.h"
#include "bpf/maps/map.h"
#include "bpf/maps/words.h"

namespace xdplane {

/// BPF_MAP_TYPE_HASH and BPF_MAP_TYPE_PERCPU_HASH (Documentation/bpf/map_hash.rst): chains of preallocated
/// elements behind a table of 2^k buckets, k the least with 2^k >= max_entries.
///
/// Readers take no lock. A writer takes the lock of the bucket's stripe, and publishes an element by one
/// release store. An update of a key that exists puts a new element in the old one's place, so a value that a
/// reader holds stays what it was until the reader is quiescent; per-CPU values are updated in place, as on
/// Linux. Unlinked elements wait in the ElementPool. There are spares() more elements than max_entries, so
/// that many updates find one while the old ones wait. When none is left, an update writes in place and an
/// insert reuses an element that still waits: values may then change under a reader, as they always may on
/// Linux, but never a lookup go astray.
///
/// max_entries is exact: -E2BIG if and only if that many entries are in the map.
///
/// Memory, committed as it is touched (so BPF_F_NO_PREALLOC changes only the limit at creation: it may ask
/// for more than the machine has): per bucket 4 bytes; per element 8 bytes, the key and the value rounded up
/// to 8 each, the sum rounded up to 16, 32, 64 or a multiple of 64, so that no element of up to 64 bytes lies
/// on two cache lines; 4 bytes per element that was ever deleted. A 16-byte key and 8-byte value: 32 + 4..8
/// bytes. Per-CPU values lie apart: round_up(value_size, 8) bytes per element and CPU.
class HashMap final : public Map {
public:
    static Result<std::shared_ptr<Map>> create(MapSpec spec, const MapOps& ops);
    ~HashMap() override;

    // Data path. Per-CPU maps: value of `cpu`.
    [[nodiscard]] u64* lookup(const u8* key, u32 cpu) const noexcept;
    int update(const u8* key, const u8* value, u64 flags) noexcept;
    int update_percpu(const u8* key, const u8* value, u64 flags, bool all_cpus) noexcept;
    int erase(const u8* key) noexcept;

    // Control thread, which is no reader of the Reclaimer: these take the lock of the stripe.
    int copy_value(const u8* key, u8* value);
    int next_key(const u8* key, u8* next);

    [[nodiscard]] u32 size() const { return count_.load(std::memory_order_relaxed); }
    [[nodiscard]] u64 memory_bytes() const override;

    /// Elements beyond max_entries: what 64 packets a burst replace in four bursts on every CPU.
    [[nodiscard]] static u32 spares();

private:
    /// What is before key and value. Numbers rather than addresses, to be half as large.
    struct Element {
        std::atomic<u32> next; ///< element number, or kEnd | bucket at the end of the bucket's chain
        std::atomic<u32> hash;
        u64 key[]; ///< padded with zeros; the value follows
    };
    static_assert(sizeof(Element) == 8);
    static constexpr u32 kEnd = 1U << 31;
    static constexpr u32 kStripes = 128;

    HashMap(MapSpec spec, const MapOps& ops);

    [[nodiscard]] u32 hash_of(const u8* key) const noexcept;
    [[nodiscard]] bool has_key(const Element& element, const u8* key) const noexcept;
    [[nodiscard]] Element& element(u32 number) const noexcept {
        return *reinterpret_cast<Element*>(elements_.data() + number * element_size_);
    }
    [[nodiscard]] u64* value_of(u32 number, u32 cpu) const noexcept;
    /// Buckets hold element number + 1, so that fresh pages are empty buckets; or an end mark.
    [[nodiscard]] std::atomic<u32>& bucket(u32 index) const noexcept {
        return reinterpret_cast<std::atomic<u32>*>(buckets_.data())[index];
    }
    [[nodiscard]] u32 first(u32 index) const noexcept;
    [[nodiscard]] SpinLock& stripe(u32 index) const noexcept { return stripes_[index & stripe_mask_]; }

    /// With the lock held: the key's element, or kNone.
    [[nodiscard]] u32 find(u32 hash, const u8* key) const noexcept;
    [[nodiscard]] int reserve() noexcept;
    [[nodiscard]] u32 take_for_insert() noexcept;
    void fill(u32 number, u32 hash, const u8* key) noexcept;
    void insert(u32 number, u32 hash) noexcept;
    /// Makes whoever pointed to element `number` point to `to`.
    void point_past(u32 number, u32 hash, u32 to) noexcept;
    bool copy_first_key(u32 index, u8* next);

    u32 key_size_;
    u32 value_size_;
    u32 max_entries_;
    u32 mask_ = 0; ///< buckets - 1
    u32 stripe_mask_ = 0;
    u32 value_offset_ = 0; ///< in the element
    u64 element_size_ = 0;
    u64 value_stride_ = 0; ///< per CPU: bytes from one element's value to the next one's
    u64 cpu_stride_ = 0;   ///< per CPU: bytes from one CPU's values to the next one's
    u64 seed_ = 0;
    Mapping buckets_;
    Mapping elements_;
    Mapping percpu_;
    ElementPool pool_;
    std::unique_ptr<SpinLock[]> stripes_;
    alignas(kCacheLine) std::atomic<u32> count_{
        0}; ///< entries in the map; written by whoever inserts or deletes
};

/// Mixed into the hash of maps that are made from now on, unless they have BPF_F_ZERO_SEED: a data plane on a
/// network sets a random one, so that nobody can send packets that collide. 0 at first: the order of
/// GET_NEXT_KEY is then the same in every run.
void set_hash_secret(u64 secret);

} // namespace xdplane
