// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <limits>

#include "bpf/prog/program_type.h"

/// The rows of program_types.cpp, one file per type.
namespace xdplane {

inline constexpr i64 kAnyReturnMin = std::numeric_limits<i64>::min();
inline constexpr i64 kAnyReturnMax = std::numeric_limits<i64>::max();

extern const ProgramType kXdpType;
extern const ProgramType kXdpDevmapType; ///< of BPF_XDP_DEVMAP
extern const ProgramType kSocketFilterType;
extern const ProgramType kSchedClsType;
extern const ProgramType kSchedActType;
extern const ProgramType kCgroupSkbType;       ///< of BPF_CGROUP_INET_INGRESS
extern const ProgramType kCgroupSkbEgressType; ///< of BPF_CGROUP_INET_EGRESS

} // namespace xdplane
