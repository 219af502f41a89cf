// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "bpf/run/packet.h"

namespace xdplane {

/// What programs do with the fields of an XdpBuff, beyond setting `verdict`: who fills many of them can leave
/// out what nobody looks at, and what is still there from the last time. Of a new one: anything.
struct ContextUse {
    static constexpr u32 kWord = 8;

    u16 reads = 0xffff;  ///< a bit for each 8 bytes of the first two cache lines
    bool changes = true; ///< fields; or reads others

    [[nodiscard]] static constexpr ContextUse none() { return {0, false}; }
    /// `size` bytes from there on are read.
    constexpr void read(u32 offset, u32 size) {
        if (offset + size > offsetof(XdpBuff, skb)) *this = ContextUse();
        for (u32 word = offset / kWord; word * kWord < offset + size; ++word)
            reads |= static_cast<u16>(1U << word);
    }
    [[nodiscard]] constexpr bool may_read(u32 offset) const { return (reads >> (offset / kWord) & 1) != 0; }
    constexpr void add(const ContextUse& other) {
        reads |= other.reads;
        changes |= other.changes;
    }
};

} // namespace xdplane
