// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/base/reclaimer.h"

#include <thread>

namespace xdplane {

int Reclaimer::online() {
    for (u32 slot = 0; slot < kMaxReaders; ++slot) {
        bool expected = false;
        if (!readers_[slot].taken.compare_exchange_strong(expected, true)) continue;
        u32 high = high_water_.load();
        while (high < slot + 1 && !high_water_.compare_exchange_weak(high, slot + 1)) {
        }
        // Sequentially consistent on both sides: a writer that misses this store unlinked its object before
        // this reader can load any pointer.
        readers_[slot].seen.exchange(epoch_.load(), std::memory_order_seq_cst);
        return static_cast<int>(slot);
    }
    return -1;
}

void Reclaimer::offline(int slot) {
    readers_[static_cast<u32>(slot)].seen.store(kOffline, std::memory_order_release);
    readers_[static_cast<u32>(slot)].taken.store(false, std::memory_order_release);
}

bool Reclaimer::passed(u64 stamp) const noexcept {
    const u32 high = high_water_.load();
    for (u32 slot = 0; slot < high; ++slot)
        if (readers_[slot].seen.load(std::memory_order_seq_cst) < stamp) return false;
    return true;
}

void Reclaimer::retire(void* object, void (*destroy)(void*)) {
    const u64 when = stamp();
    {
        const std::lock_guard guard(lock_);
        retired_.push_back({object, destroy, when});
    }
    collect();
}

std::size_t Reclaimer::collect() {
    std::vector<Retired> due;
    std::size_t left = 0;
    {
        const std::lock_guard guard(lock_);
        std::erase_if(retired_, [&](const Retired& r) {
            if (!passed(r.stamp)) return false;
            due.push_back(r);
            return true;
        });
        left = retired_.size();
    }
    // Outside the lock: a destructor may retire something in turn.
    for (const Retired& r : due) r.destroy(r.object);
    return left;
}

void Reclaimer::drain() {
    while (collect() != 0) std::this_thread::yield();
}

Reclaimer& Reclaimer::instance() {
    static Reclaimer reclaimer;
    return reclaimer;
}

Reclaimer::~Reclaimer() {
    for (const Retired& r : retired_) r.destroy(r.object);
}

} // namespace xdplane
