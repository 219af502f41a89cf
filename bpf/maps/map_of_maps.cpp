// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/maps/map_of_maps.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

#include "bpf/base/reclaimer.h"
#include "bpf/maps/memory.h"
#include "bpf/maps/rows.h"

namespace xdplane {
namespace {

/// Types that Linux does not let be inner maps.
constexpr std::array<u32, 4> kNeverInner = {BPF_MAP_TYPE_PROG_ARRAY, BPF_MAP_TYPE_CGROUP_STORAGE,
                                            BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE, BPF_MAP_TYPE_STRUCT_OPS};
/// Types whose inner maps must have as many entries as the template: engines may know the number.
constexpr std::array<u32, 2> kSameEntries = {BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_XSKMAP};

template<class List>
bool contains(const List& list, u32 type) {
    return std::ranges::find(list, type) != list.end();
}

bool alike(const MapSpec& a, const MapSpec& b) {
    if (a.type != b.type || a.key_size != b.key_size || a.value_size != b.value_size || a.flags != b.flags ||
        a.record != b.record)
        return false;
    if (!contains(kSameEntries, a.type) || (a.flags & BPF_F_INNER_MAP) != 0) return true;
    return a.max_entries == b.max_entries;
}

/// What is left of the map that MAP_CREATE named: its kind, without entries.
Result<std::shared_ptr<Map>> make_template(const MapSpec& spec) {
    if (!spec.inner) return fail(spec.inner_error, "inner_map_fd is no map");
    if (is_map_of_maps(*spec.inner)) return fail(EINVAL, "maps of maps of maps are not allowed");
    if (contains(kNeverInner, spec.inner->spec().type))
        return fail(kNotSupported, "a {} cannot be an inner map", spec.inner->ops().name);
    return std::make_shared<Map>(spec.inner->ops(), spec.inner->spec());
}

int check_inner(const Map& outer, const Result<std::shared_ptr<Map>>& inner) {
    if (!inner) return -inner.error().code;
    return alike(outer.spec().inner->spec(), (*inner)->spec()) ? 0 : -EINVAL;
}

} // namespace

void InnerMaps::hold(std::shared_ptr<Map> map) {
    Held& held = held_[map.get()];
    held.map = std::move(map);
    ++held.times;
}

void InnerMaps::drop(const Map* map) {
    const auto it = held_.find(map);
    if (it == held_.end() || --it->second.times != 0) return;
    Reclaimer::instance().retire(new std::shared_ptr<Map>(std::move(it->second.map)));
    held_.erase(it);
}

std::shared_ptr<Map> InnerMaps::find(const Map* map) const {
    const auto it = held_.find(map);
    return it == held_.end() ? nullptr : it->second.map;
}

ArrayOfMaps::ArrayOfMaps(MapSpec spec, Mapping memory)
    : Map(kArrayOfMapsOps, std::move(spec)), count_(this->spec().max_entries), memory_(std::move(memory)) {}

Result<std::shared_ptr<Map>> ArrayOfMaps::create(MapSpec spec) {
    if (spec.value_size != 4) return fail(EINVAL, "value size {} is not 4", spec.value_size);
    // Programs cannot write it anyway, so flags about that are refused, as in Linux.
    if (auto checked = check_array_spec(spec, BPF_F_RDONLY | BPF_F_WRONLY | BPF_F_NUMA_NODE, false); !checked)
        return fail(checked.error());
    auto inner = make_template(spec);
    if (!inner) return fail(inner.error());
    spec.inner = std::move(*inner);
    auto memory = map_memory(u64{spec.max_entries} * sizeof(Map*));
    if (!memory) return fail(memory.error());
    return std::make_shared<ArrayOfMaps>(std::move(spec), std::move(*memory));
}

int ArrayOfMaps::set(u32 index, const Result<std::shared_ptr<Map>>& inner, u64 flags) {
    if (flags != BPF_ANY) return -EINVAL;
    if (index >= count_) return -E2BIG;
    if (const int error = check_inner(*this, inner); error != 0) return error;
    const std::lock_guard guard(lock_);
    inner_.hold(*inner);
    inner_.drop(slots()[index].exchange(inner->get(), std::memory_order_acq_rel));
    return 0;
}

int ArrayOfMaps::erase(u32 index) {
    if (index >= count_) return -E2BIG;
    const std::lock_guard guard(lock_);
    const Map* old = slots()[index].exchange(nullptr, std::memory_order_acq_rel);
    if (old == nullptr) return -ENOENT;
    inner_.drop(old);
    return 0;
}

std::shared_ptr<Map> ArrayOfMaps::get(u32 index) {
    const std::lock_guard guard(lock_);
    return inner_.find(lookup(index));
}

HashOfMaps::HashOfMaps(MapSpec spec) : HashMap(std::move(spec), kHashOfMapsOps, sizeof(Map*)) {}

Result<std::shared_ptr<Map>> HashOfMaps::create(MapSpec spec) {
    if (spec.value_size != 4) return fail(EINVAL, "value size {} is not 4", spec.value_size);
    if (auto checked = check_spec(spec, false); !checked) return fail(checked.error());
    auto inner = make_template(spec);
    if (!inner) return fail(inner.error());
    spec.inner = std::move(*inner);
    const std::shared_ptr<HashOfMaps> map(new HashOfMaps(std::move(spec)));
    if (auto done = map->allocate(); !done) return fail(done.error());
    return map;
}

Map* HashOfMaps::lookup(const u8* key) const noexcept {
    const u64* value = HashMap::lookup(key, 0);
    return value == nullptr ? nullptr : reinterpret_cast<Map*>(load_word(value));
}

int HashOfMaps::set(const u8* key, const Result<std::shared_ptr<Map>>& inner, u64 flags) {
    if (const int error = check_inner(*this, inner); error != 0) return error;
    const u64 pointer = reinterpret_cast<u64>(inner->get());
    const std::lock_guard guard(lock_);
    const Map* old = lookup(key);
    if (const int error = update(key, reinterpret_cast<const u8*>(&pointer), flags); error != 0) return error;
    inner_.hold(*inner);
    inner_.drop(old);
    return 0;
}

int HashOfMaps::erase(const u8* key) {
    const std::lock_guard guard(lock_);
    const Map* old = lookup(key);
    if (const int error = HashMap::erase(key); error != 0) return error;
    inner_.drop(old);
    return 0;
}

std::shared_ptr<Map> HashOfMaps::get(const u8* key) {
    const std::lock_guard guard(lock_);
    return inner_.find(lookup(key));
}

int HashOfMaps::copy_batch(u32& bucket, MapBatch& batch, bool take) {
    std::vector<u64> pointers(std::min(batch.room, spec().max_entries));
    MapBatch raw{.keys = batch.keys,
                 .values = batch.values == nullptr ? nullptr : reinterpret_cast<u8*>(pointers.data()),
                 .room = static_cast<u32>(pointers.size())};
    const std::lock_guard guard(lock_);
    const int error = HashMap::copy_batch(bucket, raw, take);
    for (u32 i = 0; i < raw.count; ++i) {
        const auto* map = reinterpret_cast<const Map*>(pointers[i]);
        std::memcpy(batch.values + u64{i} * 4, &map->id, 4);
        if (take) inner_.drop(map);
    }
    batch.count = raw.count;
    return error;
}

bool is_map_of_maps(const Map& map) {
    return map.spec().type == BPF_MAP_TYPE_ARRAY_OF_MAPS || map.spec().type == BPF_MAP_TYPE_HASH_OF_MAPS;
}

namespace {

ArrayOfMaps& array(Map& map) noexcept { return static_cast<ArrayOfMaps&>(map); }
HashOfMaps& hash(Map& map) noexcept { return static_cast<HashOfMaps&>(map); }
const u8* bytes(const void* memory) noexcept { return static_cast<const u8*>(memory); }
u32 index_of(const void* key) noexcept {
    u32 index;
    std::memcpy(&index, key, 4);
    return index;
}

void* lookup_array(Map& map, const void* key) noexcept { return array(map).lookup(index_of(key)); }
void* lookup_hash(Map& map, const void* key) noexcept { return hash(map).lookup(bytes(key)); }
int erase_array(Map& map, const void* key) noexcept { return array(map).erase(index_of(key)); }
int erase_hash(Map& map, const void* key) noexcept { return hash(map).erase(bytes(key)); }

/// The id of the inner map.
int copy_value(Map& map, const void* key, void* value, u64 flags) {
    if (flags != 0) return -EINVAL;
    const auto inner = inner_map(map, key);
    if (!inner) return -ENOENT;
    std::memcpy(value, &inner->id, 4);
    return 0;
}

int next_key_hash(Map& map, const void* key, void* next) {
    return hash(map).next_key(bytes(key), static_cast<u8*>(next));
}
int copy_batch(Map& map, u32& cursor, MapBatch& batch, bool take) {
    return hash(map).copy_batch(cursor, batch, take);
}

} // namespace

int set_inner_map(Map& outer, const void* key, const Result<std::shared_ptr<Map>>& inner, u64 flags) {
    if (outer.spec().type == BPF_MAP_TYPE_ARRAY_OF_MAPS) return array(outer).set(index_of(key), inner, flags);
    return hash(outer).set(bytes(key), inner, flags);
}

std::shared_ptr<Map> inner_map(Map& outer, const void* key) {
    if (outer.spec().type == BPF_MAP_TYPE_ARRAY_OF_MAPS) return array(outer).get(index_of(key));
    return hash(outer).get(bytes(key));
}

constinit const MapOps kArrayOfMapsOps = {.name = "array_of_maps",
                                          .create = ArrayOfMaps::create,
                                          .lookup = lookup_array,
                                          .update = nullptr,
                                          .erase = erase_array,
                                          .copy_value = copy_value,
                                          .store_value = nullptr,
                                          .next_key = array_next_key,
                                          .direct_value = nullptr,
                                          .per_cpu = false,
                                          .array_like = false,
                                          .batch = kBatchLookup | kBatchUpdate};

constinit const MapOps kHashOfMapsOps = {.name = "hash_of_maps",
                                         .create = HashOfMaps::create,
                                         .lookup = lookup_hash,
                                         .update = nullptr,
                                         .erase = erase_hash,
                                         .copy_value = copy_value,
                                         .store_value = nullptr,
                                         .next_key = next_key_hash,
                                         .direct_value = nullptr,
                                         .per_cpu = false,
                                         .array_like = false,
                                         .copy_batch = copy_batch,
                                         .batch = kBatchLookup | kBatchUpdate | kBatchDelete};

} // namespace xdplane
