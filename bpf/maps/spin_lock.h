// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <atomic>
#include <sched.h>

#include "bpf/base/types.h"

namespace xdplane {

/// A lock for a few dozen instructions, taken by workers and the control thread alike; fits std::lock_guard.
/// Who holds it never blocks, so a waiter waits for long only if the holder was descheduled: then it gives
/// its CPU away. Alone on its cache line.
class alignas(kCacheLine) SpinLock {
public:
    void lock() noexcept {
        while (held_.exchange(true, std::memory_order_acquire)) wait();
    }
    void unlock() noexcept { held_.store(false, std::memory_order_release); }

private:
    void wait() const noexcept {
        for (u32 spins = 0; held_.load(std::memory_order_relaxed); ++spins) {
            if (spins >= kSpins) ::sched_yield();
#if defined(__x86_64__)
            else
                __builtin_ia32_pause();
#elif defined(__aarch64__)
            else
                asm volatile("yield");
#endif
        }
    }

    static constexpr u32 kSpins = 1000;
    std::atomic<bool> held_{false};
};

} // namespace xdplane
