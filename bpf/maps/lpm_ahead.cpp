// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Tries fetched ahead: in passes over all keys of a burst, each of which prefetches what the next one reads.
// No jump depends on what is found, but for the rare node that stands for several: what lies behind a jump
// that is foreseen wrongly waits for the cache line that decides it.
#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "bpf/maps/lpm_skip.h"
#include "bpf/maps/lpm_trie.h"
#include "bpf/maps/rows.h"
#include "bpf/maps/run_ahead.h"

namespace xdplane {
namespace {

const LpmTrie& trie(const Map& map) noexcept { return static_cast<const LpmTrie&>(map); }

/// A note is the key, as far as it fits: its prefix length, then the data, of which two words are looked at;
/// behind a short key there may be anything. Longer keys are fetched that far.
constexpr u32 kMostLength = LpmBits::kMostInWords * 8;
u32 length_of(const u64* note) noexcept { return static_cast<u32>(note[0]); }
/// Bytes 8 * index of the data and the next 7.
u64 data_word(const u64* note, u32 index) noexcept {
    return __builtin_bswap64(note[index] >> 32 | note[index + 1] << 32);
}
/// Of nodes and results, with their share of siblings: about what LpmTrie says of IPv4 tables.
constexpr u64 kBytesPerEntry = 52;

} // namespace

u64 LpmTrie::footprint() const noexcept {
    u64 bytes = count_.load(std::memory_order_relaxed) * (element_size_ + kBytesPerEntry) +
                front_.used_bytes() +
                front_blocks_.load(std::memory_order_relaxed) * kLpmBlockWords * sizeof(u64);
    for (const LpmShortcut& shortcut : shortcuts_) bytes += shortcut.used_bytes();
    return bytes;
}

/// Lookups on their way down.
class LpmTrie::Descents {
public:
    explicit Descents(const LpmTrie& trie) noexcept : trie_(trie) {}

    void begin(const u64* notes, u32 count) noexcept {
        if (const LpmShortcutTable first = trie_.shortcuts_[0].table(); first.exists())
            by_shortcuts(first, trie_.shortcuts_[1].table(), notes, count);
        else
            by_front(notes, count);
    }
    void run() noexcept {
        std::array<u8, kBurst + 1> plain;
        std::array<u8, kBurst + 1> skips;
        while (coming_ != 0) {
            std::swap(here_, to_come_);
            const u32 total = std::exchange(coming_, 0);
            u32 plain_count = 0;
            for (u32 i = 0; i < total; ++i) {
                const bool skip = ((*here_)[i].node->internal & LpmNodeValue::kSkip) != 0;
                plain[plain_count] = skips[i - plain_count] = static_cast<u8>(i);
                plain_count += skip ? 0 : 1;
            }
            for (u32 i = 0; i < plain_count; ++i) step((*here_)[plain[i]]);
            for (u32 i = 0; i < total - plain_count; ++i) skip((*here_)[skips[i]]);
        }
        for (u32 i = 0; i < results_; ++i)
            __builtin_prefetch(trie_.value_of(at_result_[i]->load(std::memory_order_acquire)));
    }

private:
    struct Descent {
        const LpmNode* node;
        const LpmNode* best; ///< of the nodes so far, that has a result; null: none
        u64 found;           ///< its prefixes of 0 to 5 bits that the key begins with
        const u64* value;    ///< found above; null: none
        u64 high;
        u64 low;
        u32 at;
        u32 length;
    };

    static constexpr LpmNode kNoNode{};

    void add(const Start& start, const u64* note) noexcept {
        const u32 length = std::min(length_of(note), kMostLength);
        (*to_come_)[coming_++] = {start.node,         nullptr,  0,     start.value, data_word(note, 0),
                                  data_word(note, 1), start.at, length};
    }
    void add_root(const u64* note) noexcept {
        add({trie_.block(trie_.root_.load(std::memory_order_acquire)), 0, nullptr}, note);
    }
    /// What key `i` of a list leads to is prefetched: a value, or the node to descend from.
    void follow(LpmFrontEntry entry, u32 width, u32 i) noexcept {
        const bool more = entry.has_more();
        __builtin_prefetch(select<const void*>(more, trie_.block(entry.node()),
                                               reinterpret_cast<const void*>(entry.word())));
        more_[mores_] = {entry.word(), width, i};
        mores_ += more ? 1 : 0;
    }

    void by_shortcuts(LpmShortcutTable first, LpmShortcutTable second, const u64* notes, u32 count) noexcept {
        for (u32 i = 0; i < count; ++i) {
            const u64 window = data_word(notes + u64{i} * kNoteWords, 0);
            __builtin_prefetch(&first.bucket(first.tag(window)));
            if (second.exists()) __builtin_prefetch(&second.bucket(second.tag(window)));
        }
        for (u32 i = 0; i < count; ++i) {
            const u64* const note = notes + u64{i} * kNoteWords;
            const u64 window = data_word(note, 0);
            if (length_of(note) < first.bits()) { // seldom, and short
                add_root(note);
                continue;
            }
            u32 width = first.bits();
            LpmFrontEntry entry = first.find(window);
            if (second.exists()) {
                const LpmFrontEntry other = second.find(window);
                const bool absent = entry.is_block();
                width = static_cast<u32>(select<u64>(absent, second.bits(), width));
                entry = LpmFrontEntry(select(absent, other.word(), entry.word()));
            }
            follow(entry, width, i);
        }
        for (u32 i = 0; i < mores_; ++i) {
            const More& more = more_[i];
            const u64* const note = notes + u64{more.key} * kNoteWords;
            const LpmFrontEntry entry(more.word);
            const Start start = entry.is_block()
                                    ? trie_.begin(LpmBits(data_word(note, 0), data_word(note, 1)),
                                                  std::min(length_of(note), kMostLength))
                                    : trie_.begin(entry, more.width);
            if (start.node != nullptr)
                add(start, note);
            else
                __builtin_prefetch(start.value);
        }
    }

    void by_front(const u64* notes, u32 count) noexcept {
        static constexpr std::atomic<u64> kNothing{0};
        const u32 width = trie_.front_.bits();
        std::array<const std::atomic<u64>*, kBurst> words;
        for (u32 i = 0; i < count; ++i) {
            const u64* const note = notes + u64{i} * kNoteWords;
            words[i] = &kNothing;
            if (width == 0 || length_of(note) < kLpmWithBlock) {
                if (length_of(note) <= trie_.max_length_) add_root(note);
                continue;
            }
            words[i] = trie_.front_entry(LpmBits(data_word(note, 0), 0), width);
            __builtin_prefetch(words[i]);
        }
        for (u32 i = 0; i < count; ++i) {
            const LpmBits bits(data_word(notes + u64{i} * kNoteWords, 0), 0);
            const LpmFrontEntry entry(words[i]->load(std::memory_order_acquire));
            const std::atomic<u64>* const in_block = block_entry(entry, bits);
            words[i] = select(entry.is_block(), in_block, words[i]);
            __builtin_prefetch(words[i]);
        }
        for (u32 i = 0; i < count; ++i)
            follow(LpmFrontEntry(words[i]->load(std::memory_order_acquire)), 0, i);
        for (u32 i = 0; i < mores_; ++i) {
            const u64* const note = notes + u64{more_[i].key} * kNoteWords;
            // An entry may have come to lead to a block since it was looked at first.
            const Start start =
                trie_.begin(LpmFrontEntry(more_[i].word), LpmBits(data_word(note, 0), 0), length_of(note));
            if (start.node != nullptr)
                add(start, note);
            else
                __builtin_prefetch(start.value);
        }
    }

    /// A node of a descent: on to the next one, or to what it has found.
    void step(const Descent& descent) noexcept {
        const LpmNode& node = *descent.node;
        const u32 left = descent.length - descent.at;
        const u32 chunk = LpmBits(descent.high, descent.low).chunk(descent.at);
        const u64 one = u64{1} << chunk;
        const u64 whole = select(left >= kChunkBits, one, u64{0});
        const u64 inside = node.internal & kLpmAncestors[chunk] & lpm_no_longer_than(left);
        const u64 leaf = node.leaves & whole;
        const bool here = (inside | leaf) != 0;
        const LpmNode* const below =
            trie_.block(node.base.load(std::memory_order_acquire)) + std::popcount(node.children & (one - 1));
        next(descent, {below, kChunkBits, (node.children & whole) != 0},
             {select(here, &node, descent.best), select(here, inside, descent.found), leaf});
    }
    /// The same for a skip node.
    void skip(const Descent& descent) noexcept {
        const LpmNode& node = *descent.node;
        const u32 bits = skip_chunks(node) * kChunkBits;
        const bool fits = skip_fits(node, LpmBits(descent.high, descent.low), descent.at) &
                          (descent.length - descent.at >= bits);
        next(descent, {trie_.block(node.base.load(std::memory_order_acquire)), bits, fits},
             {descent.best, descent.found, 0});
    }
    struct Below {
        const LpmNode* node;
        u32 bits; ///< that lead to it
        bool goes_on;
    };
    struct Best {
        const LpmNode* node; ///< null: none
        u64 found;
        u64 leaf;
    };
    void next(const Descent& descent, const Below& below, const Best& best) noexcept {
        // Copied before it is changed: what was written in pieces is not to be read at once.
        Descent& to = (*to_come_)[coming_];
        to = descent;
        to.node = below.node;
        to.at += below.bits;
        to.best = best.node;
        to.found = best.found;
        coming_ += below.goes_on ? 1 : 0;
        // The best node has been read: what follows of it is in the cache.
        const bool any = best.node != nullptr;
        const LpmNode& of = *select(any, best.node, &kNoNode);
        const std::atomic<u32>* const result = trie_.result_at(of, rank_in(of, best.found, best.leaf));
        at_result_[results_] = result;
        results_ += (any & !below.goes_on) ? 1 : 0;
        const void* const found = select<const void*>(any, result, descent.value);
        __builtin_prefetch(select<const void*>(below.goes_on, below.node, found));
    }

    struct More {
        u64 word;
        u32 width;
        u32 key;
    };

    const LpmTrie& trie_;
    u32 mores_ = 0;
    u32 coming_ = 0;
    u32 results_ = 0;
    std::array<More, kBurst + 1> more_;
    using List = std::array<Descent, kBurst + 1>; // the last one is for what is not needed
    List lists_[2];
    List* here_ = &lists_[0];
    List* to_come_ = &lists_[1];
    std::array<const std::atomic<u32>*, kBurst + 1> at_result_;
};

void LpmTrie::fetch(const u64* notes, u32 count) const noexcept {
    Descents descents(*this);
    descents.begin(notes, count);
    descents.run();
}

constinit const AheadOps kLpmAhead = {
    .footprint = [](const Map& map) noexcept { return trie(map).footprint(); },
    .note =
        [](const Map& map, const void* key, const KeyWords& words, u64* note) noexcept {
            // Where lookups begin is read for all of them at once: nothing to prefetch here.
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
