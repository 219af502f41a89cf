// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// The order of GET_NEXT_KEY: post-order of the binary trie of all prefixes, whatever the nodes look like.
#include <cerrno>
#include <mutex>

#include "bpf/maps/lpm_skip.h"
#include "bpf/maps/lpm_trie.h"

namespace xdplane {
namespace {

constexpr u32 kNone = ElementPool::kNone;

/// True if `slot` is the last one that begins with its first `depth` bits.
bool ends(u32 slot, u32 depth) noexcept {
    const u32 rest = (1U << (kChunkBits - depth)) - 1;
    return (slot & rest) == rest;
}

} // namespace

/// What is at a slot or below it.
u32 LpmTrie::result_in(const LpmNode& node, u32 slot) const noexcept {
    const u64 before = lpm_below(slot);
    if ((node.children >> slot & 1) != 0)
        return first_result(block(node.base.load(std::memory_order_relaxed)) +
                            std::popcount(node.children & before));
    if ((node.leaves >> slot & 1) != 0)
        return result(node,
                      static_cast<u32>(std::popcount(node.internal) + std::popcount(node.leaves & before)));
    return kNone;
}

u32 LpmTrie::first_result(const LpmNode* node) const noexcept {
    while ((node->internal & LpmNodeValue::kSkip) != 0)
        node = block(node->base.load(std::memory_order_relaxed));
    const u32 found = result_in(*node, 0);
    return found != kNone ? found : result_after(*node, {0, kChunkBits});
}

u32 LpmTrie::result_after(const LpmNode& node, Position position) const noexcept {
    auto [slot, depth] = position;
    while (true) {
        // Prefixes come right after the last slot that begins with them, the longest first.
        while (depth > 0 && ends(slot, depth - 1)) {
            --depth;
            const u32 bit = (1U << depth) | slot >> (kChunkBits - depth);
            if ((node.internal >> bit & 1) != 0)
                return result(node, static_cast<u32>(std::popcount(node.internal & lpm_below(bit))));
        }
        if (slot == 63) return kNone;
        ++slot;
        depth = kChunkBits;
        if (const u32 found = result_in(node, slot); found != kNone) return found;
    }
}

/// What comes after the prefix of a Place that exists.
u32 LpmTrie::successor(const Place& place, const LpmBits& bits, u32 length) const noexcept {
    for (u32 depth = place.count; depth-- > 0;) {
        const Step& step = place.steps[depth];
        const LpmNode& node = node_at(step);
        if ((node.internal & LpmNodeValue::kSkip) != 0) continue;
        Position position{bits.chunk(step.at), kChunkBits};
        const u32 left = length - step.at;
        if (left < kChunkBits) position = {position.slot | ((1U << (kChunkBits - left)) - 1), left};
        if (const u32 found = result_after(node, position); found != kNone) return found;
    }
    return kNone;
}

int LpmTrie::next_key(const u8* key, u8* next) {
    const std::lock_guard guard(lock_);
    Place place;
    u32 length = 0;
    if (key != nullptr) std::memcpy(&length, key, sizeof length);
    u32 found = kNone;
    if (key != nullptr && length <= max_length_) {
        const LpmBits bits(key + sizeof length, data_size_);
        find(bits, length, place);
        if (place.exists) {
            found = successor(place, bits, length);
            if (found == kNone) return -ENOENT;
        }
    }
    if (found == kNone) found = first_result(block(root_.load(std::memory_order_relaxed)));
    if (found == kNone) return -ENOENT;
    copy_words(next, reinterpret_cast<const u64*>(key_of(found)), spec().key_size);
    return 0;
}

} // namespace xdplane
