// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// What bpf(2) asks of hashes, under the locks of the stripes; and the rows of the types.
#include <cerrno>
#include <mutex>

#include "bpf/maps/hash.h"
#include "bpf/maps/rows.h"
#include "bpf/maps/special_fields.h"
#include "bpf/run/run_context.h"

namespace xdplane {
namespace {

constexpr u32 kNone = ElementPool::kNone;

} // namespace

void HashMap::copy_all(u32 number, u8* value, bool locked) const noexcept {
    if (percpu_) {
        for (u32 cpu = 0; cpu < num_possible_cpus(); ++cpu)
            copy_words(value + cpu * value_stride_, value_of(number, cpu), static_cast<u32>(value_stride_));
        return;
    }
    const MapRecord& record = spec().record;
    if (locked) {
        ValueLock lock(value_of(number, 0), record);
        const std::lock_guard inside(lock);
        copy_words(value, value_of(number, 0), value_size_);
    } else
        copy_words(value, value_of(number, 0), value_size_);
    hide_special_fields(value, record);
}

int HashMap::copy_value(const u8* key, u8* value, u64 flags) {
    if (!lock_flag_fits(flags, spec().record)) return -EINVAL;
    const u32 hash = hash_of(key);
    const std::lock_guard guard(stripe(hash & mask_));
    const u32 found = find(hash, key);
    if (found == kNone) return -ENOENT;
    copy_all(found, value, flags != 0);
    return 0;
}

int HashMap::take_value(const u8* key, u8* value, u64 flags) {
    if (!lock_flag_fits(flags, spec().record)) return -EINVAL;
    const u32 hash = hash_of(key);
    u32 found = kNone;
    {
        const std::lock_guard guard(stripe(hash & mask_));
        found = find(hash, key);
        if (found == kNone) return -ENOENT;
        copy_all(found, value, flags != 0);
        unlink(found, hash);
    }
    release(found);
    return 0;
}

bool HashMap::copy_first_key(u32 index, u8* next) {
    if ((first(index) & kEnd) != 0) return false;
    const std::lock_guard guard(stripe(index));
    const u32 number = first_behind(index, kNone);
    if (number == kNone) return false;
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
            const u32 after = first_behind(hash & mask_, found);
            if (after != kNone) {
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

/// Adds the bucket's entries: their number; -ENOSPC: there is no room for all of them.
int HashMap::copy_bucket(u32 index, MapBatch& batch, std::vector<u32>& removed, bool take) {
    const u64 value_bytes = percpu_ ? value_stride_ * num_possible_cpus() : value_size_;
    const std::lock_guard guard(stripe(index));
    u32 entries = 0;
    for (u32 at = first(index); (at & kEnd) == 0; at = following(at)) ++entries;
    if (entries > batch.room - batch.count) return -ENOSPC;
    if (entries == 0) return 0;
    if (batch.keys == nullptr || batch.values == nullptr) return -EFAULT;
    if (take) removed.reserve(entries);
    for (u32 at = first(index); (at & kEnd) == 0; at = following(at)) {
        copy_words(batch.keys + u64{batch.count} * key_size_, element(at).key, key_size_);
        copy_all(at, batch.values + batch.count * value_bytes, false);
        ++batch.count;
        if (take) removed.push_back(at);
    }
    if (take) unlink_all(index);
    return 0;
}

int HashMap::copy_batch(u32& bucket, MapBatch& batch, bool take) {
    std::vector<u32> removed;
    for (; bucket <= mask_; ++bucket) {
        const int error = copy_bucket(bucket, batch, removed, take);
        for (const u32 number : removed) release(number);
        removed.clear();
        if (error == -ENOSPC && batch.count != 0) return 0;
        if (error != 0) return error;
    }
    return -ENOENT;
}

namespace {

HashMap& hash(Map& map) noexcept { return static_cast<HashMap&>(map); }
const u8* bytes(const void* memory) noexcept { return static_cast<const u8*>(memory); }
u8* bytes(void* memory) noexcept { return static_cast<u8*>(memory); }

void* lookup(Map& map, const void* key) noexcept { return hash(map).lookup(bytes(key), 0); }
void* lookup_percpu(Map& map, const void* key) noexcept { return hash(map).lookup(bytes(key), t_run.cpu); }
void* lookup_cpu(Map& map, const void* key, u32 cpu) noexcept {
    return cpu < num_possible_cpus() ? hash(map).lookup(bytes(key), cpu) : nullptr;
}
void* lookup_lru(Map& map, const void* key) noexcept { return hash(map).lookup_lru(bytes(key), 0); }
void* lookup_lru_percpu(Map& map, const void* key) noexcept {
    return hash(map).lookup_lru(bytes(key), t_run.cpu);
}
void* lookup_lru_cpu(Map& map, const void* key, u32 cpu) noexcept {
    return cpu < num_possible_cpus() ? hash(map).lookup_lru(bytes(key), cpu) : nullptr;
}

int update(Map& map, const void* key, const void* value, u64 flags) noexcept {
    return hash(map).update(bytes(key), bytes(value), flags);
}
int update_percpu(Map& map, const void* key, const void* value, u64 flags) noexcept {
    return hash(map).update_percpu(bytes(key), bytes(value), flags, false);
}
int update_lru(Map& map, const void* key, const void* value, u64 flags) noexcept {
    return hash(map).update_lru(bytes(key), bytes(value), flags);
}
int update_lru_percpu(Map& map, const void* key, const void* value, u64 flags) noexcept {
    return hash(map).update_lru_percpu(bytes(key), bytes(value), flags, false);
}
int store_percpu(Map& map, const void* key, const void* value, u64 flags) {
    return hash(map).update_percpu(bytes(key), bytes(value), flags, true);
}
int store_lru_percpu(Map& map, const void* key, const void* value, u64 flags) {
    return hash(map).update_lru_percpu(bytes(key), bytes(value), flags, true);
}

int erase(Map& map, const void* key) noexcept { return hash(map).erase(bytes(key)); }
int copy_value(Map& map, const void* key, void* value, u64 flags) {
    return hash(map).copy_value(bytes(key), bytes(value), flags);
}
int take_value(Map& map, const void* key, void* value, u64 flags) {
    return hash(map).take_value(bytes(key), bytes(value), flags);
}
int next_key(Map& map, const void* key, void* next) { return hash(map).next_key(bytes(key), bytes(next)); }
int copy_batch(Map& map, u32& cursor, MapBatch& batch, bool take) {
    return hash(map).copy_batch(cursor, batch, take);
}
i64 for_each(Map& map, u64 (*each)(void*, const void*, void*) noexcept, void* context) noexcept {
    return hash(map).for_each(each, context, map.ops().per_cpu ? t_run.cpu : 0);
}

template<const MapOps& ops>
Result<std::shared_ptr<Map>> create(MapSpec spec) {
    return HashMap::create(std::move(spec), ops);
}

/// The types differ in how programs and bpf(2) read and write values.
constexpr MapOps row(const char* name, decltype(MapOps::create) create, decltype(MapOps::lookup) lookup,
                     decltype(MapOps::update) update, decltype(MapOps::store_value) store,
                     decltype(MapOps::lookup_cpu) lookup_cpu) {
    return {.name = name,
            .create = create,
            .lookup = lookup,
            .update = update,
            .erase = erase,
            .copy_value = copy_value,
            .store_value = store,
            .next_key = next_key,
            .direct_value = nullptr,
            .per_cpu = lookup_cpu != nullptr,
            .array_like = false,
            .lookup_cpu = lookup_cpu,
            .take_value = take_value,
            .copy_batch = copy_batch,
            .batch = kBatchLookup | kBatchUpdate | kBatchDelete,
            .for_each = for_each,
            .ahead = &kHashAhead};
}

} // namespace

constinit const MapOps kHashOps = row("hash", create<kHashOps>, lookup, update, update, nullptr);
constinit const MapOps kPercpuHashOps =
    row("percpu_hash", create<kPercpuHashOps>, lookup_percpu, update_percpu, store_percpu, lookup_cpu);
constinit const MapOps kLruHashOps =
    row("lru_hash", create<kLruHashOps>, lookup_lru, update_lru, update_lru, nullptr);
constinit const MapOps kLruPercpuHashOps =
    row("lru_percpu_hash", create<kLruPercpuHashOps>, lookup_lru_percpu, update_lru_percpu, store_lru_percpu,
        lookup_lru_cpu);

} // namespace xdplane
