// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Storage of cgroups. Linux keeps a value for each cgroup that a program is attached to; here all packets are
// of one cgroup, the root (id 1), so a map has one value. User space sees it once a program has asked for it,
// as it sees Linux's once a program was attached.
#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>

#include "bpf/maps/memory.h"
#include "bpf/maps/rows.h"
#include "bpf/maps/special_fields.h"
#include "bpf/maps/words.h"
#include "bpf/run/run_context.h"

namespace xdplane {
namespace {

constexpr u64 kRootCgroup = 1;
constexpr u32 kLargestValue = 0xffff - 128; // as of sk_storage

/// CPUs share no cache line.
u64 row_bytes(u32 value_size) noexcept { return round_up(value_size, 64); }

class CgroupStorage final : public Map {
public:
    CgroupStorage(MapSpec spec, const MapOps& ops, Mapping memory)
        : Map(ops, std::move(spec)), memory_(std::move(memory)) {}

    /// Data path.
    [[nodiscard]] u64* value(u32 cpu) const noexcept {
        return reinterpret_cast<u64*>(memory_.data() + cpu * row_bytes(spec().value_size));
    }
    void note_use() noexcept {
        if (!used_.load(std::memory_order_relaxed)) used_.store(true, std::memory_order_relaxed);
    }
    /// Keys are a cgroup's id, with or without an attach type behind it: of both directions alike.
    [[nodiscard]] bool has(const void* key) const {
        u64 cgroup = 0;
        std::memcpy(&cgroup, key, sizeof cgroup);
        return cgroup == kRootCgroup && used_.load(std::memory_order_relaxed);
    }
    [[nodiscard]] bool used() const { return used_.load(std::memory_order_relaxed); }
    [[nodiscard]] u64 memory_bytes() const override { return memory_.size(); }

private:
    Mapping memory_;
    std::atomic<bool> used_{false};
};

CgroupStorage& storage(Map& map) noexcept { return static_cast<CgroupStorage&>(map); }

Result<std::shared_ptr<Map>> make(MapSpec spec, const MapOps& ops) {
    const u32 largest = ops.per_cpu ? kMaxPercpuValue : kLargestValue;
    if (spec.key_size != sizeof(bpf_cgroup_storage_key) && spec.key_size != sizeof(u64))
        return fail(EINVAL, "key size {} is not that of a cgroup's id", spec.key_size);
    if (spec.value_size == 0) return fail(EINVAL, "value size is 0");
    if (spec.value_size > largest)
        return fail(E2BIG, "value size {} is more than {}", spec.value_size, largest);
    if ((spec.flags & ~(kAccessFlags | BPF_F_NUMA_NODE)) != 0) return fail(EINVAL, "map flags not allowed");
    if (spec.max_entries != 0) return fail(EINVAL, "max_entries is not 0");
    auto memory = map_memory(row_bytes(spec.value_size) * (ops.per_cpu ? u64{num_possible_cpus()} : u64{1}));
    if (!memory) return fail(memory.error());
    return std::make_shared<CgroupStorage>(std::move(spec), ops, std::move(*memory));
}
Result<std::shared_ptr<Map>> create_shared(MapSpec spec) { return make(std::move(spec), kCgroupStorageOps); }
Result<std::shared_ptr<Map>> create_percpu(MapSpec spec) {
    return make(std::move(spec), kPercpuCgroupStorageOps);
}

/// For bpf_get_local_storage: there is no key.
void* lookup(Map& map, const void*) noexcept {
    storage(map).note_use();
    return storage(map).value(map.ops().per_cpu ? t_run.cpu : 0);
}

void* lookup_cpu(Map& map, const void*, u32 cpu) noexcept {
    return cpu < num_possible_cpus() ? storage(map).value(cpu) : nullptr;
}

/// Runs `access` under the value's lock if the flags ask for it.
template<class Access>
void with_lock(Map& map, u64 flags, Access access) {
    if ((flags & BPF_F_LOCK) == 0) return access();
    ValueLock lock(storage(map).value(0), map.spec().record);
    const std::lock_guard inside(lock);
    access();
}

int copy_shared(Map& map, const void* key, void* value, u64 flags) {
    if (!lock_flag_fits(flags, map.spec().record)) return -EINVAL;
    if (!storage(map).has(key)) return -ENOENT;
    with_lock(map, flags, [&] { copy_words(value, storage(map).value(0), map.spec().value_size); });
    hide_special_fields(static_cast<u8*>(value), map.spec().record);
    return 0;
}
int store_shared(Map& map, const void* key, const void* value, u64 flags) {
    const MapRecord& record = map.spec().record;
    if ((flags & ~u64{BPF_F_LOCK | BPF_EXIST}) != 0) return -EINVAL;
    if ((flags & BPF_F_LOCK) != 0 && record.spin_lock < 0) return -EINVAL;
    if (!storage(map).has(key)) return -ENOENT;
    with_lock(map, flags, [&] {
        store_around_special_fields(storage(map).value(0), static_cast<const u8*>(value),
                                    map.spec().value_size, record);
    });
    return 0;
}

int copy_percpu(Map& map, const void* key, void* value, u64 flags) {
    if (flags != 0) return -EINVAL;
    if (!storage(map).has(key)) return -ENOENT;
    const u64 stride = round_up(map.spec().value_size, 8);
    for (u32 cpu = 0; cpu < num_possible_cpus(); ++cpu)
        copy_words(static_cast<u8*>(value) + cpu * stride, storage(map).value(cpu), stride);
    return 0;
}
int store_percpu(Map& map, const void* key, const void* value, u64 flags) {
    if (flags != BPF_ANY && flags != BPF_EXIST) return -EINVAL;
    if (!storage(map).has(key)) return -ENOENT;
    const u64 stride = round_up(map.spec().value_size, 8);
    for (u32 cpu = 0; cpu < num_possible_cpus(); ++cpu)
        store_words(storage(map).value(cpu), static_cast<const u8*>(value) + cpu * stride, stride);
    return 0;
}

int erase(Map&, const void*) noexcept { return -EINVAL; }

int next_key(Map& map, const void* key, void* next) {
    if (!storage(map).used() || (key != nullptr && storage(map).has(key))) return -ENOENT;
    std::memset(next, 0, map.spec().key_size);
    std::memcpy(next, &kRootCgroup, sizeof kRootCgroup);
    return 0;
}

} // namespace

constinit const MapOps kCgroupStorageOps = {.name = "cgroup_storage",
                                            .create = create_shared,
                                            .lookup = lookup,
                                            .update = nullptr,
                                            .erase = erase,
                                            .copy_value = copy_shared,
                                            .store_value = store_shared,
                                            .next_key = next_key,
                                            .direct_value = nullptr,
                                            .per_cpu = false,
                                            .array_like = false};

constinit const MapOps kPercpuCgroupStorageOps = {.name = "percpu_cgroup_storage",
                                                  .create = create_percpu,
                                                  .lookup = lookup,
                                                  .update = nullptr,
                                                  .erase = erase,
                                                  .copy_value = copy_percpu,
                                                  .store_value = store_percpu,
                                                  .next_key = next_key,
                                                  .direct_value = nullptr,
                                                  .per_cpu = true,
                                                  .array_like = false,
                                                  .lookup_cpu = lookup_cpu};

} // namespace xdplane
