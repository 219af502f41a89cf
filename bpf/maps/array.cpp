// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/maps/array.h"

#include <cerrno>
#include <limits>
#include <mutex>

#include "bpf/maps/memory.h"
#include "bpf/maps/rows.h"
#include "bpf/maps/special_fields.h"
#include "bpf/run/run_context.h"

namespace xdplane {

Result<> check_array_spec(const MapSpec& spec, u32 allowed, bool per_cpu) {
    if (spec.key_size != 4) return fail(EINVAL, "key size {} is not 4", spec.key_size);
    if (spec.value_size == 0) return fail(EINVAL, "value size is 0");
    if (spec.max_entries == 0) return fail(EINVAL, "max_entries is 0");
    if ((spec.flags & ~allowed) != 0)
        return fail(EINVAL, "map flags {:#x} are not allowed", spec.flags & ~allowed);
    if (per_cpu && on_numa_node(spec)) return fail(EINVAL, "a map with memory for each CPU has no NUMA node");
    const u32 limit = per_cpu ? kMaxPercpuValue : u32{std::numeric_limits<i32>::max()};
    if (spec.value_size > limit) return fail(E2BIG, "value size {} is more than {}", spec.value_size, limit);
    return {};
}

int array_next_key(Map& map, const void* key, void* next) {
    u32 index = std::numeric_limits<u32>::max();
    if (key != nullptr) std::memcpy(&index, key, 4);
    const u32 count = map.spec().max_entries;
    if (index == count - 1) return -ENOENT;
    index = index >= count ? 0 : index + 1;
    std::memcpy(next, &index, 4);
    return 0;
}

ArrayMap::ArrayMap(MapSpec spec, const MapOps& ops, Mapping memory, UniqueFd storage, u64 cpu_stride)
    : Map(ops, std::move(spec)),
      values_(memory.data()),
      cpu_stride_(cpu_stride),
      stride_(static_cast<u32>(round_up(this->spec().value_size, 8))),
      count_(this->spec().max_entries),
      memory_(std::move(memory)) {
    storage_ = std::move(storage);
}

Result<std::shared_ptr<Map>> ArrayMap::create(MapSpec spec, const MapOps& ops) {
    const u32 allowed =
        kAccessFlags | BPF_F_NUMA_NODE | (ops.per_cpu ? 0U : u32{BPF_F_MMAPABLE | BPF_F_INNER_MAP});
    if (auto checked = check_array_spec(spec, allowed, ops.per_cpu); !checked) return fail(checked.error());

    // At most 2^31 * 2^32 bytes, times CPUs of at most 2^15 * 2^32: no overflow.
    const u64 row = round_up(u64{spec.max_entries} * round_up(spec.value_size, 8), 4096);
    UniqueFd storage;
    Result<Mapping> memory = (spec.flags & BPF_F_MMAPABLE)
                                 ? map_shared_memory(row, spec.name, storage)
                                 : map_memory(ops.per_cpu ? row * num_possible_cpus() : row);
    if (!memory) return fail(memory.error());
    return std::make_shared<ArrayMap>(std::move(spec), ops, std::move(*memory), std::move(storage),
                                      ops.per_cpu ? row : 0);
}

namespace {

ArrayMap& array(Map& map) noexcept { return static_cast<ArrayMap&>(map); }

u32 index_of(const void* key) noexcept {
    u32 index;
    std::memcpy(&index, key, 4);
    return index;
}

/// An element always exists: BPF_NOEXIST never succeeds. BPF_F_LOCK needs a bpf_spin_lock in the value.
int check_update(const ArrayMap& map, u32 index, u64 flags) noexcept {
    if ((flags & ~u64{BPF_F_LOCK}) > BPF_EXIST) return -EINVAL;
    if (index >= map.count()) return -E2BIG;
    if (flags & BPF_NOEXIST) return -EEXIST;
    return (flags & BPF_F_LOCK) != 0 && map.spec().record.spin_lock < 0 ? -EINVAL : 0;
}

void* lookup(Map& map, const void* key) noexcept { return array(map).value(index_of(key), 0); }
void* lookup_percpu(Map& map, const void* key) noexcept { return array(map).value(index_of(key), t_run.cpu); }
void* lookup_cpu(Map& map, const void* key, u32 cpu) noexcept {
    return cpu < num_possible_cpus() ? array(map).value(index_of(key), cpu) : nullptr;
}

int update_row(Map& map, const void* key, const void* value, u64 flags, u32 cpu) noexcept {
    const u32 index = index_of(key);
    if (const int error = check_update(array(map), index, flags)) return error;
    u64* to = array(map).value(index, cpu);
    const MapRecord& record = map.spec().record;
    const u8* from = static_cast<const u8*>(value);
    if ((flags & BPF_F_LOCK) != 0) {
        ValueLock lock(to, record);
        const std::lock_guard inside(lock);
        store_around_special_fields(to, from, map.spec().value_size, record);
    } else if (record.any())
        store_around_special_fields(to, from, map.spec().value_size, record);
    else
        store_words(to, value, map.spec().value_size);
    return 0;
}
int update(Map& map, const void* key, const void* value, u64 flags) noexcept {
    return update_row(map, key, value, flags, 0);
}
int update_percpu(Map& map, const void* key, const void* value, u64 flags) noexcept {
    return update_row(map, key, value, flags, t_run.cpu);
}

int erase(Map&, const void*) noexcept { return -EINVAL; }

int copy_value(Map& map, const void* key, void* value, u64 flags) {
    const MapRecord& record = map.spec().record;
    if (!lock_flag_fits(flags, record)) return -EINVAL;
    u64* from = array(map).value(index_of(key), 0);
    if (from == nullptr) return -ENOENT;
    if (flags != 0) {
        ValueLock lock(from, record);
        const std::lock_guard inside(lock);
        copy_words(value, from, map.spec().value_size);
    } else
        copy_words(value, from, map.spec().value_size);
    hide_special_fields(static_cast<u8*>(value), record);
    return 0;
}

/// bpf(2) refuses BPF_F_LOCK without a lock before it looks at the index.
int store_value(Map& map, const void* key, const void* value, u64 flags) {
    if ((flags & BPF_F_LOCK) != 0 && map.spec().record.spin_lock < 0) return -EINVAL;
    return update_row(map, key, value, flags, 0);
}

int copy_percpu(Map& map, const void* key, void* value, u64 flags) {
    if (flags != 0) return -EINVAL;
    const u32 index = index_of(key);
    if (index >= array(map).count()) return -ENOENT;
    const u32 stride = array(map).stride();
    for (u32 cpu = 0; cpu < num_possible_cpus(); ++cpu)
        copy_words(static_cast<u8*>(value) + u64{cpu} * stride, array(map).value(index, cpu), stride);
    return 0;
}

int store_percpu(Map& map, const void* key, const void* value, u64 flags) {
    if (flags & BPF_F_LOCK) return -EINVAL;
    const u32 index = index_of(key);
    if (const int error = check_update(array(map), index, flags)) return error;
    const u32 stride = array(map).stride();
    for (u32 cpu = 0; cpu < num_possible_cpus(); ++cpu)
        store_words(array(map).value(index, cpu), static_cast<const u8*>(value) + u64{cpu} * stride, stride);
    return 0;
}

i64 for_each(Map& map, u64 (*each)(void*, const void*, void*) noexcept, void* context) noexcept {
    const u32 cpu = map.ops().per_cpu ? t_run.cpu : 0;
    const u32 count = array(map).count();
    for (u32 index = 0; index < count; ++index) {
        const u32 key = index; // the callback's own
        if (each(context, &key, array(map).value(index, cpu)) != 0) return i64{index} + 1;
    }
    return count;
}

/// Linux too has direct addresses only for arrays of one entry, what libbpf makes of global data.
u8* direct_value(Map& map) { return array(map).count() == 1 ? array(map).values() : nullptr; }

Result<std::shared_ptr<Map>> create_array(MapSpec spec) {
    return ArrayMap::create(std::move(spec), kArrayOps);
}
Result<std::shared_ptr<Map>> create_percpu(MapSpec spec) {
    return ArrayMap::create(std::move(spec), kPercpuArrayOps);
}

} // namespace

constinit const MapOps kArrayOps = {.name = "array",
                                    .create = create_array,
                                    .lookup = lookup,
                                    .update = update,
                                    .erase = erase,
                                    .copy_value = copy_value,
                                    .store_value = store_value,
                                    .next_key = array_next_key,
                                    .direct_value = direct_value,
                                    .per_cpu = false,
                                    .array_like = true,
                                    .batch = kBatchLookup | kBatchUpdate,
                                    .for_each = for_each};

constinit const MapOps kPercpuArrayOps = {.name = "percpu_array",
                                          .create = create_percpu,
                                          .lookup = lookup_percpu,
                                          .update = update_percpu,
                                          .erase = erase,
                                          .copy_value = copy_percpu,
                                          .store_value = store_percpu,
                                          .next_key = array_next_key,
                                          .direct_value = nullptr,
                                          .per_cpu = true,
                                          .array_like = true,
                                          .lookup_cpu = lookup_cpu,
                                          .batch = kBatchLookup | kBatchUpdate,
                                          .for_each = for_each};

} // namespace xdplane
