// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <bit>
#include <cstring>

#include "bpf/base/types.h"

/// Keys and values as 64-bit words. Maps are read and written by many threads at once, so what they store is
/// touched by whole, relaxed atomic words: a word never tears, a longer value may, as on Linux.
namespace xdplane {

static_assert(std::endian::native == std::endian::little, "partial words are built for little-endian hosts");

[[nodiscard]] constexpr u64 round_up(u64 n, u64 alignment) {
    return (n + alignment - 1) / alignment * alignment;
}

[[nodiscard]] inline u64 load_word(const u64* word) noexcept {
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}
inline void store_word(u64* word, u64 value) noexcept { __atomic_store_n(word, value, __ATOMIC_RELAXED); }

/// Unaligned memory of the caller's own.
[[nodiscard]] inline u64 read_word(const u8* bytes) noexcept {
    u64 word;
    std::memcpy(&word, bytes, 8);
    return word;
}
/// The 1 to 7 bytes at `bytes`, zero-extended.
[[nodiscard]] inline u64 read_partial(const u8* bytes, u32 size) noexcept {
    u64 word = 0;
    if (size & 4) {
        u32 part;
        std::memcpy(&part, bytes, 4);
        word = part;
        bytes += 4;
    }
    u32 shift = (size & 4) * 8;
    if (size & 2) {
        u16 part;
        std::memcpy(&part, bytes, 2);
        word |= u64{part} << shift;
        shift += 16;
        bytes += 2;
    }
    if (size & 1) word |= u64{*bytes} << shift;
    return word;
}

/// condition ? a : b, of numbers or pointers, without a jump: for what nobody can foresee.
template<class T>
[[nodiscard]] inline __attribute__((always_inline)) T select(bool condition, T a, T b) noexcept {
    const u64 mask = -u64{condition};
    return std::bit_cast<T>((std::bit_cast<u64>(a) & mask) | (std::bit_cast<u64>(b) & ~mask));
}

/// Fills round_up(size, 8) bytes of shared words from `size` bytes; what is left of the last word is zeroed.
inline void store_words(u64* to, const void* from, u32 size) noexcept {
    const u8* bytes = static_cast<const u8*>(from);
    for (; size >= 8; size -= 8, bytes += 8) store_word(to++, read_word(bytes));
    if (size != 0) store_word(to, read_partial(bytes, size));
}
inline void clear_words(u64* to, u32 size) noexcept {
    for (u32 done = 0; done < size; done += 8) store_word(to++, 0);
}
/// Copies `size` bytes out of shared words.
inline void copy_words(void* to, const u64* from, u32 size) noexcept {
    u8* bytes = static_cast<u8*>(to);
    for (; size >= 8; size -= 8, bytes += 8) {
        const u64 word = load_word(from++);
        std::memcpy(bytes, &word, 8);
    }
    if (size != 0) {
        const u64 word = load_word(from);
        std::memcpy(bytes, &word, size);
    }
}

} // namespace xdplane
