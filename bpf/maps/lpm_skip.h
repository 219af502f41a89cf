// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "bpf/maps/lpm_trie.h"

/// Skip nodes: number of chunks in byte 1 of `internal`, their bits in the upper 48 of `internal` and the
/// lower 48 of `children` and `leaves`, first chunk on top.
namespace xdplane {

inline constexpr u32 kChunkBits = 6;
inline constexpr u32 kChunksPerWord = 8;

template<class Node>
[[nodiscard]] u32 skip_chunks(const Node& node) noexcept {
    return static_cast<u32>(node.internal >> 8 & 0xff);
}
template<class Node>
[[nodiscard]] u64 skip_word(const Node& node, u32 word) noexcept {
    return word == 0 ? node.internal >> 16 : word == 1 ? node.children : node.leaves;
}
template<class Node>
[[nodiscard]] u32 skip_chunk(const Node& node, u32 chunk) noexcept {
    return static_cast<u32>(skip_word(node, chunk / kChunksPerWord) >>
                            (42 - chunk % kChunksPerWord * kChunkBits)) &
           63;
}

/// How many of the first `most` chunks the bits from `at` on share with the node.
template<class Node>
[[nodiscard]] __attribute__((always_inline)) inline u32 skip_matches(const Node& node, const LpmBits& bits,
                                                                     u32 at, u32 most) noexcept {
    for (u32 done = 0; done < most; done += kChunksPerWord) {
        const u64 differs =
            skip_word(node, done / kChunksPerWord) ^ bits.window(at + done * kChunkBits) >> 16;
        const u32 same =
            differs == 0 ? kChunksPerWord : static_cast<u32>(std::countl_zero(differs << 16)) / kChunkBits;
        if (same < kChunksPerWord) return done + same < most ? done + same : most;
    }
    return most;
}

/// The bits from `at` on are the node's, all of them. One jump, on whether there are more than 8 chunks.
template<class Node>
[[nodiscard]] __attribute__((always_inline)) inline bool skip_fits(const Node& node, const LpmBits& bits,
                                                                   u32 at) noexcept {
    const u32 chunks = skip_chunks(node);
    if (chunks > kChunksPerWord) return skip_matches(node, bits, at, chunks) == chunks;
    return (skip_word(node, 0) ^ bits.window(at) >> 16) >> ((kChunksPerWord - chunks) * kChunkBits) == 0;
}

/// A skip node put together chunk by chunk.
class SkipBuilder {
public:
    void add(u32 chunk) noexcept {
        const u64 bits = u64{chunk} << (42 - chunks_ % kChunksPerWord * kChunkBits);
        const u32 word = chunks_ / kChunksPerWord;
        if (word == 0)
            node_.internal |= bits << 16;
        else
            (word == 1 ? node_.children : node_.leaves) |= bits;
        ++chunks_;
    }
    void add(const LpmNodeValue& skip, u32 from, u32 to) noexcept {
        for (u32 i = from; i < to; ++i) add(skip_chunk(skip, i));
    }
    [[nodiscard]] LpmNodeValue node(u32 base) const noexcept {
        LpmNodeValue made = node_;
        made.internal |= LpmNodeValue::kSkip | u64{chunks_} << 8;
        made.base = base;
        return made;
    }

private:
    LpmNodeValue node_;
    u32 chunks_ = 0;
};

} // namespace xdplane
