// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// What LRU hashes do differently: a node first, then the bucket.
#include <cerrno>
#include <mutex>

#include "bpf/maps/hash.h"
#include "bpf/run/run_context.h"

namespace xdplane {
namespace {

constexpr u32 kNone = ElementPool::kNone;

} // namespace

Result<> HashMap::allocate_lru() {
    const auto evict_one = [](void* owner, u32 node, u32 number) noexcept {
        return static_cast<HashMap*>(owner)->evict(node, number);
    };
    static_assert(offsetof(LruWords, referenced) == 0);
    auto lru = LruList::create({.count = max_entries_,
                                .per_cpu = (spec().flags & BPF_F_NO_COMMON_LRU) != 0,
                                .evict = evict_one,
                                .owner = this,
                                .refs = elements_.data(),
                                .ref_stride = element_size_});
    if (!lru) return fail(lru.error());
    lru_ = std::move(*lru);
    return {};
}

u64* HashMap::lookup_lru(const u8* key, u32 cpu) const noexcept {
    const u32 number = find_unlocked(key);
    if (number == kNone) return nullptr;
    refer_to(number);
    return value_of(number, cpu);
}

/// Written only where it changes something: the line may be shared with other CPUs.
void HashMap::refer_to(u32 number) const noexcept {
    std::atomic<u32>& word = lru_words(number).referenced;
    if (word.load(std::memory_order_relaxed) == 0) word.store(1, std::memory_order_relaxed);
}

/// The LruList's turn, under its locks.
bool HashMap::evict(u32 node, u32 number) noexcept {
    const u32 hash = element(number).hash.load(std::memory_order_relaxed);
    {
        const std::lock_guard guard(stripe(hash & mask_));
        u32 at = first(hash & mask_);
        while ((at & kEnd) == 0 && at != number) at = following(at);
        // Not there: not linked yet, or deleted a moment ago and perhaps another node's by now.
        if (at != number || lru_words(number).node.load(std::memory_order_relaxed) != node) return false;
        unlink(number, hash);
    }
    pool_.give_back(number);
    return true;
}

/// An element that is not linked, and its node; kNone if nothing can be evicted.
u32 HashMap::take_for_lru() noexcept {
    const u32 node = lru_->take(t_run.cpu);
    if (node == LruList::kNone) return kNone;
    const u32 number = take_for_insert();
    lru_words(number).referenced.store(0, std::memory_order_relaxed);
    lru_words(number).node.store(node, std::memory_order_relaxed);
    return number;
}

/// Before it is linked: from now on it can be evicted.
void HashMap::fill_lru(u32 number, u32 hash, const u8* key) noexcept {
    fill(number, hash, key);
    lru_->attach(lru_words(number).node.load(std::memory_order_relaxed), number);
}

int HashMap::update_lru(const u8* key, const u8* value, u64 flags) noexcept {
    if (flags > BPF_EXIST) return -EINVAL;
    const u32 hash = hash_of(key);
    const u32 number = take_for_lru();
    if (number == kNone) return -ENOMEM;
    fill_value(number, value);
    fill_lru(number, hash, key);
    u32 gone = number;
    int error = 0;
    {
        const std::lock_guard guard(stripe(hash & mask_));
        const u32 old = find(hash, key);
        error = check_exists(old != kNone, flags);
        if (error == 0) {
            gone = old;
            if (old == kNone)
                insert(number, hash);
            else {
                refer_to(number);
                replace(old, number, hash);
            }
        }
    }
    if (gone != kNone) release(gone);
    return error;
}

int HashMap::update_lru_percpu(const u8* key, const u8* value, u64 flags, bool all_cpus) noexcept {
    if (flags > BPF_EXIST) return -EINVAL;
    const u32 hash = hash_of(key);
    u32 number = kNone;
    if (flags != BPF_EXIST) {
        number = take_for_lru();
        if (number == kNone) return -ENOMEM;
        fill_lru(number, hash, key);
    }
    int error = 0;
    {
        const std::lock_guard guard(stripe(hash & mask_));
        const u32 old = find(hash, key);
        error = check_exists(old != kNone, flags);
        if (error == 0 && old != kNone) {
            refer_to(old);
            fill_percpu(old, value, false, all_cpus);
        } else if (error == 0) {
            fill_percpu(number, value, true, all_cpus);
            insert(number, hash);
            number = kNone;
        }
    }
    if (number != kNone) release(number);
    return error;
}

} // namespace xdplane
