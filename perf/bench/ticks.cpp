// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "perf/bench/ticks.h"

namespace xdplane::bench {

double Ticks::ns_per_tick() {
    static const double ns = [] {
        using Clock = std::chrono::steady_clock;
        constexpr auto kTime = std::chrono::milliseconds(20);
        const u64 begin = now();
        const auto from = Clock::now();
        auto to = from;
        while (to - from < kTime) to = Clock::now();
        const u64 end = now();
        return std::chrono::duration<double, std::nano>(to - from).count() / static_cast<double>(end - begin);
    }();
    return ns;
}

u64 Ticks::overhead() {
    static const u64 least = [] {
        u64 best = ~u64{0};
        for (int i = 0; i < 1000; ++i) {
            const u64 begin = now();
            best = std::min(best, now() - begin);
        }
        return best;
    }();
    return least;
}

} // namespace xdplane::bench
