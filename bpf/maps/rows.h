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

/// Who may access a map: every type takes these flags.
inline constexpr u32 kAccessFlags = BPF_F_RDONLY | BPF_F_WRONLY | BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG;

/// Largest value of a per-CPU map, rounded up to 8: Linux's PCPU_MIN_UNIT_SIZE.
inline constexpr u32 kMaxPercpuValue = 32768;

/// What array-like types check alike: 4-byte keys, sizes, flags out of `allowed`.
[[nodiscard]] Result<> check_array_spec(const MapSpec& spec, u32 allowed, bool per_cpu);
/// GET_NEXT_KEY of array-like types: every index, and 0 after an unknown one.
int array_next_key(Map& map, const void* key, void* next);

} // namespace xdplane
