// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <cstring>
#include <linux/bpf.h>
#include <sched.h>

#include "bpf/maps/map_record.h"
#include "bpf/maps/words.h"

/// Values with special fields (MapRecord): locks and timers belong to the programs. Copies out of a map show
/// zeros in their place, updates leave them alone, and new elements start with zeros.
namespace xdplane {

/// The struct bpf_spin_lock in a value: 0 is free. Programs call nothing while they hold one, so waiting is
/// short; fits std::lock_guard.
class ValueLock {
public:
    ValueLock(void* value, const MapRecord& record) noexcept
        : word_(reinterpret_cast<u32*>(static_cast<u8*>(value) + record.spin_lock)) {}
    void lock() noexcept {
        constexpr u32 kSpins = 1000;
        for (u32 spins = 0; __atomic_exchange_n(word_, 1, __ATOMIC_ACQUIRE) != 0; ++spins)
            if (spins >= kSpins) ::sched_yield();
    }
    void unlock() noexcept { __atomic_store_n(word_, 0, __ATOMIC_RELEASE); }

private:
    u32* word_;
};

/// What a copy out of a map may be asked for: nothing, or to hold the value's lock.
[[nodiscard]] inline bool lock_flag_fits(u64 flags, const MapRecord& record) noexcept {
    return flags == 0 || (flags == BPF_F_LOCK && record.spin_lock >= 0);
}

/// Zeros in the place of special fields, in memory of the caller's own.
inline void hide_special_fields(u8* value, const MapRecord& record) noexcept {
    if (record.spin_lock >= 0) std::memset(value + record.spin_lock, 0, MapRecord::kSpinLockSize);
    if (record.timer >= 0) std::memset(value + record.timer, 0, MapRecord::kTimerSize);
}

/// store_words() into a value that is in use: by halves of words around special fields, which are at
/// multiples of 4.
inline void store_around_special_fields(u64* to, const u8* from, u32 size, const MapRecord& record) noexcept {
    for (u32 at = 0; at < size; at += 8) {
        const u32 bytes = size - at < 8 ? size - at : 8;
        u64* word = to + at / 8;
        const u64 value = bytes == 8 ? read_word(from + at) : read_partial(from + at, bytes);
        if (!record.overlaps(at, i64{at} + 8)) {
            store_word(word, value);
            continue;
        }
        for (u32 half = 0; half < 2; ++half)
            if (!record.overlaps(i64{at} + half * 4, i64{at} + half * 4 + 4))
                __atomic_store_n(reinterpret_cast<u32*>(word) + half, static_cast<u32>(value >> (32 * half)),
                                 __ATOMIC_RELAXED);
    }
}

} // namespace xdplane
