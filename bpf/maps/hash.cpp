// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/maps/hash.h"

#include <bit>
#include <cerrno>
#include <mutex>
#include <new>

#include "bpf/maps/memory.h"
#include "bpf/maps/poison.h"
#include "bpf/maps/rows.h"
#include "bpf/run/run_context.h"

namespace xdplane {
namespace {

std::atomic<u64> hash_secret{0};

/// The halves of a 128-bit product, folded: spreads every input bit over the whole word.
u64 fold(u64 a, u64 b) noexcept {
    __extension__ using u128 = unsigned __int128;
    const u128 product = u128{a} * b;
    return static_cast<u64>(product) ^ static_cast<u64>(product >> 64);
}
constexpr u64 kMultiplier = 0x9e3779b97f4a7c15ULL; // 2^64 divided by the golden ratio

constexpr u32 kNone = ElementPool::kNone;

/// Linux's KMALLOC_MAX_SIZE less its own element header.
constexpr u64 kMaxElement = (u64{4} << 20) - 48;
constexpr u32 kMaxEntries = 1U << 31;

Result<> check_spec(const MapSpec& spec, bool per_cpu) {
    const u32 allowed =
        kAccessFlags | BPF_F_NO_PREALLOC | BPF_F_ZERO_SEED | (per_cpu ? 0U : u32{BPF_F_NUMA_NODE});
    if ((spec.flags & ~allowed) != 0)
        return fail(EINVAL, "map flags {:#x} are not allowed", spec.flags & ~allowed);
    if (spec.key_size == 0) return fail(EINVAL, "key size is 0");
    if (spec.value_size == 0) return fail(EINVAL, "value size is 0");
    if (spec.max_entries == 0) return fail(EINVAL, "max_entries is 0");
    if (u64{spec.key_size} + spec.value_size >= kMaxElement)
        return fail(E2BIG, "key and value of {} and {} bytes are more than {}", spec.key_size,
                    spec.value_size, kMaxElement - 1);
    if (per_cpu && round_up(spec.value_size, 8) > kMaxPercpuValue)
        return fail(E2BIG, "value size {} is more than {}", spec.value_size, kMaxPercpuValue);
    if (spec.max_entries > kMaxEntries)
        return fail(E2BIG, "max_entries {} is more than {}", spec.max_entries, kMaxEntries);
    return {};
}

u64 element_bytes(u64 needed) {
    if (needed > kCacheLine) return round_up(needed, kCacheLine);
    return std::bit_ceil(needed);
}

} // namespace

void set_hash_secret(u64 secret) { hash_secret.store(secret, std::memory_order_relaxed); }

u32 HashMap::spares() { return 4 * kBurst * num_possible_cpus(); }

HashMap::HashMap(MapSpec spec, const MapOps& ops)
    : Map(ops, std::move(spec)),
      key_size_(this->spec().key_size),
      value_size_(this->spec().value_size),
      max_entries_(this->spec().max_entries) {}

HashMap::~HashMap() { unpoison(elements_.data(), elements_.size()); }

Result<std::shared_ptr<Map>> HashMap::create(MapSpec spec, const MapOps& ops) {
    if (auto checked = check_spec(spec, ops.per_cpu); !checked) return fail(checked.error());
    const bool sparse = (spec.flags & BPF_F_NO_PREALLOC) != 0;
    const std::shared_ptr<HashMap> map(new HashMap(std::move(spec), ops));

    // Element numbers and the end mark share 32 bits.
    const u64 elements = u64{map->max_entries_} + spares();
    if (elements >= kEnd) return fail(ENOMEM, "{} entries are too many", map->max_entries_);
    const u64 value_bytes = round_up(map->value_size_, 8);
    map->mask_ = std::bit_ceil(map->max_entries_) - 1;
    map->stripe_mask_ = std::min(map->mask_, kStripes - 1);
    map->value_offset_ = static_cast<u32>(sizeof(Element) + round_up(map->key_size_, 8));
    map->element_size_ = element_bytes(map->value_offset_ + (ops.per_cpu ? 0 : value_bytes));
    if ((map->spec().flags & BPF_F_ZERO_SEED) == 0) map->seed_ = hash_secret.load(std::memory_order_relaxed);

    // Bytes: at most 2^31 elements of 2^22 bytes, or 2^31 values of 2^15 bytes for 2^15 CPUs.
    auto buckets = map_memory((u64{map->mask_} + 1) * sizeof(u32), sparse);
    if (!buckets) return fail(buckets.error());
    map->buckets_ = std::move(*buckets);
    auto memory = map_memory(elements * map->element_size_, sparse);
    if (!memory) return fail(memory.error());
    map->elements_ = std::move(*memory);
    if (ops.per_cpu) {
        map->value_stride_ = value_bytes;
        map->cpu_stride_ = round_up(elements * value_bytes, 4096);
        auto percpu = map_memory(map->cpu_stride_ * num_possible_cpus(), sparse);
        if (!percpu) return fail(percpu.error());
        map->percpu_ = std::move(*percpu);
    }
    auto pool =
        ElementPool::create(static_cast<u32>(elements), sparse, map->elements_.data(), map->element_size_);
    if (!pool) return fail(pool.error());
    map->pool_ = std::move(*pool);
    map->stripes_ = std::make_unique<SpinLock[]>(u64{map->stripe_mask_} + 1);
    return map;
}

u64 HashMap::memory_bytes() const {
    return buckets_.size() + elements_.size() + percpu_.size() + pool_.memory_bytes();
}

u32 HashMap::hash_of(const u8* key) const noexcept {
    u64 hash = seed_ ^ (key_size_ * kMultiplier);
    u32 left = key_size_;
    for (; left >= 8; left -= 8, key += 8) hash = fold(hash ^ read_word(key), kMultiplier);
    if (left != 0) hash = fold(hash ^ read_partial(key, left), kMultiplier);
    return static_cast<u32>(hash ^ (hash >> 32));
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
                          : elements_.data() + number * element_size_ + value_offset_;
    return reinterpret_cast<u64*>(address);
}

u32 HashMap::first(u32 index) const noexcept {
    // Acquire: pairs with the release store that published the element.
    const u32 head = bucket(index).load(std::memory_order_acquire);
    return head == 0 ? kEnd | index : head - 1;
}

u64* HashMap::lookup(const u8* key, u32 cpu) const noexcept {
    const u32 hash = hash_of(key);
    const u32 index = hash & mask_;
    while (true) {
        u32 number = first(index);
        while ((number & kEnd) == 0) {
            const Element& found = element(number);
            if (found.hash.load(std::memory_order_relaxed) == hash && has_key(found, key))
                return value_of(number, cpu);
            number = found.next.load(std::memory_order_acquire);
        }
        // An element that was reused early led into another bucket's chain: look again.
        if (number == (kEnd | index)) return nullptr;
    }
}

u32 HashMap::find(u32 hash, const u8* key) const noexcept {
    for (u32 number = first(hash & mask_); (number & kEnd) == 0;) {
        const Element& found = element(number);
        if (found.hash.load(std::memory_order_relaxed) == hash && has_key(found, key)) return number;
        number = found.next.load(std::memory_order_relaxed);
    }
    return kNone;
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
    return number;
}

void HashMap::fill(u32 number, u32 hash, const u8* key) noexcept {
    Element& filled = element(number);
    filled.hash.store(hash, std::memory_order_relaxed);
    store_words(filled.key, key, key_size_);
}

void HashMap::insert(u32 number, u32 hash) noexcept {
    const u32 index = hash & mask_;
    element(number).next.store(first(index), std::memory_order_release);
    bucket(index).store(number + 1, std::memory_order_release);
}

void HashMap::point_past(u32 number, u32 hash, u32 to) noexcept {
    const u32 index = hash & mask_;
    u32 before = first(index);
    if (before == number) {
        bucket(index).store((to & kEnd) != 0 ? 0 : to + 1, std::memory_order_release);
        return;
    }
    for (u32 next; (next = element(before).next.load(std::memory_order_relaxed)) != number;) before = next;
    element(before).next.store(to, std::memory_order_release);
}

namespace {

/// 0, or what an update with these flags gets for a key that is or is not there.
int check_flags(bool exists, u64 flags) noexcept {
    if (exists && flags == BPF_NOEXIST) return -EEXIST;
    return !exists && flags == BPF_EXIST ? -ENOENT : 0;
}

} // namespace

int HashMap::update(const u8* key, const u8* value, u64 flags) noexcept {
    if (flags > BPF_EXIST) return -EINVAL; // BPF_F_LOCK needs a bpf_spin_lock, which no value has
    const u32 hash = hash_of(key);
    const std::lock_guard guard(stripe(hash & mask_));
    const u32 old = find(hash, key);
    if (const int error = check_flags(old != kNone, flags)) return error;
    if (old == kNone) {
        if (const int error = reserve()) return error;
    }
    const u32 number = old == kNone ? take_for_insert() : pool_.take(false);
    if (number == kNone) {
        store_words(value_of(old, 0), value, value_size_);
        return 0;
    }
    unpoison(&element(number), element_size_);
    store_words(value_of(number, 0), value, value_size_);
    fill(number, hash, key);
    if (old == kNone) {
        insert(number, hash);
        return 0;
    }
    // In the old one's place, by one store: a reader anywhere in the chain meets one of the two.
    element(number).next.store(element(old).next.load(std::memory_order_relaxed), std::memory_order_relaxed);
    point_past(old, hash, number);
    pool_.give_back(old);
    return 0;
}

int HashMap::update_percpu(const u8* key, const u8* value, u64 flags, bool all_cpus) noexcept {
    if (flags > BPF_EXIST) return -EINVAL;
    const u32 hash = hash_of(key);
    const std::lock_guard guard(stripe(hash & mask_));
    const u32 old = find(hash, key);
    if (const int error = check_flags(old != kNone, flags)) return error;
    u32 number = old;
    if (old == kNone) {
        if (const int error = reserve()) return error;
        number = take_for_insert();
        unpoison(&element(number), element_size_);
    }
    const u32 own = t_run.cpu;
    for (u32 cpu = 0; cpu < num_possible_cpus(); ++cpu) {
        if (all_cpus)
            store_words(value_of(number, cpu), value + cpu * value_stride_, static_cast<u32>(value_stride_));
        else if (cpu == own)
            store_words(value_of(number, cpu), value, value_size_);
        else if (old == kNone)
            clear_words(value_of(number, cpu), value_size_);
    }
    if (old == kNone) {
        fill(number, hash, key);
        insert(number, hash);
    }
    return 0;
}

int HashMap::erase(const u8* key) noexcept {
    const u32 hash = hash_of(key);
    const std::lock_guard guard(stripe(hash & mask_));
    const u32 old = find(hash, key);
    if (old == kNone) return -ENOENT;
    point_past(old, hash, element(old).next.load(std::memory_order_relaxed));
    pool_.give_back(old);
    count_.fetch_sub(1, std::memory_order_relaxed);
    return 0;
}

int HashMap::copy_value(const u8* key, u8* value) {
    const u32 hash = hash_of(key);
    const std::lock_guard guard(stripe(hash & mask_));
    const u32 found = find(hash, key);
    if (found == kNone) return -ENOENT;
    if (!percpu_)
        copy_words(value, value_of(found, 0), value_size_);
    else
        for (u32 cpu = 0; cpu < num_possible_cpus(); ++cpu)
            copy_words(value + cpu * value_stride_, value_of(found, cpu), static_cast<u32>(value_stride_));
    return 0;
}

bool HashMap::copy_first_key(u32 index, u8* next) {
    if ((first(index) & kEnd) != 0) return false;
    const std::lock_guard guard(stripe(index));
    const u32 number = first(index);
    if ((number & kEnd) != 0) return false;
    copy_words(next, element(number).key, key_size_);
    return true;
}

int HashMap::next_key(const u8* key, u8* next) {
    u64 index = 0;
    if (key != nullptr) {
        const u32 hash = hash_of(key);
        const std::lock_guard guard(stripe(hash & mask_));
        const u32 found = find(hash, key);
        if (found != kNone) {
            const u32 after = element(found).next.load(std::memory_order_relaxed);
            if ((after & kEnd) == 0) {
                copy_words(next, element(after).key, key_size_);
                return 0;
            }
            index = u64{hash & mask_} + 1;
        }
    }
    for (; index <= mask_; ++index)
        if (copy_first_key(static_cast<u32>(index), next)) return 0;
    return -ENOENT;
}

namespace {

HashMap& hash(Map& map) noexcept { return static_cast<HashMap&>(map); }
const u8* bytes(const void* memory) noexcept { return static_cast<const u8*>(memory); }

void* lookup(Map& map, const void* key) noexcept { return hash(map).lookup(bytes(key), 0); }
void* lookup_percpu(Map& map, const void* key) noexcept { return hash(map).lookup(bytes(key), t_run.cpu); }
void* lookup_cpu(Map& map, const void* key, u32 cpu) noexcept {
    return cpu < num_possible_cpus() ? hash(map).lookup(bytes(key), cpu) : nullptr;
}
int update(Map& map, const void* key, const void* value, u64 flags) noexcept {
    return hash(map).update(bytes(key), bytes(value), flags);
}
int update_percpu(Map& map, const void* key, const void* value, u64 flags) noexcept {
    return hash(map).update_percpu(bytes(key), bytes(value), flags, false);
}
int erase(Map& map, const void* key) noexcept { return hash(map).erase(bytes(key)); }
int copy_value(Map& map, const void* key, void* value, u64 flags) {
    return flags != 0 ? -EINVAL : hash(map).copy_value(bytes(key), static_cast<u8*>(value));
}
int store_value(Map& map, const void* key, const void* value, u64 flags) {
    return update(map, key, value, flags);
}
int store_percpu(Map& map, const void* key, const void* value, u64 flags) {
    return hash(map).update_percpu(bytes(key), bytes(value), flags, true);
}
int next_key(Map& map, const void* key, void* next) {
    return hash(map).next_key(bytes(key), static_cast<u8*>(next));
}

Result<std::shared_ptr<Map>> create_hash(MapSpec spec) { return HashMap::create(std::move(spec), kHashOps); }
Result<std::shared_ptr<Map>> create_percpu(MapSpec spec) {
    return HashMap::create(std::move(spec), kPercpuHashOps);
}

} // namespace

constinit const MapOps kHashOps = {.name = "hash",
                                   .create = create_hash,
                                   .lookup = lookup,
                                   .update = update,
                                   .erase = erase,
                                   .copy_value = copy_value,
                                   .store_value = store_value,
                                   .next_key = next_key,
                                   .direct_value = nullptr,
                                   .per_cpu = false,
                                   .array_like = false};

constinit const MapOps kPercpuHashOps = {.name = "percpu_hash",
                                         .create = create_percpu,
                                         .lookup = lookup_percpu,
                                         .update = update_percpu,
                                         .erase = erase,
                                         .copy_value = copy_value,
                                         .store_value = store_percpu,
                                         .next_key = next_key,
                                         .direct_value = nullptr,
                                         .per_cpu = true,
                                         .array_like = false,
                                         .lookup_cpu = lookup_cpu};

} // namespace xdplane
