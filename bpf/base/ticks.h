// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#if !defined(__x86_64__)
#include <chrono>
#endif

#include "bpf/base/types.h"

namespace xdplane {

/// The cheapest clock of this core, for comparing what pieces of work take: ticks of no known length.
[[nodiscard]] inline u64 cpu_ticks() noexcept {
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    return static_cast<u64>(std::chrono::steady_clock::now().time_since_epoch().count());
#endif
}

} // namespace xdplane
