// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#if !defined(__x86_64__)
#include <chrono>
#endif

#include "bpf/base/types.h"

namespace xdplane {

/// The cheapest clock of this core, for measuring what pieces of work take. On x86-64 the timestamp counter.
[[nodiscard]] inline u64 cpu_ticks() noexcept {
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    return static_cast<u64>(std::chrono::steady_clock::now().time_since_epoch().count());
#endif
}

/// How many of them a second has, as measured since the process began: better the longer it runs, and never
/// worse than a thousandth. May wait for 2 ms in the first 2 ms. Any thread.
[[nodiscard]] double ticks_per_second();

/// What asking costs: the ticks between two calls in a row. Measured once, when the process begins.
[[nodiscard]] u64 tick_cost() noexcept;

} // namespace xdplane
