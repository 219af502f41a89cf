// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <ctime>

#include "bpf/base/types.h"

namespace xdplane {

/// The time that the running program sees, in ns: of `clock`, or of the capture in replay. Data path.
[[nodiscard]] u64 run_clock_ns(clockid_t clock) noexcept;

} // namespace xdplane
