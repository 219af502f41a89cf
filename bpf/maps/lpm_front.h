// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <array>
#include <atomic>

#include "bpf/base/mapping.h"
#include "bpf/base/result.h"
#include "bpf/maps/lpm_arena.h"

namespace xdplane {

/// What a lookup has found after the first bits of its key, in one word, by its upper four bits:
/// 0 to 7: the address of the value, or 0 if no prefix fits;
/// 8 to 14: there is more to read: the node to go on with, whose first bit is 0, 6, ... or 36, and the
/// element of the longest prefix that ends above it; 15: the address of a block of 64 such words, by the next
/// 6 bits of the key.
class LpmFrontEntry {
public:
    static constexpr u32 kNumberBits = 30;
    static constexpr u32 kNoElement = (1U << kNumberBits) - 1;
    static constexpr u64 kMaxUnits = u64{1} << kNumberBits;

    constexpr explicit LpmFrontEntry(u64 word) noexcept : word_(word) {}
    /// The result; null: none.
    explicit LpmFrontEntry(const u64* value) noexcept : word_(reinterpret_cast<std::uintptr_t>(value)) {}
    /// `at`: the node's first bit. `element`: or kNoElement.
    constexpr LpmFrontEntry(u32 node, u32 at, u32 element) noexcept
        : word_(kMore | u64{at / 6} << kKindShift | u64{element} << kNumberBits | node) {}
    explicit LpmFrontEntry(const std::atomic<u64>* block) noexcept
        : word_(u64{kBlock} << kKindShift | reinterpret_cast<std::uintptr_t>(block)) {}
    [[nodiscard]] constexpr u64 word() const noexcept { return word_; }
    [[nodiscard]] constexpr bool has_more() const noexcept { return (word_ & kMore) != 0; }
    [[nodiscard]] constexpr bool is_block() const noexcept { return word_ >> kKindShift == kBlock; }
    [[nodiscard]] constexpr bool names_node() const noexcept { return has_more() && !is_block(); }
    /// If it is one.
    [[nodiscard]] std::atomic<u64>* block() const noexcept {
        return reinterpret_cast<std::atomic<u64>*>(word_ & ((u64{1} << kKindShift) - 1));
    }
    // Without more.
    [[nodiscard]] u64* value() const noexcept { return reinterpret_cast<u64*>(word_); }
    // If it names a node.
    [[nodiscard]] constexpr u32 node() const noexcept { return static_cast<u32>(word_) & kNoElement; }
    [[nodiscard]] constexpr u32 element() const noexcept {
        return static_cast<u32>(word_ >> kNumberBits) & kNoElement;
    }
    [[nodiscard]] constexpr u32 at() const noexcept { return static_cast<u32>(word_ >> kKindShift & 7) * 6; }

    static constexpr u32 kKindShift = 60;
    static constexpr u32 kBlock = 15;
    static constexpr u32 kMostChunks = 6; ///< at() is a multiple of 6, up to 36

private:
    static constexpr u64 kMore = u64{1} << 63;
    u64 word_;
};

/// The first levels of a trie as one table, by the first 12 or 18 bits of the key: what a descent from the
/// root would find there, so that lookups of long keys begin below. 8 bytes an entry, 32 KB or 2 MB,
/// committed when the trie has kLpmFrontFrom entries and never given up. Where prefixes of 19 to 24 bits
/// begin with the 18 of an entry, it leads to a block of the trie's arena with the next 6 bits: 512 bytes.
///
/// Derived from the trie by its writer, under its lock, between publishing a change and retiring what the
/// change replaced: a reader that finds an old entry finds old nodes, as it would have from the root. Each
/// entry changes at once; those of a short prefix change one after the other.
inline constexpr std::array<u32, 2> kLpmFrontBits{12, 18};
/// Bits of a key, and words, of a block; and of both together.
inline constexpr u32 kLpmBlockBits = 6;
inline constexpr u32 kLpmBlockWords = 1U << kLpmBlockBits;
inline constexpr u32 kLpmBlockUnits = kLpmBlockWords * sizeof(u64) / LpmArena::kUnit;
inline constexpr u32 kLpmWithBlock = kLpmFrontBits.back() + kLpmBlockBits;
/// Entries of the trie from which on the table by so many bits pays: small ones fit the nearest cache.
inline constexpr std::array<u32, 2> kLpmFrontFrom{32, 512};

class LpmFront {
public:
    /// Tables for keys of `key_bits`; without any for keys and tries that an entry cannot hold.
    static Result<LpmFront> create(u32 key_bits, u64 elements, u64 units);

    /// There may be tables.
    [[nodiscard]] bool possible() const noexcept { return most_ != 0; }
    /// Bits of the table in use, 0: none. Acquire: pairs with use(), so its entries can be read.
    [[nodiscard]] u32 bits() const noexcept {
        const u64 table = in_use_.load(std::memory_order_acquire);
        return table == 0 ? 0 : 64 - static_cast<u32>(table & 63);
    }
    /// The table in use for compiled code: its address, a multiple of 4096, plus 64 - bits(): how far the
    /// first 8 bytes of a key, as a big-endian number, are shifted for the entry's index. 0: none.
    [[nodiscard]] const std::atomic<u64>& in_use() const noexcept { return in_use_; }
    [[nodiscard]] std::atomic<u64>* table(u32 bits) const noexcept {
        return reinterpret_cast<std::atomic<u64>*>(memory_.data()) +
               (bits == kLpmFrontBits[0] ? 0 : u64{1} << kLpmFrontBits[0]);
    }
    /// Bits of the table that a trie with so many entries should have.
    [[nodiscard]] u32 wanted(u32 count) const noexcept;
    /// Its entries are filled.
    void use(u32 bits) noexcept {
        in_use_.store(reinterpret_cast<std::uintptr_t>(table(bits)) | (64 - bits), std::memory_order_release);
    }
    [[nodiscard]] u64 used_bytes() const noexcept { return bits() == 0 ? 0 : u64{8} << bits(); }

    LpmFront() = default;
    LpmFront(LpmFront&& other) noexcept : most_(other.most_), memory_(std::move(other.memory_)) {}
    LpmFront& operator=(LpmFront&& other) noexcept {
        most_ = other.most_;
        memory_ = std::move(other.memory_);
        return *this;
    }

private:
    std::atomic<u64> in_use_{0};
    u32 most_ = 0; ///< bits of the largest table that fits the key
    Mapping memory_;
};

} // namespace xdplane
