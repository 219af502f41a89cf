// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <array>
#include <atomic>

#include "bpf/base/mapping.h"
#include "bpf/base/result.h"
#include "bpf/maps/lpm_front.h"

namespace xdplane {

/// One table of an LpmShortcut as readers see it, in one word: its address, a multiple of 4096, the shift
/// that leaves its bits of a key's first 64, and that which leaves a bucket's number of a hash. 0: none.
class LpmShortcutTable {
public:
    static constexpr u32 kEntries = 4; ///< of a bucket, which is a cache line
    struct Bucket {
        std::array<std::atomic<u64>, kEntries> tags; ///< a key's first bits, and 1; 0: free
        std::array<std::atomic<u64>, kEntries> words;
    };
    static_assert(sizeof(Bucket) == kCacheLine);

    constexpr explicit LpmShortcutTable(u64 word) noexcept : word_(word) {}
    LpmShortcutTable(const Bucket* buckets, u32 bits, u32 log2_buckets) noexcept
        : word_(reinterpret_cast<std::uintptr_t>(buckets) | (64 - log2_buckets) << 6 | (64 - bits)) {}
    [[nodiscard]] constexpr u64 word() const noexcept { return word_; }
    [[nodiscard]] constexpr bool exists() const noexcept { return word_ != 0; }
    // If it does.
    [[nodiscard]] constexpr u32 bits() const noexcept { return 64 - static_cast<u32>(word_ & 63); }
    [[nodiscard]] constexpr u64 buckets() const noexcept { return u64{1} << (64 - (word_ >> 6 & 63)); }
    /// `window`: the key's first 64 bits.
    [[nodiscard]] constexpr u64 tag(u64 window) const noexcept {
        return (window >> (word_ & 63) << (word_ & 63)) | 1;
    }
    [[nodiscard]] Bucket& bucket(u64 tag) const noexcept {
        constexpr u64 kSpread = 0x9e3779b97f4a7c15;
        return reinterpret_cast<Bucket*>(word_ & ~u64{4095})[tag * kSpread >> (word_ >> 6 & 63)];
    }
    /// What the key leads to: see LpmFrontEntry; one that is a block: not here. Without a jump that nobody
    /// can foresee.
    [[nodiscard]] LpmFrontEntry find(u64 window) const noexcept {
        const u64 wanted = tag(window);
        const Bucket& in = bucket(wanted);
        u32 here = 0;
        u32 slot = 0;
#pragma GCC unroll 4
        for (u32 i = 0; i < kEntries; ++i) {
            const u32 same = in.tags[i].load(std::memory_order_acquire) == wanted ? 1 : 0;
            here |= same;
            slot |= same * i;
        }
        // Acquire: pairs with what published the nodes that it leads to.
        return LpmFrontEntry(in.words[slot].load(std::memory_order_acquire) | ((u64{here} - 1) & kAbsent));
    }

    static constexpr u64 kAbsent = u64{LpmFrontEntry::kBlock} << LpmFrontEntry::kKindShift;

private:
    u64 word_;
};

/// A way past the upper levels of a trie: for every prefix of the trie that is long enough, what a descent of
/// its first `bits` bits finds, in a hash by those bits. So a lookup whose key is there begins below them, or
/// has its value. Others descend: what is not here (buckets that are full, nodes that an entry cannot name)
/// costs time and nothing else. What is here is exact.
///
/// An entry: value, or node and the element of the longest prefix above it, as in LpmFrontEntry, but that
/// at() is how many bits in front of `bits` the node begins.
///
/// Derived by the trie's writer as the front is (LpmFront). Tags are written once in the life of a table: an
/// entry that is no more has the word kAbsent until the next table, made when there is no room for another
/// one or when other bits are better, in the other half of the memory, once readers have left that.
/// 32 to 64 bytes per entry, and as much again for the other half.
class LpmShortcut {
public:
    /// The bits of a table are a multiple of 6, from and to these.
    static constexpr u32 kLeastBits = 24;
    static constexpr u32 kMostBits = 60;

    /// Room for about so many entries.
    static Result<LpmShortcut> create(u64 entries);
    LpmShortcut() = default;
    LpmShortcut(LpmShortcut&& other) noexcept
        : memory_(std::move(other.memory_)), most_buckets_(other.most_buckets_) {}
    LpmShortcut& operator=(LpmShortcut&& other) noexcept {
        memory_ = std::move(other.memory_);
        most_buckets_ = other.most_buckets_;
        return *this;
    }

    // Readers.
    /// Acquire: pairs with use(), so that its entries can be read.
    [[nodiscard]] LpmShortcutTable table() const noexcept {
        return LpmShortcutTable(in_use_.load(std::memory_order_acquire));
    }
    /// Of the table in use.
    [[nodiscard]] u64 used_bytes() const noexcept {
        const LpmShortcutTable now = table();
        return now.exists() ? now.buckets() * sizeof(LpmShortcutTable::Bucket) : 0;
    }

    // The writer.
    [[nodiscard]] bool possible() const noexcept { return most_buckets_ != 0; }
    /// Of both halves.
    [[nodiscard]] u64 touched_bytes() const noexcept {
        return (touched_[0] + touched_[1]) * sizeof(LpmShortcutTable::Bucket);
    }
    /// Another table would have more room.
    [[nodiscard]] bool full() const noexcept { return used_ > most_used_; }
    /// Readers have left the other half.
    [[nodiscard]] bool can_start() const noexcept;
    /// Begins a table for so many entries in it, which set() fills.
    void start(u32 bits, u64 entries) noexcept;
    /// It is filled.
    void use() noexcept;
    /// No table any more.
    void stop() noexcept;
    void set(u64 window, LpmFrontEntry entry) noexcept;
    void remove(u64 window) noexcept;
    /// The word of a key that is there; null.
    [[nodiscard]] std::atomic<u64>* word(u64 window) const noexcept;
    /// Of the table that set() writes.
    [[nodiscard]] u32 bits() const noexcept { return filling_.exists() ? filling_.bits() : 0; }

private:
    void publish() noexcept;

    std::atomic<u64> in_use_{0};
    LpmShortcutTable filling_{0}; ///< in_use_, but between start() and use()
    Mapping memory_;              ///< two halves
    u64 most_buckets_ = 0;        ///< of a half
    u64 used_ = 0;                ///< tags that are written
    u64 most_used_ = 0;
    u32 half_ = 0;                 ///< of filling_
    std::array<u64, 2> touched_{}; ///< buckets of each half
    u64 left_ = 0;                 ///< stamp: passed when readers have left the other half
};

} // namespace xdplane
