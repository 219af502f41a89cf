// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "bpf/maps/map.h"

/// What the files of the map types share with the table in map_types.cpp.
namespace xdplane {

extern const MapOps kArrayOps;
extern const MapOps kPercpuArrayOps;
extern const MapOps kHashOps;
extern const MapOps kPercpuHashOps;
extern const MapOps kProgArrayOps;
extern const MapOps kLruHashOps;
extern const MapOps kLruPercpuHashOps;
extern const MapOps kLpmTrieOps;
extern const MapOps kArrayOfMapsOps;
extern const MapOps kHashOfMapsOps;
extern const MapOps kQueueOps;
extern const MapOps kStackOps;
extern const MapOps kBloomFilterOps;
extern const MapOps kPerfEventArrayOps;
extern const MapOps kDevmapOps;
extern const MapOps kDevmapHashOps;
extern const MapOps kCpumapOps;
extern const MapOps kRingbufOps;
extern const MapOps kUserRingbufOps;
extern const MapOps kCgroupStorageOps;
extern const MapOps kPercpuCgroupStorageOps;
// foreign.cpp
extern const MapOps kStackTraceOps;
extern const MapOps kCgroupArrayOps;
extern const MapOps kSockmapOps;
extern const MapOps kXskmapOps;
extern const MapOps kSockhashOps;
extern const MapOps kReuseportArrayOps;
extern const MapOps kSkStorageOps;

extern const AheadOps kHashAhead;
extern const AheadOps kLpmAhead;

/// Who may access a map: every type takes these flags.
inline constexpr u32 kAccessFlags = BPF_F_RDONLY | BPF_F_WRONLY | BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG;

/// Linux's KMALLOC_MAX_SIZE: what one allocation of its may have.
inline constexpr u64 kMaxAllocation = u64{4} << 20;

/// BPF_F_NUMA_NODE with a node: -1 is as if the flag were not there.
[[nodiscard]] inline bool on_numa_node(const MapSpec& spec) {
    return (spec.flags & BPF_F_NUMA_NODE) != 0 && spec.numa_node != ~u32{0};
}

/// Largest value of a per-CPU map, rounded up to 8: Linux's PCPU_MIN_UNIT_SIZE.
inline constexpr u32 kMaxPercpuValue = 32768;

/// What array-like types check alike: 4-byte keys, sizes, flags out of `allowed`.
[[nodiscard]] Result<> check_array_spec(const MapSpec& spec, u32 allowed, bool per_cpu);
/// GET_NEXT_KEY of array-like types: every index, and 0 after an unknown one.
int array_next_key(Map& map, const void* key, void* next);

} // namespace xdplane
