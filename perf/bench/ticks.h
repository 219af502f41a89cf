// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <algorithm>
#include <chrono>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#include "bpf/base/types.h"

namespace xdplane::bench {

/// The cheapest clock there is: the time-stamp counter where there is one. What ran before has ended when it
/// is read, and what comes behind has not begun.
class Ticks {
public:
    [[nodiscard]] static u64 now() noexcept {
#if defined(__x86_64__)
        _mm_lfence();
        const u64 ticks = __rdtsc();
        _mm_lfence();
        return ticks;
#else
        return static_cast<u64>(std::chrono::steady_clock::now().time_since_epoch().count());
#endif
    }
    /// Nanoseconds per tick; measured in the first call, which takes 20 ms.
    [[nodiscard]] static double ns_per_tick();
    /// Ticks between two now() with nothing in between: taken off everything that is measured.
    [[nodiscard]] static u64 overhead();
};

} // namespace xdplane::bench
