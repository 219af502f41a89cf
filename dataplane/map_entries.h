// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "bpf/base/result.h"
#include "bpf/maps/map.h"

namespace xdplane {

/// What a file says a map is to hold, parsed and checked against the map: keys in the file's order, and of
/// each value the bits that are given. Values are in the syscall's layout. Control thread.
class MapEntries {
public:
    enum class Position : u8 { line, entry }; ///< how errors name an entry: "FILE:3:", "FILE: entry 3:"

    MapEntries(const Map& map, std::string path, Position position);

    /// Value number 0: nothing of it is given.
    static constexpr u32 kNothingGiven = 0;
    /// A value for add(): `bits` are given where `mask` is 1, and 0 elsewhere. Of value_size bytes (every CPU
    /// gets it) or of syscall_value_size().
    [[nodiscard]] u32 value(std::span<const u8> bits, std::span<const u8> mask);
    /// `position`: line of the file, or number of the entry.
    void add(std::span<const u8> key, u32 position, u32 value = kNothingGiven);

    [[nodiscard]] u32 size() const { return static_cast<u32>(positions_.size()); }
    [[nodiscard]] const u8* key(u32 i) const { return keys_.data() + std::size_t{i} * key_size_; }
    [[nodiscard]] u32 value_number(u32 i) const { return values_.empty() ? kNothingGiven : values_[i]; }
    [[nodiscard]] std::span<const u8> bits(u32 i) const { return pool(2 * value_number(i)); }
    [[nodiscard]] std::span<const u8> mask(u32 i) const { return pool(2 * value_number(i) + 1); }
    /// The value of an entry that is new in the map. What is not given is 0; but an element of an array whose
    /// value is one number is 1 if nothing is given, so that a list says which elements are on.
    [[nodiscard]] std::vector<u8> whole_value(u32 i) const;
    /// An error about entry `i`: "FILE:LINE: what".
    [[nodiscard]] std::unexpected<Error> error(u32 i, int code, std::string_view what) const;
    /// "line 3" or "entry 3".
    [[nodiscard]] std::string place(u32 i) const;

    /// How two keys are told apart: bits of a trie's key behind its prefix length do not count.
    void normalize(std::span<u8> key) const;

private:
    [[nodiscard]] std::span<const u8> pool(u32 number) const {
        return {pool_.data() + std::size_t{number} * value_bytes_, value_bytes_};
    }

    std::string path_;
    Position position_;
    bool trie_;
    bool starts_as_one_; ///< see whole_value()
    u32 key_size_;
    u32 value_size_;
    u32 value_bytes_; ///< in the syscall's layout
    u32 cpu_stride_;
    std::vector<u8> keys_;
    std::vector<u32> positions_;
    std::vector<u32> values_; ///< numbers; empty while nothing is given
    std::vector<u8> pool_;    ///< bits and mask by value number; equal neighbours share one
};

/// Finds entries by key.
class KeyIndex {
public:
    /// A key that is there twice: once if it is the same entry again; else an error.
    [[nodiscard]] static Result<KeyIndex> make(const MapEntries& entries, u32 key_size);

    static constexpr u32 kNone = ~0U;
    /// The entry of that (normalized) key, or kNone.
    [[nodiscard]] u32 find(std::span<const u8> key) const;
    [[nodiscard]] u32 size() const { return static_cast<u32>(set_.size()); }
    /// Entries whose key was not there before, in no order.
    [[nodiscard]] auto begin() const { return set_.begin(); }
    [[nodiscard]] auto end() const { return set_.end(); }

private:
    struct Hash {
        using is_transparent = void;
        const MapEntries* entries;
        u32 key_size;
        std::size_t operator()(u32 entry) const;
        std::size_t operator()(std::string_view key) const;
    };
    struct Equal {
        using is_transparent = void;
        const MapEntries* entries;
        u32 key_size;
        [[nodiscard]] std::string_view text(u32 entry) const {
            return {reinterpret_cast<const char*>(entries->key(entry)), key_size};
        }
        bool operator()(u32 a, u32 b) const { return text(a) == text(b); }
        bool operator()(std::string_view a, u32 b) const { return a == text(b); }
        bool operator()(u32 a, std::string_view b) const { return text(a) == b; }
    };
    using Set = std::unordered_set<u32, Hash, Equal>;
    explicit KeyIndex(Set set) : set_(std::move(set)) {}
    Set set_;
};

} // namespace xdplane
