// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "pcap_replay/crc32c.h"

#include <array>
#include <cstring>

#ifdef __SSE4_2__
#include <nmmintrin.h>
#endif

namespace xdplane {

#ifdef __SSE4_2__

u32 crc32c(const u8* bytes, std::size_t size) noexcept {
    u64 crc = 0xffffffff;
    for (; size >= 8; bytes += 8, size -= 8) {
        u64 word;
        std::memcpy(&word, bytes, sizeof word);
        crc = _mm_crc32_u64(crc, word);
    }
    u32 rest = static_cast<u32>(crc);
    for (; size != 0; ++bytes, --size) rest = _mm_crc32_u8(rest, *bytes);
    return ~rest;
}

#else

namespace {

constexpr std::array<u32, 256> make_table() {
    std::array<u32, 256> table{};
    for (u32 i = 0; i < 256; ++i) {
        u32 crc = i;
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78 : 0);
        table[i] = crc;
    }
    return table;
}
constexpr std::array<u32, 256> kTable = make_table();

} // namespace

u32 crc32c(const u8* bytes, std::size_t size) noexcept {
    u32 crc = 0xffffffff;
    for (; size != 0; ++bytes, --size) crc = (crc >> 8) ^ kTable[(crc ^ *bytes) & 0xff];
    return ~crc;
}

#endif

} // namespace xdplane
