// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/maps/lpm_front.h"

#include <algorithm>

#include "bpf/maps/lpm_skip.h"
#include "bpf/maps/lpm_trie.h"
#include "bpf/maps/memory.h"

namespace xdplane {

Result<LpmFront> LpmFront::create(u32 key_bits, u64 elements, u64 units) {
    LpmFront front;
    if (elements >= LpmFrontEntry::kNoElement || units > LpmFrontEntry::kMaxUnits) return front;
    u64 entries = 0;
    for (const u32 bits : kLpmFrontBits) {
        if (bits > key_bits) break;
        front.most_ = bits;
        entries += u64{1} << bits;
    }
    if (entries == 0) return front;
    auto memory = map_memory(entries * sizeof(u64), true);
    if (!memory) return fail(memory.error());
    front.memory_ = std::move(*memory);
    return front;
}

u32 LpmFront::wanted(u32 count) const noexcept {
    u32 bits = 0;
    for (u32 i = 0; i < kLpmFrontBits.size(); ++i)
        if (kLpmFrontBits[i] <= most_ && count >= kLpmFrontFrom[i]) bits = kLpmFrontBits[i];
    return bits;
}

/// Writes the entries from..to, those of some prefix, of the table by `bits`.
class LpmTrie::FrontFill {
public:
    FrontFill(LpmTrie& trie, u32 bits, u32 from, u32 to) noexcept
        : trie_(trie), table_(trie.front_.table(bits)), bits_(bits), from_(from), to_(to) {}

    void run() noexcept {
        fill(trie_.root_.load(std::memory_order_relaxed), 0, 0, LpmFrontEntry::kNoElement);
    }

private:
    void set(u32 from, u32 to, LpmFrontEntry entry) noexcept {
        for (u32 i = std::max(from, from_); i < std::min(to, to_); ++i) {
            const LpmFrontEntry old(table_[i].load(std::memory_order_relaxed));
            table_[i].store(entry.word(), std::memory_order_release);
            if (old.is_block()) trie_.retire_front_block(old.block());
        }
    }
    [[nodiscard]] LpmFrontEntry result(u32 element) const noexcept {
        return LpmFrontEntry(element == LpmFrontEntry::kNoElement ? nullptr : trie_.value_of(element));
    }
    [[nodiscard]] bool outside(u32 from, u32 to) const noexcept { return to <= from_ || from >= to_; }

    /// The entries of the node, from `first` on; `best`: the element that is found if nothing below is.
    void fill(u32 unit, u32 at, u32 first, u32 best) noexcept {
        const LpmNode& node = *trie_.block(unit);
        if (at == bits_)
            end(node, unit, at, first, best);
        else if ((node.internal & LpmNodeValue::kSkip) != 0)
            fill_skip(node, unit, at, first, best);
        else
            fill_chunks(node, at, first, best);
    }

    /// The one entry of a node.
    void end(const LpmNode& node, u32 unit, u32 at, u32 index, u32 best) noexcept {
        if (outside(index, index + 1)) return;
        const bool skips = (node.internal & LpmNodeValue::kSkip) != 0;
        std::atomic<u64>* const block =
            skips || bits_ != kLpmFrontBits.back() ? nullptr : trie_.front_block(table_[index]);
        if (block == nullptr) {
            set(index, index + 1, LpmFrontEntry(unit, at, best));
            return;
        }
        const u32 base = node.base.load(std::memory_order_relaxed);
        for (u32 chunk = 0; chunk < kLpmBlockWords; ++chunk) {
            const u64 one = u64{1} << chunk;
            const u32 found = trie_.best_of(node, chunk, best);
            const LpmFrontEntry entry =
                (node.children & one) == 0
                    ? result(found)
                    : LpmFrontEntry(base + static_cast<u32>(std::popcount(node.children & (one - 1))),
                                    at + kChunkBits, found);
            block[chunk].store(entry.word(), std::memory_order_release);
        }
        table_[index].store(LpmFrontEntry(block).word(), std::memory_order_release);
    }

    void fill_skip(const LpmNode& node, u32 unit, u32 at, u32 first, u32 best) noexcept {
        const u32 chunks = std::min(skip_chunks(node), (bits_ - at) / kChunkBits);
        u32 inside = first;
        u32 left = bits_ - at;
        for (u32 i = 0; i < chunks; ++i) {
            left -= kChunkBits;
            inside += skip_chunk(node, i) << left;
        }
        const u32 end = inside + (1U << left);
        const LpmFrontEntry nothing = result(best);
        set(first, inside, nothing);
        if (chunks == skip_chunks(node))
            fill(node.base.load(std::memory_order_relaxed), at + chunks * kChunkBits, inside, best);
        else
            set(inside, end, LpmFrontEntry(unit, at, best));
        set(end, first + (1U << (bits_ - at)), nothing);
    }

    void fill_chunks(const LpmNode& node, u32 at, u32 first, u32 best) noexcept {
        const u32 width = 1U << (bits_ - at - kChunkBits);
        const u32 base = node.base.load(std::memory_order_relaxed);
        for (u32 chunk = 0; chunk < 64; ++chunk) {
            const u32 begin = first + chunk * width;
            if (outside(begin, begin + width)) continue;
            const u64 one = u64{1} << chunk;
            const u32 found = trie_.best_of(node, chunk, best);
            if ((node.children & one) != 0)
                fill(base + static_cast<u32>(std::popcount(node.children & (one - 1))), at + kChunkBits,
                     begin, found);
            else
                set(begin, begin + width, result(found));
        }
    }

    LpmTrie& trie_;
    std::atomic<u64>* table_;
    u32 bits_;
    u32 from_;
    u32 to_;
};

/// The element of the longest prefix that ends in the node's chunk, or `best`.
u32 LpmTrie::best_of(const LpmNode& node, u32 chunk, u32 best) const noexcept {
    const u64 one = u64{1} << chunk;
    if ((node.leaves & one) != 0)
        return result(
            node, static_cast<u32>(std::popcount(node.internal) + std::popcount(node.leaves & (one - 1))));
    const u64 above = node.internal & kLpmAncestors[chunk];
    if (above == 0) return best;
    const u32 longest = 63 - static_cast<u32>(std::countl_zero(above));
    return result(node, static_cast<u32>(std::popcount(node.internal & lpm_below(longest))));
}

/// The block of an entry of the front, or a new one: zeros, which its entry does not lead to yet. Null: no
/// memory, or the keys are too short.
std::atomic<u64>* LpmTrie::front_block(const std::atomic<u64>& entry) noexcept {
    const LpmFrontEntry old(entry.load(std::memory_order_relaxed));
    if (old.is_block()) return old.block();
    if (max_length_ < kLpmWithBlock) return nullptr;
    const u32 unit = arena_.take(kLpmBlockUnits, false);
    if (unit == LpmArena::kNone) return nullptr;
    ++front_blocks_;
    return reinterpret_cast<std::atomic<u64>*>(arena_.at(unit));
}

/// After its entry leads elsewhere.
void LpmTrie::retire_front_block(const std::atomic<u64>* block) noexcept {
    --front_blocks_;
    const auto offset = reinterpret_cast<const u8*>(block) - arena_.at(0);
    arena_.retire(static_cast<u32>(offset / LpmArena::kUnit), kLpmBlockUnits);
}

/// The entries of keys that begin with the first `length` bits.
void LpmTrie::refill_front(const LpmBits& bits, u32 length) noexcept {
    const u32 width = front_.bits();
    if (width == 0) return;
    length = std::min(length, width);
    const u32 rest = width - length;
    const u32 from = length == 0 ? 0 : static_cast<u32>(bits.window(0) >> (64 - length)) << rest;
    FrontFill(*this, width, from, from + (1U << rest)).run();
}

/// Entries that name nodes of this block, the children of a node with these bits in front of bit `at`: they
/// are elsewhere now. What was found above them is as before. A node that has just come has no entry that
/// names it yet: what is there knows no element, and is filled in by refill_front().
void LpmTrie::move_front(u32 first, u64 children, u32 at, const LpmBits& bits) noexcept {
    const u32 width = front_.bits();
    if (at > width) return;
    const u32 above = at - kChunkBits;
    const u32 prefix = above == 0 ? 0 : static_cast<u32>(bits.window(0) >> (64 - above));
    std::atomic<u64>* const table = front_.table(width);
    for (u32 unit = first; children != 0; children &= children - 1, ++unit) {
        const LpmNode& node = *block(unit);
        const bool skips = (node.internal & LpmNodeValue::kSkip) != 0;
        // Entries name nodes where they end, and skip nodes that go further.
        if (at < width && (!skips || at + skip_chunks(node) * kChunkBits <= width)) continue;
        u32 index = prefix << kChunkBits | static_cast<u32>(std::countr_zero(children));
        for (u32 i = 0; at + i * kChunkBits < width; ++i) index = index << kChunkBits | skip_chunk(node, i);
        const LpmFrontEntry old(table[index].load(std::memory_order_relaxed));
        if (!old.names_node()) continue; // a block names what is below this node
        table[index].store(LpmFrontEntry(unit, at, old.element()).word(), std::memory_order_release);
    }
}

/// After a change of the prefix of `length` bits has been published, at a place's step, and before anything
/// that it replaced is given up.
void LpmTrie::follow(const Place& place, u32 depth, const LpmNodeValue& old, const LpmBits& bits,
                     u32 length) noexcept {
    if (front_.bits() == 0) return; // there are no shortcuts either
    const Step& step = place.steps[depth];
    const LpmNodeValue node = LpmNodeValue::load(node_at(step));
    const auto move = [&](u32 first, u64 children, u32 at) {
        move_front(first, children, at, bits);
        move_shortcuts(first, children, at, bits);
    };
    if (step.units > 1)
        move(step.base->load(std::memory_order_relaxed), node_at(place.steps[depth - 1]).children, step.at);
    // Where skip nodes are made, cut or joined, other keys than the prefix's find other nodes as well.
    const bool skips = node.is_skip() || old.is_skip();
    if (!skips && node.base != old.base) move(node.base, node.children, step.at + kChunkBits);
    const u32 changed = skips ? std::min(step.at, length) : length;
    refill_front(bits, changed);
    refill_shortcuts(bits, changed);
    if (changed != length) refill_shortcuts(bits, length); // it may be in them no more
}

/// A table, or a larger one, when there are entries enough.
void LpmTrie::grow_front(u32 count) noexcept {
    const u32 wanted = front_.wanted(count);
    if (wanted <= front_.bits()) return;
    FrontFill(*this, wanted, 0, 1U << wanted).run();
    front_.use(wanted);
}

} // namespace xdplane
