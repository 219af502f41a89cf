// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <array>
#include <atomic>
#include <memory>
#include <vector>

#include "bpf/base/mapping.h"
#include "bpf/maps/element_pool.h"
#include "bpf/maps/lru_list.h"
#include "bpf/maps/map.h"
#include "bpf/maps/words.h"

namespace xdplane {

/// BPF_MAP_TYPE_HASH, PERCPU_HASH, LRU_HASH and LRU_PERCPU_HASH (Documentation/bpf/map_hash.rst):
/// preallocated elements in 2^k buckets. HASH_OF_MAPS is built on it (map_of_maps.h).
///
/// Small entries, of HASH and HASH_OF_MAPS, lie in lines: a bucket is a cache line of two slots, which are
/// elements of 32 bytes like any other, so a hit reads one line. Other keys of the bucket are in a chain of
/// elements from the pool, which begins in the line: with two lines per entry 1.3 % of a full map's, with one
/// 10 %. All other entries are in such chains, behind a table of four to eight times as many words as
/// max_entries, or half of it where that would be more than 16 MB: a hit reads the word, then the element.
///
/// Readers take no lock. A writer takes the lock of the bucket's stripe, and publishes an element by one
/// release store: of the pointer to it, or of a slot's hash. An update of a key that exists puts a new
/// element in the old one's place, so a value that a reader holds stays what it was until the reader is
/// quiescent; per-CPU values are updated in place, as on Linux. Where one of the two is a slot, the new one
/// is there before the old one goes, and the line counts what went: a reader that found nothing looks again
/// if that changed. Unlinked elements wait in the ElementPool, slots too, which serve their own line only.
/// There are spares() more elements than max_entries, so that many updates find one while the old ones wait.
/// When none is left, an update writes in place and an insert reuses an element that still waits: values may
/// then change under a reader, as they always may on Linux, but never a lookup go astray.
///
/// max_entries is exact: -E2BIG if and only if that many entries are in the map. LRU kinds evict instead (see
/// lru_list.h): an update takes a node first, whatever becomes of it then, so one that is refused may have
/// evicted an entry, as on Linux. They hold max_entries at most; with BPF_F_NO_COMMON_LRU each CPU has its
/// share of them (max_entries is rounded up to a multiple of the CPUs).
///
/// Memory, committed as it is touched (so BPF_F_NO_PREALLOC changes only the limit at creation: it may ask
/// for more than the machine has): per element 8 bytes, the key and the value rounded up to 8 each, the sum
/// rounded up to 16, 32, 64 or a multiple of 64, so that no element of up to 64 bytes lies on two cache
/// lines; 4 bytes per element that was ever deleted. Where an element has 32 bytes, of HASH and HASH_OF_MAPS,
/// 2^k lines of 64 bytes, 85..171 per entry (128 if max_entries is a power of two), or 64..128 where those
/// were more than 128 MB, and 32 per entry that found no slot: so for keys of 16 and values of 8 bytes.
/// Elsewhere 4 bytes per word of the table. Per-CPU values lie apart: round_up(value_size, 8) bytes per
/// element and CPU. LRU kinds: 8 bytes more per element, in front of it and counted in the rounding, and 16
/// per entry for its node.
class HashMap : public Map {
public:
    static Result<std::shared_ptr<Map>> create(MapSpec spec, const MapOps& ops);
    ~HashMap() override;

    // Data path. Per-CPU maps: value of `cpu`.
    [[nodiscard]] u64* lookup(const u8* key, u32 cpu) const noexcept;
    int update(const u8* key, const u8* value, u64 flags) noexcept;
    int update_percpu(const u8* key, const u8* value, u64 flags, bool all_cpus) noexcept;
    int erase(const u8* key) noexcept;
    // The same of the LRU kinds: lookups leave a reference bit.
    [[nodiscard]] u64* lookup_lru(const u8* key, u32 cpu) const noexcept;
    int update_lru(const u8* key, const u8* value, u64 flags) noexcept;
    int update_lru_percpu(const u8* key, const u8* value, u64 flags, bool all_cpus) noexcept;
    // See AheadOps. Elements may have changed between the two: all numbers lead to elements anyway.
    /// Bytes of the entries that are there, and of their buckets.
    [[nodiscard]] u64 footprint() const noexcept;
    void note(const u8* key, const struct KeyWords& words, u64* note) const noexcept;
    void fetch(const u64* notes, u32 count) const noexcept;
    /// MapOps::for_each.
    i64 for_each(u64 (*each)(void*, const void*, void*) noexcept, void* context, u32 cpu) noexcept;

    /// For engines that compile lookups: what lookup() and lookup_lru() do, as constants that never change.
    ///   hash   of the key's 8-byte words, the last one padded with zeros, by mix_words(): h = hash_start;
    ///          h = mix_words(h ^ word, kMixMultiplier) for each; then the low half xor the high half, with
    ///          kUsed set
    ///   line   slots 2 * (hash & mask) and the one behind it: taken if kUsed is in the hash. They are enough
    ///          to find a key, not to miss it: that takes the count at kGone of the line, the slots and the
    ///          chain, and then the same count again. Without lines there is only the chain
    ///   chain  number + 1 of the first element of bucket hash & mask, 0 at the end: in `heads`, which with
    ///          lines are their first u32s. Then Element::next, which ends with kEnd | bucket. Another
    ///          bucket's mark means: look again.
    /// Loads are acquire loads.
    struct Layout {
        const u8* heads; ///< of chains
        u64 head_stride; ///< bytes from one bucket's to the next one's
        bool lines;
        u8* first_element;
        u64 element_size;
        u64 hash_start;
        u32 mask;
        u32 key_size;
        u32 value_offset;  ///< in the element, unless values are per CPU
        u8* percpu_values; ///< null unless they are: at number * value_stride + cpu * cpu_stride
        u64 value_stride;
        u64 cpu_stride;
        bool lru; ///< a hit sets the u32 at kReferenced to 1, if it is 0

        static constexpr i32 kNext = 0; ///< u32s in the element
        static constexpr i32 kHash = 4;
        static constexpr i32 kKey = 8; ///< words
        static constexpr i32 kReferenced = -8;
        static constexpr u32 kSlots = 2;
        static constexpr i32 kSlotSize = 32;
        static constexpr i32 kGone = kSlotSize + kNext; ///< in the line
        static constexpr u32 kEnd = 1U << 31;
        static constexpr u32 kUsed = 1U << 31;
    };
    [[nodiscard]] Layout layout() const noexcept;

    // Control thread, which is no reader of the Reclaimer: these take the lock of the stripe.
    // Flags: 0, or BPF_F_LOCK for values with a spin lock.
    int copy_value(const u8* key, u8* value, u64 flags);
    /// copy_value() and erase() in one.
    int take_value(const u8* key, u8* value, u64 flags);
    /// In a bucket by the keys, so that one that is updated and moves does not change the order.
    int next_key(const u8* key, u8* next);
    /// MapOps::copy_batch: the cursor is the number of a bucket.
    int copy_batch(u32& bucket, MapBatch& batch, bool take);

    /// Not of the LRU kinds.
    [[nodiscard]] u32 size() const { return count_.load(std::memory_order_relaxed); }
    [[nodiscard]] u64 memory_bytes() const override;
    [[nodiscard]] u64 reused_early() const override { return pool_.reused_early(); }

    /// Elements beyond max_entries: what 64 packets a burst replace in four bursts on every CPU.
    [[nodiscard]] static u32 spares();

protected:
    /// `value_size`: of what is stored.
    HashMap(MapSpec spec, const MapOps& ops, u32 value_size);
    /// Sizes and flags as Linux checks them.
    static Result<> check_spec(const MapSpec& spec, bool per_cpu);
    /// What create() does after the checks and the constructor.
    Result<> allocate();

private:
    /// What is before key and value. Numbers rather than addresses, to be half as large.
    struct Element {
        /// Element number, or kEnd | bucket at the end of the bucket's chain. In a line's first slot the head
        /// of its chain, as in Layout; in its second one how many of the line's entries have gone.
        std::atomic<u32> next;
        std::atomic<u32> hash; ///< with kUsed; of slots also kFree or kWaiting
        u64 key[];             ///< padded with zeros; the value follows
    };
    static_assert(sizeof(Element) == 8);
    /// LRU kinds: in front of the Element.
    struct LruWords {
        std::atomic<u32> referenced;
        std::atomic<u32> node;
    };
    static_assert(sizeof(LruWords) == 8);
    static constexpr u32 kEnd = Layout::kEnd;
    static constexpr u32 kNowhere = ~0U; ///< an end mark that no bucket has: look again
    static constexpr u32 kUsed = Layout::kUsed;
    static constexpr u32 kFree = 0;    ///< as in fresh pages, and where the pool puts it
    static constexpr u32 kWaiting = 1; ///< readers may still look at it
    static constexpr u32 kStripes = 128;

    [[nodiscard]] u32 hash_of(const u8* key) const noexcept;
    [[nodiscard]] bool has_key(const Element& element, const u8* key) const noexcept;
    [[nodiscard]] Element& element(u32 number) const noexcept {
        return *reinterpret_cast<Element*>(first_element_ + number * element_size_);
    }
    [[nodiscard]] LruWords& lru_words(u32 number) const noexcept {
        return reinterpret_cast<LruWords*>(&element(number))[-1];
    }
    [[nodiscard]] u64* value_of(u32 number, u32 cpu) const noexcept;

    // hash_bucket.cpp: where elements are. Element numbers below slots_ are slots; a bucket's elements are
    // its used slots, then its chain, and end with a number that has kEnd.
    [[nodiscard]] bool is_slot(u32 number) const noexcept { return number < slots_; }
    [[nodiscard]] bool is_used(u32 slot) const noexcept {
        return (element(slot).hash.load(std::memory_order_acquire) & kUsed) != 0;
    }
    /// The head of a bucket's chain: element number + 1, so that fresh pages are empty buckets.
    [[nodiscard]] std::atomic<u32>& head(u32 index) const noexcept {
        return *reinterpret_cast<std::atomic<u32>*>(heads_ + (u64{index} << head_shift_));
    }
    [[nodiscard]] std::atomic<u32>& gone(u32 index) const noexcept {
        return element(index * Layout::kSlots + 1).next;
    }
    [[nodiscard]] u32 first_of_chain(u32 index) const noexcept;
    [[nodiscard]] u32 first(u32 index) const noexcept;
    [[nodiscard]] u32 following(u32 number) const noexcept;
    /// A bucket as it was at one moment, but for what happens to its chain.
    struct Snapshot {
        u32 count;
        std::array<u32, Layout::kSlots> slots; ///< `count` of them
        u32 chain;
    };
    [[nodiscard]] Snapshot snapshot(u32 index) const noexcept;
    [[nodiscard]] SpinLock& stripe(u32 index) const noexcept { return stripes_[index & stripe_mask_]; }

    /// Without a lock: the key's element, or kNone.
    [[nodiscard]] u32 find_unlocked(const u8* key) const noexcept;
    /// With the lock held.
    [[nodiscard]] u32 find(u32 hash, const u8* key) const noexcept;
    /// A free slot of that line; kNone, or kWaits if one may be free before long.
    [[nodiscard]] u32 free_slot(u32 index) const noexcept;
    /// One that is free by now, or kNone.
    [[nodiscard]] u32 take_slot(u32 index) noexcept;
    /// Of the bucket's keys, in the order of next_key(), the first one, or the first one behind that of
    /// `last`; kNone at the end.
    [[nodiscard]] u32 first_behind(u32 index, u32 last) const noexcept;
    [[nodiscard]] bool precedes(const Element& a, const Element& b) const noexcept;
    [[nodiscard]] int reserve() noexcept;
    [[nodiscard]] u32 take_for_insert() noexcept;
    [[nodiscard]] u32 take_for_lru() noexcept;
    void make_usable(u32 number) noexcept;
    /// Publishes it, if it is a slot: the value comes first.
    void fill(u32 number, u32 hash, const u8* key) noexcept;
    void fill_lru(u32 number, u32 hash, const u8* key) noexcept;
    void fill_value(u32 number, const u8* value) noexcept;
    void fill_percpu(u32 number, const u8* value, bool fresh, bool all_cpus) noexcept;
    void insert(u32 number, u32 hash) noexcept;
    /// Links element `number` where `old` is.
    void replace(u32 old, u32 number, u32 hash) noexcept;
    void unlink(u32 number, u32 hash) noexcept;
    /// All of the bucket's elements.
    void unlink_all(u32 index) noexcept;
    /// After unlink(), and after the lock for LRU kinds: the element may be reused.
    void release(u32 number) noexcept;
    Result<> allocate_lru();
    void refer_to(u32 number) const noexcept;
    [[nodiscard]] bool evict(u32 node, u32 number) noexcept;
    /// 0, or what an update with these flags gets for a key that is or is not there.
    [[nodiscard]] static int check_exists(bool exists, u64 flags) noexcept;
    /// Of a key whose element is not found yet.
    struct Search {
        u32 hash;
        u32 number;
    };
    u32 search_lines(const u64* notes, u32 count, Search* searches) const noexcept;
    u32 search_chains(const u64* notes, u32 count, Search* searches) const noexcept;
    void copy_all(u32 number, u8* value, bool locked) const noexcept;
    /// Makes whoever pointed to element `number` point to `to`.
    void point_past(u32 number, u32 hash, u32 to) noexcept;
    bool copy_first_key(u32 index, u8* next);
    int copy_bucket(u32 index, MapBatch& batch, std::vector<u32>& removed, bool take);

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
    u32 slots_ = 0;   ///< 0 without lines
    Mapping buckets_; ///< empty with lines
    Mapping elements_;
    u8* first_element_ = nullptr;
    u8* heads_ = nullptr;
    u32 head_shift_ = 0; ///< log2 of the bytes from one bucket's head to the next one's
    Mapping percpu_;
    ElementPool pool_;
    std::unique_ptr<LruList> lru_; ///< null unless LRU
    std::unique_ptr<SpinLock[]> stripes_;
    alignas(kCacheLine) std::atomic<u32> count_{
        0}; ///< entries in the map; written by whoever inserts or deletes
};

/// Mixed into the hash of maps that are made from now on, unless they have BPF_F_ZERO_SEED: a data plane on a
/// network sets a random one, so that nobody can send packets that collide. 0 at first: the order of
/// GET_NEXT_KEY is then the same in every run.
void set_hash_secret(u64 secret);

} // namespace xdplane
