// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/maps/map_types.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include "bpf/maps/rows.h"
#include "bpf/maps/words.h"
#include "bpf/run/run_context.h"

namespace xdplane {
namespace {

/// Ordered by type.
constexpr std::array kTypes = {
    MapType{BPF_MAP_TYPE_HASH, &kHashOps},
    MapType{BPF_MAP_TYPE_ARRAY, &kArrayOps},
    MapType{BPF_MAP_TYPE_PROG_ARRAY, &kProgArrayOps},
    MapType{BPF_MAP_TYPE_PERF_EVENT_ARRAY, &kPerfEventArrayOps},
    MapType{BPF_MAP_TYPE_PERCPU_HASH, &kPercpuHashOps},
    MapType{BPF_MAP_TYPE_PERCPU_ARRAY, &kPercpuArrayOps},
    MapType{BPF_MAP_TYPE_STACK_TRACE, &kStackTraceOps},
    MapType{BPF_MAP_TYPE_CGROUP_ARRAY, &kCgroupArrayOps},
    MapType{BPF_MAP_TYPE_LRU_HASH, &kLruHashOps},
    MapType{BPF_MAP_TYPE_LRU_PERCPU_HASH, &kLruPercpuHashOps},
    MapType{BPF_MAP_TYPE_LPM_TRIE, &kLpmTrieOps},
    MapType{BPF_MAP_TYPE_ARRAY_OF_MAPS, &kArrayOfMapsOps},
    MapType{BPF_MAP_TYPE_HASH_OF_MAPS, &kHashOfMapsOps},
    MapType{BPF_MAP_TYPE_DEVMAP, &kDevmapOps},
    MapType{BPF_MAP_TYPE_SOCKMAP, &kSockmapOps},
    MapType{BPF_MAP_TYPE_CPUMAP, &kCpumapOps},
    MapType{BPF_MAP_TYPE_XSKMAP, &kXskmapOps},
    MapType{BPF_MAP_TYPE_SOCKHASH, &kSockhashOps},
    MapType{BPF_MAP_TYPE_CGROUP_STORAGE, &kCgroupStorageOps},
    MapType{BPF_MAP_TYPE_REUSEPORT_SOCKARRAY, &kReuseportArrayOps},
    MapType{BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE, &kPercpuCgroupStorageOps},
    MapType{BPF_MAP_TYPE_QUEUE, &kQueueOps},
    MapType{BPF_MAP_TYPE_STACK, &kStackOps},
    MapType{BPF_MAP_TYPE_SK_STORAGE, &kSkStorageOps},
    MapType{BPF_MAP_TYPE_DEVMAP_HASH, &kDevmapHashOps},
    MapType{BPF_MAP_TYPE_RINGBUF, &kRingbufOps},
    MapType{BPF_MAP_TYPE_BLOOM_FILTER, &kBloomFilterOps},
    MapType{BPF_MAP_TYPE_USER_RINGBUF, &kUserRingbufOps},
};

bool both(u32 flags, u32 a, u32 b) { return (flags & (a | b)) == (a | b); }

} // namespace

std::span<const MapType> map_types() { return kTypes; }

const MapOps* find_map_ops(u32 type) {
    const auto row = std::ranges::find(kTypes, type, &MapType::type);
    return row == kTypes.end() ? nullptr : row->ops;
}

Result<std::shared_ptr<Map>> create_map(MapSpec spec) {
    const MapOps* ops = find_map_ops(spec.type);
    if (ops == nullptr) return fail(EINVAL, "map type {} is not supported", spec.type);
    if (spec.name.size() >= BPF_OBJ_NAME_LEN)
        return fail(EINVAL, "map name '{}' is longer than {} characters", spec.name, BPF_OBJ_NAME_LEN - 1);
    if (both(spec.flags, BPF_F_RDONLY, BPF_F_WRONLY) ||
        both(spec.flags, BPF_F_RDONLY_PROG, BPF_F_WRONLY_PROG))
        return fail(EINVAL, "a map cannot be both read-only and write-only");
    auto record = read_map_record(spec);
    if (!record) return fail(std::move(record.error()));
    spec.record = *record;
    return ops->create(std::move(spec));
}

u32 Map::syscall_value_size() const {
    if (!ops_->per_cpu) return spec_.value_size;
    return static_cast<u32>(round_up(spec_.value_size, 8)) * num_possible_cpus();
}

} // namespace xdplane
