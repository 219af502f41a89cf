// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <sched.h>

#include "bpf/base/types.h"

namespace xdplane {

/// struct bpf_spin_lock in a map value, the lock of bpf_spin_lock() and of BPF_F_LOCK: 0 free, 1 taken. Taken
/// by workers and the control thread alike. The verifier sees that a program holds one at most, calls little
/// while it does and gives it back on every path; who waits for a holder that was descheduled gives its CPU
/// away.
class ValueLock {
public:
    explicit ValueLock(u32* word) noexcept : word_(word) {}

    void lock() noexcept {
        while (__atomic_exchange_n(word_, 1, __ATOMIC_ACQUIRE) != 0)
            for (u32 spins = 0; __atomic_load_n(word_, __ATOMIC_RELAXED) != 0; ++spins)
                if (spins >= kSpins) ::sched_yield();
    }
    void unlock() noexcept { __atomic_store_n(word_, 0, __ATOMIC_RELEASE); }

private:
    static constexpr u32 kSpins = 1000;
    u32* word_;
};

} // namespace xdplane
