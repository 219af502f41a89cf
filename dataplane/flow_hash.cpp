// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/flow_hash.h"

#include <cstring>

namespace xdplane {
namespace {

/// The finisher of MurmurHash3 (public domain): every bit of the input reaches every bit of the result.
u64 mix(u64 value) noexcept {
    value ^= value >> 33;
    value *= 0xff51afd7ed558ccd;
    value ^= value >> 33;
    value *= 0xc4ceb9fe1a85ec53;
    return value ^ value >> 33;
}

template<u32 Size>
u64 address_hash(const u8* address) noexcept {
    u64 words[2] = {0, 0};
    std::memcpy(words, address, Size);
    return mix(words[0] + mix(words[1] + Size));
}

/// Sums do not mind the order of their terms.
template<u32 Size>
u64 pair_hash(const u8* first, const u8* second) noexcept {
    return mix(address_hash<Size>(first) + address_hash<Size>(second));
}

u32 ether_type(const u8* at) noexcept { return static_cast<u32>(at[0] << 8 | at[1]); }

} // namespace

u64 flow_hash(const u8* frame, u32 size) noexcept {
    if (size < 14) return 0;
    u32 at = 12;
    u32 type = ether_type(frame + at);
    for (int tags = 0; tags < 4 && (type == 0x8100 || type == 0x88a8 || type == 0x9100); ++tags) {
        at += 4;
        if (at + 2 > size) break;
        type = ether_type(frame + at);
    }
    at += 2;
    if (type == 0x0800 && at + 20 <= size) return pair_hash<4>(frame + at + 12, frame + at + 16);
    if (type == 0x86dd && at + 40 <= size) return pair_hash<16>(frame + at + 8, frame + at + 24);
    return pair_hash<6>(frame, frame + 6);
}

} // namespace xdplane
