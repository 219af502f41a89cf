// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/maps/lpm_shortcut.h"

#include <algorithm>
#include <bit>

#include "bpf/base/reclaimer.h"
#include "bpf/maps/lpm_skip.h"
#include "bpf/maps/lpm_trie.h"
#include "bpf/maps/memory.h"

namespace xdplane {
namespace {

using Bucket = LpmShortcutTable::Bucket;

constexpr u64 kLeastBuckets = 256;
constexpr u64 kMostBuckets = u64{1} << 21;

/// So many that entries are a quarter to half of what they hold.
u64 buckets_for(u64 entries) { return std::bit_ceil(2 * entries) / LpmShortcutTable::kEntries; }

} // namespace

Result<LpmShortcut> LpmShortcut::create(u64 entries) {
    LpmShortcut made;
    made.most_buckets_ = std::clamp(buckets_for(entries), kLeastBuckets, kMostBuckets);
    auto memory = map_memory(2 * made.most_buckets_ * sizeof(Bucket), true);
    if (!memory) return fail(memory.error());
    made.memory_ = std::move(*memory);
    return made;
}

bool LpmShortcut::can_start() const noexcept { return left_ == 0 || Reclaimer::instance().passed(left_); }

void LpmShortcut::start(u32 bits, u64 entries) noexcept {
    const u64 buckets = std::clamp(buckets_for(entries), kLeastBuckets, most_buckets_);
    half_ = 1 - half_;
    auto* const begin = reinterpret_cast<Bucket*>(memory_.data()) + half_ * most_buckets_;
    for (u64 i = 0; i < touched_[half_]; ++i)
        for (std::atomic<u64>& tag : begin[i].tags) tag.store(0, std::memory_order_relaxed);
    touched_[half_] = std::max(touched_[half_], buckets);
    filling_ = LpmShortcutTable(begin, bits, static_cast<u32>(std::countr_zero(buckets)));
    used_ = 0;
}

void LpmShortcut::use() noexcept {
    most_used_ = std::max(filling_.buckets() * LpmShortcutTable::kEntries * 5 / 8, used_ + used_ / 4);
    publish();
}

void LpmShortcut::stop() noexcept {
    filling_ = LpmShortcutTable(0);
    used_ = most_used_ = 0;
    publish();
}

void LpmShortcut::publish() noexcept {
    in_use_.store(filling_.word(), std::memory_order_release);
    left_ = Reclaimer::instance().stamp();
}

std::atomic<u64>* LpmShortcut::word(u64 window) const noexcept {
    if (!filling_.exists()) return nullptr;
    const u64 tag = filling_.tag(window);
    Bucket& in = filling_.bucket(tag);
    for (u32 i = 0; i < LpmShortcutTable::kEntries; ++i)
        if (in.tags[i].load(std::memory_order_relaxed) == tag) return &in.words[i];
    return nullptr;
}

void LpmShortcut::set(u64 window, LpmFrontEntry entry) noexcept {
    if (std::atomic<u64>* const there = word(window)) {
        there->store(entry.word(), std::memory_order_release);
        return;
    }
    const u64 tag = filling_.tag(window);
    Bucket& in = filling_.bucket(tag);
    for (u32 i = 0; i < LpmShortcutTable::kEntries; ++i) {
        if (in.tags[i].load(std::memory_order_relaxed) != 0) continue;
        in.words[i].store(entry.word(), std::memory_order_relaxed);
        in.tags[i].store(tag, std::memory_order_release);
        ++used_;
        return;
    }
}

void LpmShortcut::remove(u64 window) noexcept {
    if (std::atomic<u64>* const there = word(window))
        there->store(LpmShortcutTable::kAbsent, std::memory_order_release);
}

/// Writes the entries of keys from..to (their first 64 bits) into a shortcut.
class LpmTrie::ShortcutFill {
public:
    /// `to`: null to count them.
    ShortcutFill(LpmTrie& trie, u32 bits, LpmShortcut* to, u64 first, u64 last) noexcept
        : trie_(trie), bits_(bits), to_(to), first_(first), last_(last) {}

    /// How many there are.
    u64 run() noexcept {
        fill(trie_.root_.load(std::memory_order_relaxed), 0, 0, LpmFrontEntry::kNoElement);
        return count_;
    }

private:
    /// The keys that begin with the first `at` bits of `window`.
    [[nodiscard]] bool outside(u64 window, u32 at) const noexcept {
        return window > last_ || (at < 64 ? window | ~u64{0} >> at : window) < first_;
    }
    void set(u64 window, LpmFrontEntry entry) noexcept {
        if (to_ != nullptr) to_->set(window, entry);
        ++count_;
    }

    /// The node's, all keys of which begin with the first `at` bits of `window`; `best`: the element that is
    /// found if nothing below is.
    void fill(u32 unit, u32 at, u64 window, u32 best) noexcept {
        const LpmNode& node = *trie_.block(unit);
        if (at == bits_)
            set(window, LpmFrontEntry(unit, 0, best));
        else if ((node.internal & LpmNodeValue::kSkip) != 0)
            fill_skip(node, unit, at, window, best);
        else
            fill_chunks(node, at, window, best);
    }

    void fill_skip(const LpmNode& node, u32 unit, u32 at, u64 window, u32 best) noexcept {
        const u32 chunks = skip_chunks(node);
        const u32 inside = std::min(chunks, (bits_ - at) / kChunkBits);
        for (u32 i = 0; i < inside; ++i) window |= u64{skip_chunk(node, i)} << (58 - at - i * kChunkBits);
        const u32 end = at + inside * kChunkBits;
        if (outside(window, end)) return;
        if (inside == chunks)
            fill(node.base.load(std::memory_order_relaxed), end, window, best);
        else if (inside <= LpmFrontEntry::kMostChunks)
            set(window, LpmFrontEntry(unit, inside * kChunkBits, best));
        else if (to_ != nullptr)
            to_->remove(window);
    }

    void fill_chunks(const LpmNode& node, u32 at, u64 window, u32 best) noexcept {
        const u32 below = at + kChunkBits;
        const u32 base = node.base.load(std::memory_order_relaxed);
        const u64 leaves = below == bits_ ? node.leaves : 0;
        const u32 lowest = first_ > window ? first_ >> (58 - at) & 63 : 0;
        const u32 highest = last_ < (window | ~u64{0} >> at) ? last_ >> (58 - at) & 63 : 63;
        const u64 wanted = ~u64{0} >> (63 - highest) & ~lpm_below(lowest);
        for (u64 left = (node.children | leaves) & wanted; left != 0; left &= left - 1) {
            const auto chunk = static_cast<u32>(std::countr_zero(left));
            const u64 inside = window | u64{chunk} << (58 - at);
            const u64 one = u64{1} << chunk;
            const u32 found = trie_.best_of(node, chunk, best);
            if ((node.children & one) != 0)
                fill(base + static_cast<u32>(std::popcount(node.children & (one - 1))), below, inside, found);
            else
                set(inside, LpmFrontEntry(trie_.value_of(found)));
        }
    }

    LpmTrie& trie_;
    u32 bits_;
    LpmShortcut* to_;
    u64 first_;
    u64 last_;
    u64 count_ = 0;
};

/// The entries of keys that begin with the first `length` bits.
void LpmTrie::refill_shortcuts(const LpmBits& bits, u32 length) noexcept {
    for (LpmShortcut& shortcut : shortcuts_) {
        const u32 width = shortcut.bits();
        if (width == 0) continue;
        const u32 kept = std::min(length, width);
        const u64 rest = kept == 0 ? ~u64{0} : lpm_below(64 - kept);
        const u64 first = bits.window(0) & ~rest;
        if (ShortcutFill(*this, width, &shortcut, first, first | rest).run() == 0 && length >= width)
            shortcut.remove(first);
    }
}

/// How much a shortcut by so many bits would save, in nodes, for prefixes shorter than `below`: those above
/// it that the front does not lead past, and for prefixes of just its length the last one.
u64 LpmTrie::shortcut_gain(u32 bits, u32 below) const noexcept {
    u64 covered = 0;
    for (u32 length = bits; length < below; ++length) covered += lengths_[length];
    if (covered < count_.load(std::memory_order_relaxed) / 16) return 0;
    return covered * (bits / kChunkBits - kLpmFrontBits.back() / kChunkBits) + lengths_[bits] * u64{3} / 2;
}

/// After a change: tables that fit the trie, if there may be better ones than those in use.
void LpmTrie::renew_shortcuts() noexcept {
    if (until_choice_ != 0) --until_choice_;
    const bool full = std::ranges::any_of(shortcuts_, &LpmShortcut::full);
    if (!shortcuts_[0].possible() || (until_choice_ != 0 && !full)) return;
    const u32 count = count_.load(std::memory_order_relaxed);
    if (count < kLpmShortcutFrom) return;
    until_choice_ = count / 2;
    u32 below = static_cast<u32>(lengths_.size());
    for (LpmShortcut& shortcut : shortcuts_) {
        u32 best = shortcut.bits(); // unless another one is clearly better
        u64 gain = best == 0 || best >= below ? 0 : shortcut_gain(best, below) * 5 / 4;
        if (gain == 0) best = 0;
        for (u32 bits = LpmShortcut::kLeastBits; bits <= LpmShortcut::kMostBits && bits < below;
             bits += kChunkBits) {
            const u64 its = shortcut_gain(bits, below);
            if (its > gain) {
                gain = its;
                best = bits;
            }
        }
        if (best == 0) {
            if (shortcut.bits() != 0) shortcut.stop();
            return;
        }
        below = best;
        if ((best == shortcut.bits() && !shortcut.full()) || !shortcut.can_start()) continue;
        shortcut.start(best, ShortcutFill(*this, best, nullptr, 0, ~u64{0}).run());
        ShortcutFill(*this, best, &shortcut, 0, ~u64{0}).run();
        shortcut.use();
    }
}

/// As move_front().
void LpmTrie::move_shortcuts(u32 first, u64 children, u32 at, const LpmBits& bits) noexcept {
    const u32 above = at - kChunkBits;
    for (LpmShortcut& shortcut : shortcuts_) {
        const u32 width = shortcut.bits();
        if (width == 0 || at > width) continue;
        const u64 prefix = above == 0 ? 0 : bits.window(0) & ~lpm_below(64 - above);
        u32 unit = first;
        for (u64 left = children; left != 0; left &= left - 1, ++unit) {
            const LpmNode& node = *block(unit);
            const bool skips = (node.internal & LpmNodeValue::kSkip) != 0;
            if (at < width && (!skips || at + skip_chunks(node) * kChunkBits <= width)) continue;
            u64 window = prefix | static_cast<u64>(std::countr_zero(left)) << (64 - at);
            for (u32 i = 0; at + i * kChunkBits < width; ++i)
                window |= u64{skip_chunk(node, i)} << (58 - at - i * kChunkBits);
            std::atomic<u64>* const word = shortcut.word(window);
            if (word == nullptr) continue;
            const LpmFrontEntry old(word->load(std::memory_order_relaxed));
            if (!old.names_node()) continue;
            word->store(LpmFrontEntry(unit, width - at, old.element()).word(), std::memory_order_release);
        }
    }
}

} // namespace xdplane
