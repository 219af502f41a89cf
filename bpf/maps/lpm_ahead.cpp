// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Tries fetched ahead: all keys of a burst go down a level at a time, each with its next node on the way.
#include <algorithm>
#include <array>
#include <cstring>

#include "bpf/maps/lpm_skip.h"
#include "bpf/maps/lpm_trie.h"
#include "bpf/maps/rows.h"
#include "bpf/maps/run_ahead.h"

namespace xdplane {
namespace {

const LpmTrie& trie(const Map& map) noexcept { return static_cast<const LpmTrie&>(map); }

/// A note is the key, as far as it fits: its prefix length, then the data. Longer keys are fetched that far.
constexpr u32 kPrefixBytes = 4;
constexpr u32 kDataBytes = kNoteWords * 8 - kPrefixBytes;
/// Of nodes and results, with their share of siblings: about what LpmTrie says of IPv4 tables.
constexpr u64 kBytesPerEntry = 52;

} // namespace

/// lookup() in steps.
struct LpmTrie::Descent {
    enum class Next : u8 { front, node, result };
    Next next;
    const std::atomic<u64>* word; ///< of the front, or of a block
    const LpmNode* node;
    const LpmNode* best; ///< null: `value` is the best
    const u64* value;    ///< null: none
    u32 rank;
    u32 at;
    u32 length;
    const u8* data;
};

u64 LpmTrie::footprint() const noexcept {
    return count_.load(std::memory_order_relaxed) * (element_size_ + kBytesPerEntry) + front_.used_bytes() +
           front_blocks_.load(std::memory_order_relaxed) * kLpmBlockWords * sizeof(u64);
}

bool LpmTrie::go_on(Descent& descent) const noexcept {
    if (descent.next == Descent::Next::result) {
        __builtin_prefetch(value_of(result(*descent.best, descent.rank)));
        return false;
    }
    const LpmBits bits(descent.data, std::min(data_size_, kDataBytes));
    const LpmNode* next = nullptr;
    if (descent.next == Descent::Next::front) {
        const LpmFrontEntry entry(descent.word->load(std::memory_order_acquire));
        if (entry.is_block()) {
            if (descent.length < kLpmWithBlock) return false;
            descent.word = block_entry(entry, bits);
            __builtin_prefetch(descent.word);
            return true;
        }
        const Start start = begin(entry, bits, descent.length);
        descent.value = start.value;
        descent.at = start.at;
        next = start.node;
    } else {
        next = descend(descent, bits);
    }
    if (next != nullptr) {
        __builtin_prefetch(next);
        descent.node = next;
        descent.next = Descent::Next::node;
        return true;
    }
    if (descent.best == nullptr) {
        if (descent.value != nullptr) __builtin_prefetch(descent.value);
        return false;
    }
    const LpmNode& best = *descent.best;
    const u32 results = best.results.load(std::memory_order_acquire);
    if (std::popcount(best.internal) + std::popcount(best.leaves) == 1) {
        __builtin_prefetch(value_of(results));
        return false;
    }
    __builtin_prefetch(result_block(results) + descent.rank);
    descent.next = Descent::Next::result;
    return true;
}

/// A node of the descent; returns the next one, or null.
const LpmNode* LpmTrie::descend(Descent& descent, const LpmBits& bits) const noexcept {
    const LpmNode& node = *descent.node;
    const u32 left = descent.length - descent.at;
    if ((node.internal & LpmNodeValue::kSkip) != 0) {
        const u32 chunks = skip_chunks(node);
        if (left < chunks * kChunkBits || skip_matches(node, bits, descent.at, chunks) != chunks)
            return nullptr;
        descent.at += chunks * kChunkBits;
        return block(node.base.load(std::memory_order_acquire));
    }
    const u32 chunk = bits.chunk(descent.at);
    const u64 one = u64{1} << chunk;
    const bool leaf = left >= kChunkBits && (node.leaves & one) != 0;
    u64 inside = node.internal & kLpmAncestors[chunk];
    if (left < kChunkBits) inside &= lpm_no_longer_than(left);
    if (leaf) {
        descent.best = &node;
        descent.rank =
            static_cast<u32>(std::popcount(node.internal) + std::popcount(node.leaves & (one - 1)));
    } else if (inside != 0) {
        descent.best = &node;
        descent.rank = static_cast<u32>(
            std::popcount(node.internal & lpm_below(63 - static_cast<u32>(std::countl_zero(inside)))));
    }
    if (leaf || left < kChunkBits || (node.children & one) == 0) return nullptr;
    descent.at += kChunkBits;
    return block(node.base.load(std::memory_order_acquire)) + std::popcount(node.children & (one - 1));
}

void LpmTrie::fetch(const u64* notes, u32 count) const noexcept {
    std::array<Descent, kBurst> descents;
    const LpmNode* const root = block(root_.load(std::memory_order_acquire));
    const u32 width = front_.bits();
    u32 left = 0;
    for (u32 i = 0; i < count; ++i, notes += kNoteWords) {
        const u8* const key = reinterpret_cast<const u8*>(notes);
        u32 length;
        std::memcpy(&length, key, kPrefixBytes);
        if (length > max_length_) continue;
        Descent& descent = descents[left++];
        descent = {
            Descent::Next::node, nullptr, root, nullptr, nullptr, 0, 0, std::min(length, kDataBytes * 8),
            key + kPrefixBytes};
        if (width == 0 || length < width) continue;
        const LpmBits bits(descent.data, std::min(data_size_, kDataBytes));
        descent.word = front_entry(bits, width);
        __builtin_prefetch(descent.word);
        descent.next = Descent::Next::front;
    }
    while (left != 0) {
        const u32 total = left;
        left = 0;
        for (u32 i = 0; i < total; ++i) {
            descents[left] = descents[i];
            left += go_on(descents[left]);
        }
    }
}

constinit const AheadOps kLpmAhead = {
    .footprint = [](const Map& map) noexcept { return trie(map).footprint(); },
    .note =
        [](const Map& map, const void* key, KeyWords words, u64* note) noexcept {
            if (map.spec().key_size <= kKeyWordsBytes)
                std::ranges::copy(words.word, note);
            else
                std::memcpy(note, key, kNoteWords * 8);
        },
    .fetch = [](const Map& map, const u64* notes, u32 count) noexcept { trie(map).fetch(notes, count); },
    .peek = [](Map& map, const void* key) noexcept -> void* {
        return trie(map).lookup(static_cast<const u8*>(key));
    },
};

} // namespace xdplane
