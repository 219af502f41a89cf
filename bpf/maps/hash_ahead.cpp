// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Hashes fetched ahead: note() has the bucket on its way, fetch() goes down the chains, one element of all
// keys at a time.
#include <array>

#include "bpf/maps/hash.h"
#include "bpf/maps/hash_mix.h"
#include "bpf/maps/rows.h"
#include "bpf/maps/run_ahead.h"
#include "bpf/run/run_context.h"

namespace xdplane {
namespace {

/// Elements of a chain that are fetched: with two buckets per entry four keys in a thousand are further
/// behind.
constexpr u32 kElements = 3;

const HashMap& hash(const Map& map) noexcept { return static_cast<const HashMap&>(map); }

} // namespace

u64 HashMap::footprint() const noexcept {
    const u64 entries = lru_ ? max_entries_ : size();
    if (slots_ != 0) return entries * kCacheLine;
    const u64 lines = ops().per_cpu ? element_size_ + value_stride_ : element_size_;
    return entries * (lines + sizeof(u32));
}

void HashMap::note(const u8* key, const KeyWords& words, u64* note) const noexcept {
    u32 hash;
    if (key_size_ <= kKeyWordsBytes) {
        // As mix_bytes() does.
        u64 mixed = mix_start(key_size_, seed_);
        for (u32 i = 0; i * 8 < key_size_; ++i) mixed = mix_words(mixed ^ words.word[i], kMixMultiplier);
        hash = static_cast<u32>(mixed ^ (mixed >> 32));
    } else {
        hash = hash_of(key);
    }
    note[0] = hash;
    __builtin_prefetch(&head(hash & mask_));
}

/// What fetch() begins with: which keys are to be looked for in a chain, whose first element is prefetched.
/// No jumps, of which each wrong guess would cost as much as a packet.
u32 HashMap::search_lines(const u64* notes, u32 count, Search* searches) const noexcept {
    u32 left = 0;
    for (u32 i = 0; i < count; ++i) {
        const u32 hash = static_cast<u32>(notes[u64{i} * kNoteWords]) | kUsed;
        const u32 slot = (hash & mask_) * Layout::kSlots;
        const u32 in_slots = u32{element(slot).hash.load(std::memory_order_relaxed) == hash} |
                             u32{element(slot + 1).hash.load(std::memory_order_relaxed) == hash};
        const u32 number = first_of_chain(hash & mask_);
        searches[left] = {hash, number};
        const u32 goes_on = (in_slots ^ 1) & u32{(number & kEnd) == 0};
        __builtin_prefetch(&element(goes_on != 0 ? number : slot));
        left += goes_on;
    }
    return left;
}

u32 HashMap::search_chains(const u64* notes, u32 count, Search* searches) const noexcept {
    u32 left = 0;
    for (u32 i = 0; i < count; ++i) {
        const u32 hash = static_cast<u32>(notes[u64{i} * kNoteWords]) | kUsed;
        const u32 number = first_of_chain(hash & mask_);
        __builtin_prefetch(&element(number & ~kEnd)); // never far outside, and prefetches do not fault
        searches[left] = {hash, number};
        left += (number & kEnd) == 0;
    }
    return left;
}

void HashMap::fetch(const u64* notes, u32 count) const noexcept {
    std::array<Search, kBurst> searches;
    u32 left = slots_ != 0 ? search_lines(notes, count, searches.data())
                           : search_chains(notes, count, searches.data());
    const u32 cpu = ops().per_cpu ? t_run.cpu : 0;
    const bool value_apart = ops().per_cpu || element_size_ > kCacheLine;
    for (u32 round = 0; round < kElements && left != 0; ++round) {
        const u32 total = left;
        left = 0;
        for (u32 i = 0; i < total; ++i) {
            const auto [hash, number] = searches[i];
            const Element& at = element(number);
            if (at.hash.load(std::memory_order_relaxed) == hash) {
                if (value_apart) __builtin_prefetch(value_of(number, cpu));
                continue;
            }
            const u32 next = at.next.load(std::memory_order_acquire);
            if ((next & kEnd) != 0) continue;
            __builtin_prefetch(&element(next));
            searches[left++] = {hash, next};
        }
    }
}

constinit const AheadOps kHashAhead = {
    .footprint = [](const Map& map) noexcept { return hash(map).footprint(); },
    .note = [](const Map& map, const void* key, const KeyWords& words,
               u64* note) noexcept { hash(map).note(static_cast<const u8*>(key), words, note); },
    .fetch = [](const Map& map, const u64* notes, u32 count) noexcept { hash(map).fetch(notes, count); },
    .peek = [](Map& map, const void* key) noexcept -> void* {
        return hash(map).lookup(static_cast<const u8*>(key), map.ops().per_cpu ? t_run.cpu : 0);
    },
};

} // namespace xdplane
