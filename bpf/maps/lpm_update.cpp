// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// How the trie changes: what is new is built beside the old and published by one store.
#include <algorithm>

#include "bpf/maps/lpm_skip.h"
#include "bpf/maps/lpm_trie.h"

namespace xdplane {
namespace {

constexpr u32 kResultsPerUnit = LpmArena::kUnit / sizeof(u32);
constexpr u32 result_units(u32 count) { return (count + kResultsPerUnit - 1) / kResultsPerUnit; }

} // namespace

/// One change: the blocks it takes and those it makes superfluous. Undone unless it is published.
class LpmTrie::Edit {
public:
    Edit(LpmTrie& trie, bool last) noexcept : trie_(trie), last_(last) {}
    Edit(const Edit&) = delete;
    Edit& operator=(const Edit&) = delete;
    ~Edit() {
        for (u32 i = 0; i < fresh_count_; ++i) trie_.arena_.give_back(fresh_[i].first, fresh_[i].units);
    }

    /// After a failure nothing more is taken, and the node that is being made is useless.
    [[nodiscard]] bool failed() const noexcept { return failed_; }

    [[nodiscard]] LpmNodeValue chain(const LpmBits& bits, u32 at, u32 length, u32 element) noexcept;
    /// Where nothing is yet.
    void add_entry(LpmNodeValue& node, const LpmBits& bits, u32 at, u32 length, u32 element) noexcept;
    void add_leaf(LpmNodeValue& node, u32 chunk, u32 element) noexcept;
    void add_child(LpmNodeValue& node, u32 chunk, const LpmNodeValue& child) noexcept;
    void remove_child(LpmNodeValue& node, u32 chunk) noexcept;
    /// Returns the element.
    u32 remove_result(LpmNodeValue& node, u32 rank) noexcept;
    [[nodiscard]] u32 single(const LpmNodeValue& node) noexcept;
    /// What becomes of a node with one child and no result, and of one with nothing but the prefix of no
    /// bits; they return the depth of the node that now changes.
    u32 join_only_child(const Place& place, u32 depth, LpmNodeValue& node) noexcept;
    u32 make_leaf(const Place& place, const LpmBits& bits, u32 depth, LpmNodeValue& node) noexcept;
    void retire(u32 first, u32 units) noexcept;

    /// Puts the node in the place of the step's, for a change of the prefix of `length` bits; false, and
    /// nothing has changed, if something failed.
    [[nodiscard]] bool publish(const Place& place, u32 depth, const LpmNodeValue& node, const LpmBits& bits,
                               u32 length) noexcept;

private:
    struct Block {
        u32 first;
        u32 units;
    };
    /// A chain takes one for each 144 bits, everything else a handful.
    static constexpr u32 kMostBlocks = 32;

    [[nodiscard]] u32 take(u32 units) noexcept;
    void add_result(LpmNodeValue& node, u32 rank, u32 element) noexcept;

    LpmTrie& trie_;
    bool last_;
    bool failed_ = false;
    u32 fresh_count_ = 0;
    u32 old_count_ = 0;
    std::array<Block, kMostBlocks> fresh_;
    std::array<Block, kMostBlocks> old_;
};

u32 LpmTrie::Edit::take(u32 units) noexcept {
    const u32 first =
        failed_ || fresh_count_ == kMostBlocks ? LpmArena::kNone : trie_.arena_.take(units, last_);
    if (first == LpmArena::kNone) {
        failed_ = true;
        return LpmArena::kNone;
    }
    fresh_[fresh_count_++] = {first, units};
    return first;
}

void LpmTrie::Edit::retire(u32 first, u32 units) noexcept {
    const auto end = fresh_.begin() + fresh_count_;
    const auto mine = std::find_if(fresh_.begin(), end, [&](const Block& b) { return b.first == first; });
    if (mine != end) {
        // Taken in this very edit: nobody has seen it.
        trie_.arena_.give_back(first, units);
        *mine = fresh_[--fresh_count_];
        return;
    }
    if (old_count_ == kMostBlocks)
        failed_ = true;
    else
        old_[old_count_++] = {first, units};
}

void LpmTrie::Edit::add_result(LpmNodeValue& node, u32 rank, u32 element) noexcept {
    const u32 count = node.result_count();
    if (count == 0) {
        node.results = element;
        return;
    }
    const u32 first = take(result_units(count + 1));
    if (failed_) return;
    std::atomic<u32>* to = trie_.result_block(first);
    const std::atomic<u32>* from = count == 1 ? nullptr : trie_.result_block(node.results);
    for (u32 i = 0; i <= count; ++i) {
        const u32 old = i > rank ? i - 1 : i;
        const u32 value = i == rank         ? element
                          : from == nullptr ? node.results
                                            : from[old].load(std::memory_order_relaxed);
        to[i].store(value, std::memory_order_relaxed);
    }
    if (count > 1) retire(node.results, result_units(count));
    node.results = first;
}

u32 LpmTrie::Edit::remove_result(LpmNodeValue& node, u32 rank) noexcept {
    const u32 count = node.result_count();
    if (count == 1) return std::exchange(node.results, 0);
    const std::atomic<u32>* from = trie_.result_block(node.results);
    const u32 removed = from[rank].load(std::memory_order_relaxed);
    const u32 old = node.results;
    if (count == 2) {
        node.results = from[1 - rank].load(std::memory_order_relaxed);
    } else {
        const u32 first = take(result_units(count - 1));
        if (failed_) return removed;
        std::atomic<u32>* to = trie_.result_block(first);
        for (u32 i = 0; i + 1 < count; ++i)
            to[i].store(from[i < rank ? i : i + 1].load(std::memory_order_relaxed),
                        std::memory_order_relaxed);
        node.results = first;
    }
    retire(old, result_units(count));
    return removed;
}

void LpmTrie::Edit::add_leaf(LpmNodeValue& node, u32 chunk, u32 element) noexcept {
    const int rank = std::popcount(node.internal) + std::popcount(node.leaves & lpm_below(chunk));
    add_result(node, static_cast<u32>(rank), element);
    node.leaves |= u64{1} << chunk;
}

void LpmTrie::Edit::add_child(LpmNodeValue& node, u32 chunk, const LpmNodeValue& child) noexcept {
    const u32 count = node.child_count();
    const u32 slot = static_cast<u32>(std::popcount(node.children & lpm_below(chunk)));
    const u32 first = take(count + 1);
    if (failed_) return;
    LpmNode* to = trie_.block(first);
    for (u32 i = 0; i <= count; ++i) {
        if (i == slot)
            child.store(to[i]);
        else
            LpmNodeValue::load(trie_.block(node.base)[i < slot ? i : i - 1]).store(to[i]);
    }
    if (count != 0) retire(node.base, count);
    node.base = first;
    node.children |= u64{1} << chunk;
}

void LpmTrie::Edit::remove_child(LpmNodeValue& node, u32 chunk) noexcept {
    const u32 count = node.child_count();
    const u32 slot = static_cast<u32>(std::popcount(node.children & lpm_below(chunk)));
    const u32 first = count == 1 ? LpmArena::kNone : take(count - 1);
    if (failed_) return;
    for (u32 i = 0; i + 1 < count; ++i)
        LpmNodeValue::load(trie_.block(node.base)[i < slot ? i : i + 1]).store(trie_.block(first)[i]);
    retire(node.base, count);
    node.base = first;
    node.children &= ~(u64{1} << chunk);
}

u32 LpmTrie::Edit::single(const LpmNodeValue& node) noexcept {
    const u32 first = take(1);
    if (!failed_) node.store(*trie_.block(first));
    return first;
}

void LpmTrie::Edit::add_entry(LpmNodeValue& node, const LpmBits& bits, u32 at, u32 length,
                              u32 element) noexcept {
    const u32 left = length - at;
    const u32 chunk = bits.chunk(at);
    if (left > kChunkBits) {
        add_child(node, chunk, chain(bits, at + kChunkBits, length, element));
    } else if (left == kChunkBits) {
        add_leaf(node, chunk, element);
    } else {
        add_result(node, rank_of(node, bits, at, length), element);
        node.internal |= u64{1} << ((1U << left) | chunk >> (kChunkBits - left));
    }
}

/// A sub-trie of one entry: skip nodes, and a node for what is left.
LpmNodeValue LpmTrie::Edit::chain(const LpmBits& bits, u32 at, u32 length, u32 element) noexcept {
    const u32 left = length - at;
    const u32 chunks = left <= kChunkBits ? 0 : std::min((left - 1) / kChunkBits, LpmNodeValue::kSkipMost);
    LpmNodeValue node;
    if (chunks == 0) {
        add_entry(node, bits, at, length, element);
        return node;
    }
    SkipBuilder skip;
    for (u32 i = 0; i < chunks; ++i) skip.add(bits.chunk(at + i * kChunkBits));
    return skip.node(single(chain(bits, at + chunks * kChunkBits, length, element)));
}

bool LpmTrie::Edit::publish(const Place& place, u32 depth, const LpmNodeValue& node, const LpmBits& bits,
                            u32 length) noexcept {
    const Step& step = place.steps[depth];
    const u32 old = step.base->load(std::memory_order_relaxed);
    const u32 first = take(step.units);
    if (failed_) return false;
    LpmNode* to = trie_.block(first);
    for (u32 i = 0; i < step.units; ++i)
        (i == step.slot ? node : LpmNodeValue::load(trie_.block(old)[i])).store(to[i]);
    step.base->store(first, std::memory_order_release);
    fresh_count_ = 0;
    trie_.follow(place, depth, LpmNodeValue::load(trie_.block(old)[step.slot]), bits, length);
    trie_.arena_.retire(old, step.units);
    for (u32 i = 0; i < old_count_; ++i) trie_.arena_.retire(old_[i].first, old_[i].units);
    return true;
}

/// A skip node, together with the skip nodes above and below.
u32 LpmTrie::Edit::join_only_child(const Place& place, u32 depth, LpmNodeValue& node) noexcept {
    const LpmNodeValue child = LpmNodeValue::load(trie_.block(node.base)[0]);
    const u32 below = child.is_skip() ? skip_chunks(child) : LpmNodeValue::kSkipMost;
    const bool with_child = below + 1 <= LpmNodeValue::kSkipMost;
    const u32 chunks = 1 + (with_child ? below : 0);
    SkipBuilder skip;
    if (depth != 0) {
        const LpmNodeValue parent = LpmNodeValue::load(trie_.node_at(place.steps[depth - 1]));
        if (parent.is_skip() && skip_chunks(parent) + chunks <= LpmNodeValue::kSkipMost) {
            skip.add(parent, 0, skip_chunks(parent));
            retire(parent.base, 1);
            --depth;
        }
    }
    skip.add(static_cast<u32>(std::countr_zero(node.children)));
    u32 base = node.base;
    if (with_child) {
        skip.add(child, 0, below);
        retire(node.base, 1);
        base = child.base;
    }
    node = skip.node(base);
    return depth;
}

/// A leaf of the node above, or of a new one at the end of a skip node.
u32 LpmTrie::Edit::make_leaf(const Place& place, const LpmBits& bits, u32 depth,
                             LpmNodeValue& node) noexcept {
    const u32 element = node.results;
    const Step& above = place.steps[depth - 1];
    LpmNodeValue parent = LpmNodeValue::load(trie_.node_at(above));
    if (!parent.is_skip()) {
        const u32 chunk = bits.chunk(above.at);
        remove_child(parent, chunk);
        add_leaf(parent, chunk, element);
        node = parent;
        return depth - 1;
    }
    const u32 chunks = skip_chunks(parent);
    retire(parent.base, 1);
    node = {};
    add_leaf(node, skip_chunk(parent, chunks - 1), element);
    if (chunks > 1) {
        SkipBuilder skip;
        skip.add(parent, 0, chunks - 1);
        node = skip.node(single(node));
    }
    return depth - 1;
}

bool LpmTrie::insert(const Place& place, const LpmBits& bits, u32 length, u32 element) noexcept {
    Edit edit(*this, false);
    const u32 depth = place.count - 1;
    const Step& step = place.steps[depth];
    const LpmNodeValue old = LpmNodeValue::load(node_at(step));
    if (!old.is_skip()) {
        LpmNodeValue node = old;
        const u32 chunk = bits.chunk(step.at);
        if (length - step.at > kChunkBits && (old.leaves >> chunk & 1) != 0) {
            // A leaf becomes a child, which has the leaf's entry as its prefix of no bits.
            const u32 leaf = edit.remove_result(node, rank_of(node, bits, step.at, step.at + kChunkBits));
            node.leaves &= ~(u64{1} << chunk);
            LpmNodeValue child{.internal = 2, .results = leaf};
            edit.add_entry(child, bits, step.at + kChunkBits, length, element);
            edit.add_child(node, chunk, child);
        } else
            edit.add_entry(node, bits, step.at, length, element);
        return edit.publish(place, depth, node, bits, length);
    }
    // The skip node is cut where the new prefix leaves it.
    const u32 chunks = skip_chunks(old);
    LpmNodeValue fork{.children = u64{1} << skip_chunk(old, place.matched), .base = old.base};
    if (place.matched + 1 < chunks) {
        SkipBuilder rest;
        rest.add(old, place.matched + 1, chunks);
        fork.base = edit.single(rest.node(old.base));
    }
    edit.add_entry(fork, bits, step.at + place.matched * kChunkBits, length, element);
    if (place.matched == 0) return edit.publish(place, depth, fork, bits, length);
    SkipBuilder top;
    top.add(old, 0, place.matched);
    return edit.publish(place, depth, top.node(edit.single(fork)), bits, length);
}

/// Returns the element that is no longer in the trie; kNone if there is no memory even for that.
u32 LpmTrie::remove(const Place& place, const LpmBits& bits, u32 length) noexcept {
    Edit edit(*this, true);
    u32 depth = place.count - 1;
    LpmNodeValue node = LpmNodeValue::load(node_at(place.steps[depth]));
    const u32 end_at = place.steps[depth].at;
    const u32 removed = edit.remove_result(node, rank_of(node, bits, end_at, length));
    const u32 end_chunk = bits.chunk(end_at);
    const u32 left = length - end_at;
    if (left == kChunkBits)
        node.leaves &= ~(u64{1} << end_chunk);
    else
        node.internal &= ~(u64{1} << ((1U << left) | end_chunk >> (kChunkBits - left)));

    // Nodes that have become empty go.
    for (; depth != 0 && node.result_count() + node.child_count() == 0; --depth) {
        const LpmNodeValue parent = LpmNodeValue::load(node_at(place.steps[depth - 1]));
        if (parent.is_skip()) {
            edit.retire(parent.base, 1);
            continue;
        }
        node = parent;
        edit.remove_child(node, bits.chunk(place.steps[depth - 1].at));
        if (edit.failed()) return ElementPool::kNone;
    }
    if (node.child_count() == 1 && node.result_count() == 0)
        depth = edit.join_only_child(place, depth, node);
    else if (depth != 0 && node.child_count() == 0 && node.leaves == 0 && node.internal == 2)
        depth = edit.make_leaf(place, bits, depth, node);
    return edit.publish(place, depth, node, bits, length) ? removed : ElementPool::kNone;
}

} // namespace xdplane
