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
extern const ProgramType kSocketFilterType;

} // namespace xdplane
