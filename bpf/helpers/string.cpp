// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <linux/bpf.h>

#include "bpf/helpers/rows.h"

/// Strings: numbers read, words compared.
namespace xdplane {
namespace {

u64 error(int code) noexcept { return static_cast<u64>(-i64{code}); }

constexpr u32 kLongestNumber = 63; ///< characters that Linux looks at

bool is_space(char c) noexcept { return c == ' ' || (c >= '\t' && c <= '\r') || c == '\xa0'; }
u32 digit_of(char c) noexcept {
    if (c >= '0' && c <= '9') return static_cast<u32>(c - '0');
    const char lower = static_cast<char>(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? static_cast<u32>(lower - 'a') + 10 : ~0U;
}

struct Number {
    int code = 0; ///< errno
    u64 value = 0;
    bool negative = false;
    u32 consumed = 0; ///< characters, spaces and sign included
};

/// 0x and 0 say 16 and 8 where the caller gave no base; returns the characters of the prefix.
u32 find_base(const char* text, u32 length, u32& base) noexcept {
    const bool hex = length >= 2 && text[0] == '0' && (text[1] | 0x20) == 'x';
    if (base == 0) {
        base = 10;
        if (length != 0 && text[0] == '0') base = hex && length >= 3 && digit_of(text[2]) < 16 ? 16 : 8;
    }
    return base == 16 && hex ? 2 : 0;
}

Number read_number(const char* text, u32 length, u64 flags) noexcept {
    constexpr u64 base_mask = 0x1f; // BPF_STRTOX_BASE_MASK
    u32 base = static_cast<u32>(flags & base_mask);
    if (length == 0 || (flags & ~base_mask) != 0) return {.code = EINVAL};
    if (base != 0 && base != 8 && base != 10 && base != 16) return {.code = EINVAL};
    u32 at = 0;
    while (at < length && is_space(text[at])) ++at;
    Number number;
    number.negative = at < length && text[at] == '-';
    if (number.negative) ++at;
    if (at == length) return {.code = EINVAL};
    // The string ends where Linux's copy of it does, or at a NUL.
    const u32 end = at + std::min(length - at, kLongestNumber);
    at += find_base(text + at, end - at, base);
    const u32 first = at;
    bool overflow = false;
    for (; at < end; ++at) {
        const u32 digit = digit_of(text[at]);
        if (digit >= base) break;
        overflow |= __builtin_mul_overflow(number.value, u64{base}, &number.value);
        overflow |= __builtin_add_overflow(number.value, u64{digit}, &number.value);
    }
    if (overflow) return {.code = ERANGE};
    if (at == first) return {.code = EINVAL};
    number.consumed = at;
    return number;
}

void put(u64 to, u64 value) noexcept { std::memcpy(reinterpret_cast<void*>(to), &value, sizeof value); }

u64 strtol(u64 text, u64 length, u64 flags, u64 result, u64) noexcept {
    put(result, 0);
    const Number number = read_number(reinterpret_cast<const char*>(text), static_cast<u32>(length), flags);
    if (number.code != 0) return error(number.code);
    const i64 value = static_cast<i64>(number.negative ? -number.value : number.value);
    if (number.negative ? value > 0 : value < 0) return error(ERANGE);
    put(result, static_cast<u64>(value));
    return number.consumed;
}

u64 strtoul(u64 text, u64 length, u64 flags, u64 result, u64) noexcept {
    put(result, 0);
    const Number number = read_number(reinterpret_cast<const char*>(text), static_cast<u32>(length), flags);
    if (number.code != 0) return error(number.code);
    if (number.negative) return error(EINVAL);
    put(result, number.value);
    return number.consumed;
}

u64 strncmp(u64 a, u64 length, u64 b, u64, u64) noexcept {
    const auto* left = reinterpret_cast<const u8*>(a);
    const auto* right = reinterpret_cast<const u8*>(b);
    for (u32 i = 0; i < static_cast<u32>(length); ++i) {
        if (left[i] != right[i]) return left[i] < right[i] ? ~u64{0} : 1;
        if (left[i] == 0) break;
    }
    return 0;
}

constexpr HelperProto number_row(u32 id, const char* name, HelperFn fn) {
    return {.id = id,
            .name = name,
            .fn = fn,
            .ret = Ret::integer,
            .args = {Arg::mem, Arg::size, Arg::anything, Arg::uninit_fixed_mem},
            .use = kUsePacket,
            .fixed_sizes = {0, 0, 0, sizeof(u64), 0}};
}

} // namespace

const HelperProto kHelperStrtol = number_row(BPF_FUNC_strtol, "strtol", strtol);
const HelperProto kHelperStrtoul = number_row(BPF_FUNC_strtoul, "strtoul", strtoul);
const HelperProto kHelperStrncmp = {.id = BPF_FUNC_strncmp,
                                    .name = "strncmp",
                                    .fn = strncmp,
                                    .ret = Ret::integer,
                                    .args = {Arg::mem, Arg::size, Arg::const_string},
                                    .use = kUsePacket};

} // namespace xdplane
