// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "perf/bench/updater.h"

#include <algorithm>
#include <chrono>
#include <sched.h>

namespace xdplane::bench {
namespace {

/// All CPUs but one.
void leave_cpu(u32 cpu) {
    cpu_set_t others;
    CPU_ZERO(&others);
    for (u32 i = 0; i < std::thread::hardware_concurrency(); ++i)
        if (i != cpu) CPU_SET(i, &others);
    ::sched_setaffinity(0, sizeof others, &others);
}

} // namespace

Updater::Updater(u32 per_second, u32 cpu, std::function<void(u32 index)> update)
    : thread_([this, per_second, cpu, update = std::move(update)](const std::stop_token& stop) {
          using Clock = std::chrono::steady_clock;
          const u32 together = std::clamp(per_second / 4000, 1U, 64U);
          leave_cpu(cpu);
          const auto start = Clock::now();
          u64 done = 0;
          while (!stop.stop_requested()) {
              const double due = std::chrono::duration<double>(Clock::now() - start).count() * per_second;
              if (due < static_cast<double>(done + together)) {
                  std::this_thread::yield();
                  continue;
              }
              for (u32 i = 0; i < together; ++i) update(static_cast<u32>(done++));
              done_.store(done, std::memory_order_relaxed);
          }
      }) {}

} // namespace xdplane::bench
