// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/helpers/checksum.h"

#include <cstring>
#include <linux/bpf.h>

#include "bpf/helpers/rows.h"

namespace xdplane {

u32 checksum::of(const void* memory, u32 size) noexcept {
    const u8* bytes = static_cast<const u8*>(memory);
    u64 sum = 0; // at most 2^30 words below 2^32 each
    for (; size >= 4; size -= 4, bytes += 4) {
        u32 word = 0;
        std::memcpy(&word, bytes, 4);
        sum += word;
    }
    u32 last = 0;
    if (size != 0) std::memcpy(&last, bytes, size);
    sum += last;
    return add(static_cast<u32>(sum), static_cast<u32>(sum >> 32));
}

namespace {

/// Of any size and folded to 16 bits, as in Linux since 6.13 (before, sizes had to be multiples of 4).
u64 csum_diff(u64 from, u64 from_size, u64 to, u64 to_size, u64 seed) noexcept {
    const u32 old_size = static_cast<u32>(from_size);
    const u32 new_size = static_cast<u32>(to_size);
    u32 sum = static_cast<u32>(seed);
    if (new_size != 0) sum = checksum::add(sum, checksum::of(reinterpret_cast<const void*>(to), new_size));
    if (old_size != 0) {
        // Zero has two forms; which one comes out is Linux's choice, which differs between these two.
        const u32 old = checksum::of(reinterpret_cast<const void*>(from), old_size);
        sum = new_size != 0 ? checksum::add(sum, ~old) : ~checksum::add(~sum, old);
    }
    return (sum + std::rotl(sum, 16)) >> 16;
}

} // namespace

const HelperProto kHelperCsumDiff = {
    .id = BPF_FUNC_csum_diff,
    .name = "csum_diff",
    .fn = csum_diff,
    .ret = Ret::integer,
    .args = {Arg::mem_or_null, Arg::size_or_zero, Arg::mem_or_null, Arg::size_or_zero, Arg::anything},
    .use = kUseXdp | kUseTc,
    .packet_args = true};

} // namespace xdplane
