// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/base/ticks.h"

#include <algorithm>
#include <chrono>
#include <thread>

namespace xdplane {
namespace {

using Clock = std::chrono::steady_clock;

struct Beginning {
    Clock::time_point time = Clock::now();
    u64 ticks = cpu_ticks();
};
const Beginning g_beginning;

u64 measure_cost() {
    u64 least = ~u64{0};
    for (int i = 0; i < 64; ++i) {
        const u64 before = cpu_ticks();
        least = std::min(least, cpu_ticks() - before);
    }
    return least;
}
const u64 g_cost = measure_cost();

} // namespace

double ticks_per_second() {
    constexpr std::chrono::milliseconds kEnough{2};
    if (Clock::now() - g_beginning.time < kEnough) std::this_thread::sleep_for(kEnough);
    const u64 ticks = cpu_ticks() - g_beginning.ticks;
    return static_cast<double>(ticks) /
           std::chrono::duration<double>(Clock::now() - g_beginning.time).count();
}

u64 tick_cost() noexcept { return g_cost; }

} // namespace xdplane
