// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/maps/hash.h"

#include <bit>
#include <cerrno>
#include <mutex>

#include "bpf/maps/hash_mix.h"
#include "bpf/maps/memory.h"
#include "bpf/maps/poison.h"
#include "bpf/maps/rows.h"
#include "bpf/maps/special_fields.h"
#include "bpf/run/run_context.h"

namespace xdplane {
namespace {

std::atomic<u64> g_secret{0};

constexpr u32 kNone = ElementPool::kNone;

/// Linux's KMALLOC_MAX_SIZE less its own element header.
constexpr u64 kMaxElement = kMaxAllocation - 48;
constexpr u32 kMaxEntries = 1U << 31;

u64 element_bytes(u64 needed) {
    if (needed > kCacheLine) return round_up(needed, kCacheLine);
    return std::bit_ceil(needed);
}

bool is_lru(const MapSpec& spec) {
    return spec.type == BPF_MAP_TYPE_LRU_HASH || spec.type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

/// Every CPU gets as many nodes as the others.
u32 entries_of(const MapSpec& spec) {
    if ((spec.flags & BPF_F_NO_COMMON_LRU) == 0) return spec.max_entries;
    const u32 cpus = num_possible_cpus();
    const u64 rounded = round_up(spec.max_entries, cpus);
    return rounded > ~u32{0} ? spec.max_entries / cpus * cpus : static_cast<u32>(rounded);
}

/// A power of two: where the bytes of the buckets are few, four times as many as entries, else twice. An
/// element that is not the first of its bucket costs a jump that nobody could foresee, which is more than the
/// loads: of a full map's elements those are 12 %, or 25 %; with as many buckets as entries they would be 50
/// %.
u32 bucket_count(u32 max_entries) {
    constexpr u64 kFewBytes = 16 << 20;
    const u64 least = std::bit_ceil(u64{max_entries});
    const u64 factor = 4 * least * sizeof(u32) <= kFewBytes ? 4 : 2;
    return static_cast<u32>(std::min(factor * least, u64{1} << 30));
}

/// A power of two: where the bytes are few, 4/3 to 8/3 lines per entry, else 1 to 2. Of a full map's elements
/// 0.8 to 6 %, or 1.3 to 10 %, are then in no slot, and each of them costs such a jump and a cache line more.
u64 line_count(u32 max_entries) {
    constexpr u64 kFewBytes = 128 << 20;
    const u64 many = std::bit_ceil(u64{max_entries} * 4 / 3);
    return many * kCacheLine <= kFewBytes ? many : std::bit_ceil(u64{max_entries});
}

} // namespace

void set_hash_secret(u64 secret) { g_secret.store(secret, std::memory_order_relaxed); }
u64 hash_secret() { return g_secret.load(std::memory_order_relaxed); }

u32 HashMap::spares() { return 4 * kBurst * num_possible_cpus(); }

Result<> HashMap::check_spec(const MapSpec& spec, bool per_cpu) {
    const u32 allowed =
        kAccessFlags | BPF_F_NO_PREALLOC | BPF_F_NO_COMMON_LRU | BPF_F_ZERO_SEED | BPF_F_NUMA_NODE;
    const bool own_lists = (spec.flags & BPF_F_NO_COMMON_LRU) != 0;
    if ((spec.flags & ~allowed) != 0)
        return fail(EINVAL, "map flags {:#x} are not allowed", spec.flags & ~allowed);
    if (own_lists && !is_lru(spec)) return fail(EINVAL, "BPF_F_NO_COMMON_LRU is for LRU hashes");
    if (is_lru(spec) && (spec.flags & BPF_F_NO_PREALLOC) != 0)
        return fail(kNotSupported, "an LRU hash is always preallocated");
    if (on_numa_node(spec) && (per_cpu || own_lists))
        return fail(EINVAL, "a map with memory for each CPU has no NUMA node");
    if (spec.key_size == 0) return fail(EINVAL, "key size is 0");
    if (spec.value_size == 0) return fail(EINVAL, "value size is 0");
    if (spec.max_entries == 0) return fail(EINVAL, "max_entries is 0");
    if (u64{spec.key_size} + spec.value_size >= kMaxElement)
        return fail(E2BIG, "key and value of {} and {} bytes are more than {}", spec.key_size,
                    spec.value_size, kMaxElement - 1);
    if (per_cpu && round_up(spec.value_size, 8) > kMaxPercpuValue)
        return fail(E2BIG, "value size {} is more than {}", spec.value_size, kMaxPercpuValue);
    if (entries_of(spec) > kMaxEntries)
        return fail(E2BIG, "max_entries {} is more than {}", spec.max_entries, kMaxEntries);
    return {};
}

HashMap::HashMap(MapSpec spec, const MapOps& ops, u32 value_size)
    : Map(ops, std::move(spec)),
      key_size_(this->spec().key_size),
      value_size_(value_size),
      max_entries_(this->spec().max_entries) {}

HashMap::~HashMap() { unpoison(elements_.data(), elements_.size()); }

Result<std::shared_ptr<Map>> HashMap::create(MapSpec spec, const MapOps& ops) {
    if (auto checked = check_spec(spec, ops.per_cpu); !checked) return fail(checked.error());
    spec.max_entries = entries_of(spec);
    const u32 value_size = spec.value_size;
    const std::shared_ptr<HashMap> map(new HashMap(std::move(spec), ops, value_size));
    if (auto done = map->allocate(); !done) return fail(done.error());
    return map;
}

Result<> HashMap::allocate() {
    const bool sparse = (spec().flags & BPF_F_NO_PREALLOC) != 0;
    // Element numbers and the end mark share 32 bits.
    const u64 elements = u64{max_entries_} + spares();
    if (elements >= kEnd) return fail(ENOMEM, "{} entries are too many", max_entries_);
    const u64 value_bytes = round_up(value_size_, 8);
    const u64 in_front = is_lru(spec()) ? sizeof(LruWords) : 0;
    value_offset_ = static_cast<u32>(sizeof(Element) + round_up(key_size_, 8));
    element_size_ = element_bytes(in_front + value_offset_ + (ops().per_cpu ? 0 : value_bytes));
    const u64 lines = line_count(max_entries_);
    if (!is_lru(spec()) && !ops().per_cpu && element_size_ == Layout::kSlotSize &&
        Layout::kSlots * lines + elements < kEnd)
        slots_ = static_cast<u32>(Layout::kSlots * lines);
    mask_ = (slots_ != 0 ? static_cast<u32>(lines) : bucket_count(max_entries_)) - 1;
    stripe_mask_ = std::min(mask_, kStripes - 1);
    if ((spec().flags & BPF_F_ZERO_SEED) == 0) seed_ = hash_secret();

    // Bytes: at most 2^31 elements of 2^22 bytes, or 2^31 values of 2^15 bytes for 2^15 CPUs.
    if (slots_ == 0) {
        auto buckets = map_memory((u64{mask_} + 1) * sizeof(u32), sparse);
        if (!buckets) return fail(buckets.error());
        buckets_ = std::move(*buckets);
    }
    auto memory = map_memory((slots_ + elements) * element_size_, sparse);
    if (!memory) return fail(memory.error());
    elements_ = std::move(*memory);
    first_element_ = elements_.data() + in_front;
    heads_ = slots_ != 0 ? first_element_ : buckets_.data();
    head_shift_ = static_cast<u32>(std::countr_zero(slots_ != 0 ? kCacheLine : sizeof(u32)));
    if (ops().per_cpu) {
        value_stride_ = value_bytes;
        cpu_stride_ = round_up(elements * value_bytes, 4096);
        auto percpu = map_memory(cpu_stride_ * num_possible_cpus(), sparse);
        if (!percpu) return fail(percpu.error());
        percpu_ = std::move(*percpu);
    }
    auto pool = ElementPool::create({.first = elements_.data(),
                                     .size = element_size_,
                                     .total = static_cast<u32>(slots_ + elements),
                                     .slots = slots_,
                                     .slot_state = offsetof(Element, hash),
                                     .slot_body = sizeof(Element)},
                                    sparse);
    if (!pool) return fail(pool.error());
    pool_ = std::move(*pool);
    stripes_ = std::make_unique<SpinLock[]>(u64{stripe_mask_} + 1);
    return is_lru(spec()) ? allocate_lru() : Result<>{};
}

u64 HashMap::memory_bytes() const {
    return buckets_.size() + elements_.size() + percpu_.size() + pool_.memory_bytes() +
           (lru_ ? lru_->memory_bytes() : 0);
}

HashMap::Layout HashMap::layout() const noexcept {
    static_assert(offsetof(Element, next) == Layout::kNext && offsetof(Element, hash) == Layout::kHash &&
                  offsetof(Element, key) == Layout::kKey);
    static_assert(Layout::kSlots * Layout::kSlotSize == kCacheLine);
    static_assert(Layout::kReferenced + sizeof(LruWords) == offsetof(LruWords, referenced));
    return {.heads = heads_,
            .head_stride = u64{1} << head_shift_,
            .lines = slots_ != 0,
            .first_element = first_element_,
            .element_size = element_size_,
            .hash_start = mix_start(key_size_, seed_),
            .mask = mask_,
            .key_size = key_size_,
            .value_offset = value_offset_,
            .percpu_values = percpu_ ? percpu_.data() : nullptr,
            .value_stride = value_stride_,
            .cpu_stride = cpu_stride_,
            .lru = lru_ != nullptr};
}

u32 HashMap::hash_of(const u8* key) const noexcept {
    const u64 hash = mix_bytes(key, key_size_, seed_);
    return static_cast<u32>(hash ^ (hash >> 32)) | kUsed;
}

bool HashMap::has_key(const Element& element, const u8* key) const noexcept {
    const u64* word = element.key;
    u32 left = key_size_;
    for (; left >= 8; left -= 8, key += 8)
        if (load_word(word++) != read_word(key)) return false;
    return left == 0 || load_word(word) == read_partial(key, left);
}

u64* HashMap::value_of(u32 number, u32 cpu) const noexcept {
    u8* address = percpu_ ? percpu_.data() + cpu * cpu_stride_ + number * value_stride_
                          : first_element_ + number * element_size_ + value_offset_;
    return reinterpret_cast<u64*>(address);
}

u64* HashMap::lookup(const u8* key, u32 cpu) const noexcept {
    const u32 number = find_unlocked(key);
    return number == kNone ? nullptr : value_of(number, cpu);
}

int HashMap::reserve() noexcept {
    u32 count = count_.load(std::memory_order_relaxed);
    do {
        if (count >= max_entries_) return -E2BIG;
    } while (!count_.compare_exchange_weak(count, count + 1, std::memory_order_relaxed));
    return 0;
}

u32 HashMap::take_for_insert() noexcept {
    // An element exists, since fewer than max_entries are linked; but a bin that was found empty may have
    // been given one a moment later.
    u32 number = pool_.take(true);
    while (number == kNone) number = pool_.take(true);
    make_usable(number);
    return number;
}

void HashMap::make_usable(u32 number) noexcept {
    unpoison(elements_.data() + number * element_size_, element_size_);
}

void HashMap::fill(u32 number, u32 hash, const u8* key) noexcept {
    Element& filled = element(number);
    if (!is_slot(number)) {
        // A reader may still look at an element that is reused early, and miss the key that it had: where it
        // goes on from here must not be the end of that key's chain. Pairs with following().
        filled.next.store(kNowhere, std::memory_order_relaxed);
        std::atomic_thread_fence(std::memory_order_release);
    }
    store_words(filled.key, key, key_size_);
    filled.hash.store(hash, std::memory_order_release);
}

void HashMap::fill_value(u32 number, const u8* value) noexcept {
    u64* to = value_of(number, 0);
    const MapRecord& record = spec().record;
    if (!record.any()) {
        store_words(to, value, value_size_);
        return;
    }
    clear_words(to, value_size_);
    store_around_special_fields(to, value, value_size_, record);
}

void HashMap::fill_percpu(u32 number, const u8* value, bool fresh, bool all_cpus) noexcept {
    const u32 own = t_run.cpu;
    for (u32 cpu = 0; cpu < num_possible_cpus(); ++cpu) {
        if (all_cpus)
            store_words(value_of(number, cpu), value + cpu * value_stride_, static_cast<u32>(value_stride_));
        else if (cpu == own)
            store_words(value_of(number, cpu), value, value_size_);
        else if (fresh)
            clear_words(value_of(number, cpu), value_size_);
    }
}

void HashMap::release(u32 number) noexcept {
    if (lru_)
        lru_->release(lru_words(number).node.load(std::memory_order_relaxed));
    else
        count_.fetch_sub(1, std::memory_order_relaxed);
    pool_.give_back(number);
}

int HashMap::check_exists(bool exists, u64 flags) noexcept {
    flags &= ~u64{BPF_F_LOCK};
    if (exists && flags == BPF_NOEXIST) return -EEXIST;
    return !exists && flags == BPF_EXIST ? -ENOENT : 0;
}

int HashMap::update(const u8* key, const u8* value, u64 flags) noexcept {
    const MapRecord& record = spec().record;
    const bool locked = (flags & BPF_F_LOCK) != 0;
    if ((flags & ~u64{BPF_F_LOCK}) > BPF_EXIST || (locked && record.spin_lock < 0)) return -EINVAL;
    const u32 hash = hash_of(key);
    const std::lock_guard guard(stripe(hash & mask_));
    const u32 old = find(hash, key);
    if (const int error = check_exists(old != kNone, flags)) return error;
    if (old == kNone) {
        if (const int error = reserve()) return error;
        u32 number = take_slot(hash & mask_);
        if (number == kNone) number = take_for_insert();
        fill_value(number, value);
        fill(number, hash, key);
        insert(number, hash);
        return 0;
    }
    if (locked) {
        ValueLock lock(value_of(old, 0), record);
        const std::lock_guard inside(lock);
        store_around_special_fields(value_of(old, 0), value, value_size_, record);
        return 0;
    }
    u32 number = take_slot(hash & mask_);
    if (number == kNone) number = pool_.take(false);
    if (number == kNone) {
        pool_.note_early();
        store_around_special_fields(value_of(old, 0), value, value_size_, record);
        return 0;
    }
    make_usable(number);
    fill_value(number, value);
    fill(number, hash, key);
    replace(old, number, hash);
    pool_.give_back(old);
    return 0;
}

int HashMap::update_percpu(const u8* key, const u8* value, u64 flags, bool all_cpus) noexcept {
    if (flags > BPF_EXIST) return -EINVAL;
    const u32 hash = hash_of(key);
    const std::lock_guard guard(stripe(hash & mask_));
    const u32 old = find(hash, key);
    if (const int error = check_exists(old != kNone, flags)) return error;
    if (old != kNone) {
        fill_percpu(old, value, false, all_cpus);
        return 0;
    }
    if (const int error = reserve()) return error;
    const u32 number = take_for_insert();
    fill_percpu(number, value, true, all_cpus);
    fill(number, hash, key);
    insert(number, hash);
    return 0;
}

int HashMap::erase(const u8* key) noexcept {
    const u32 hash = hash_of(key);
    u32 old = kNone;
    {
        const std::lock_guard guard(stripe(hash & mask_));
        old = find(hash, key);
        if (old == kNone) return -ENOENT;
        unlink(old, hash);
    }
    release(old);
    return 0;
}

i64 HashMap::for_each(u64 (*each)(void*, const void*, void*) noexcept, void* context, u32 cpu) noexcept {
    i64 visited = 0;
    const auto visit = [&](u32 number) noexcept {
        ++visited;
        return each(context, element(number).key, value_of(number, cpu)) != 0;
    };
    for (u64 index = 0; index <= mask_; ++index) {
        const Snapshot bucket = snapshot(static_cast<u32>(index));
        for (u32 i = 0; i < bucket.count; ++i)
            if (visit(bucket.slots[i])) return visited;
        for (u32 number = bucket.chain; (number & kEnd) == 0;) {
            const Element& at = element(number);
            // An element that was reused early leads into another bucket's chain, which has its own turn.
            if ((at.hash.load(std::memory_order_relaxed) & mask_) != index) break;
            const u32 next = at.next.load(std::memory_order_acquire);
            if (visit(number)) return visited;
            number = next;
        }
    }
    return visited;
}

} // namespace xdplane
