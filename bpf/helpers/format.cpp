// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/helpers/format.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "bpf/helpers/safe_read.h"

namespace xdplane {
namespace {

/// The line under construction: counts what does not fit any more.
struct Text {
    char* bytes;
    u32 size;
    i64 length = 0;

    void append(char c) noexcept {
        if (length < size) bytes[length] = c;
        ++length;
    }
    void append(char c, i64 times) noexcept {
        for (; times > 0; --times) append(c);
    }
};

enum class Kind : u8 {
    number,    ///< d i u x X c p
    string,    ///< s ks
    no_string, ///< us: of a user who is not there
    symbol,    ///< ps pS pB
    address,   ///< pi4 pI4 pi6 pI6
};

struct Conversion {
    bool left = false, zero = false, plus = false, space = false;
    u32 width = 0;
    u32 longs = 0;
    char letter = 0;
    Kind kind = Kind::number;
    bool punctuated = false; ///< addresses: with dots or colons, without leading zeros in IPv4
    bool ipv6 = false;
};

bool printable(char c) noexcept { return (c >= ' ' && c <= '~') || (c >= '\t' && c <= '\r'); }
bool alphanumeric(char c) noexcept {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// What follows a %p; moves on behind it. False if Linux has none like it.
bool parse_pointer(std::string_view format, std::size_t& at, Conversion& conversion) noexcept {
    const auto peek = [&](std::size_t ahead = 0) {
        return at + ahead < format.size() ? format[at + ahead] : '\0';
    };
    if (!alphanumeric(peek())) return true;
    if ((peek() == 'k' || peek() == 'u') && peek(1) == 's') {
        conversion.kind = peek() == 'k' ? Kind::string : Kind::no_string;
        at += 2;
        return true;
    }
    if ((peek() == 'i' || peek() == 'I') && (peek(1) == '4' || peek(1) == '6')) {
        conversion.kind = Kind::address;
        conversion.punctuated = peek() == 'I';
        conversion.ipv6 = peek(1) == '6';
        conversion.width = 0; // has no meaning to Linux here
        at += 2;
        return true;
    }
    if (std::string_view("KxsSB").find(peek()) == std::string_view::npos) return false;
    if (peek() != 'K' && peek() != 'x') conversion.kind = Kind::symbol;
    if (peek() == 'B') conversion.width = 0;
    ++at;
    return true;
}

/// Reads the conversion behind a '%' and moves on behind it; false if Linux has none like it.
bool parse(std::string_view format, std::size_t& at, Conversion& conversion) noexcept {
    constexpr u32 max_width = 1024; // more than a line of Linux's holds
    const auto peek = [&] { return at < format.size() ? format[at] : '\0'; };
    for (;; ++at) {
        if (peek() == '0')
            conversion.zero = true;
        else if (peek() == '+')
            conversion.plus = true;
        else if (peek() == '-')
            conversion.left = true;
        else if (peek() == ' ')
            conversion.space = true;
        else
            break;
    }
    for (; peek() >= '0' && peek() <= '9'; ++at)
        conversion.width = std::min(conversion.width * 10 + static_cast<u32>(peek() - '0'), max_width);
    const std::size_t letters = at;
    while (peek() == 'l' && conversion.longs < 2) ++conversion.longs, ++at;
    conversion.letter = peek();
    ++at;
    const bool plain = letters + 1 == at;
    switch (conversion.letter) {
    case 'c': return plain;
    case 's': conversion.kind = Kind::string; return plain;
    case 'p': return plain && parse_pointer(format, at, conversion);
    default: return std::string_view("diuxX").find(conversion.letter) != std::string_view::npos;
    }
}

void print_number(Text& text, const Conversion& conversion, u64 argument) noexcept {
    std::array<char, 24> digits;
    u32 count = 0;
    char sign = 0;
    bool zero = conversion.zero && !conversion.left;
    u32 width = conversion.width;
    const bool is_signed = conversion.letter == 'd' || conversion.letter == 'i';
    if (conversion.letter == 'c') {
        digits[count++] = static_cast<char>(argument);
        zero = false;
    } else {
        u64 value = argument;
        if (conversion.letter == 'p') {
            zero = true;
            width = std::max(width, 16U);
        } else if (conversion.longs == 0)
            value =
                is_signed ? static_cast<u64>(i64{static_cast<i32>(argument)}) : static_cast<u32>(argument);
        if (is_signed) {
            sign = conversion.plus ? '+' : conversion.space ? ' ' : '\0';
            if (static_cast<i64>(value) < 0) {
                sign = '-';
                value = -value;
            }
        }
        const bool hex = conversion.letter == 'p' || (conversion.letter | 32) == 'x';
        const char* alphabet = conversion.letter == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
        const u64 base = hex ? 16 : 10;
        do digits[count++] = alphabet[value % base];
        while ((value /= base) != 0);
    }
    const i64 padding = i64{width} - count - (sign ? 1 : 0);
    if (!conversion.left && !zero) text.append(' ', padding);
    if (sign) text.append(sign);
    if (zero) text.append('0', padding);
    while (count != 0) text.append(digits[--count]);
    if (conversion.left && !zero) text.append(' ', padding);
}

void print_text(Text& text, const Conversion& conversion, std::string_view word) noexcept {
    const i64 padding = i64{conversion.width} - static_cast<i64>(word.size());
    if (!conversion.left) text.append(' ', padding);
    for (const char c : word) text.append(c);
    if (conversion.left) text.append(' ', padding);
}

void print_string(Text& text, const Conversion& conversion, u64 from) noexcept {
    std::array<char, 512> word; // as much as Linux copies
    i64 length = 0;
    if (conversion.kind == Kind::string) length = safe_read_string(word.data(), from, word.size()) - 1;
    print_text(text, conversion, {word.data(), static_cast<std::size_t>(std::max<i64>(length, 0))});
}

void print_symbol(Text& text, const Conversion& conversion, u64 address) noexcept {
    std::array<char, 18> word;
    Text digits{word.data(), word.size()};
    digits.append('0');
    digits.append('x');
    Conversion hex;
    hex.letter = 'x';
    hex.longs = 1;
    print_number(digits, hex, address);
    print_text(text, conversion, {word.data(), static_cast<std::size_t>(digits.length)});
}

/// IPv4 with three digits a part if not punctuated; IPv6 in full, RFC 4291's "::" is not used.
void print_address(Text& text, const Conversion& conversion, u64 from) noexcept {
    std::array<u8, 16> address{};
    const u32 size = conversion.ipv6 ? 16 : 4;
    if (!safe_read(address.data(), from, size)) address.fill(0);
    std::array<char, 40> word;
    Text out{word.data(), word.size()};
    Conversion part;
    part.zero = conversion.ipv6 || !conversion.punctuated;
    part.width = conversion.ipv6 ? 2 : part.zero ? 3 : 0;
    part.letter = conversion.ipv6 ? 'x' : 'u';
    for (u32 i = 0; i < size; ++i) {
        if (i != 0 && !conversion.ipv6) out.append('.');
        if (i != 0 && i % 2 == 0 && conversion.ipv6 && conversion.punctuated) out.append(':');
        print_number(out, part, address[i]);
    }
    print_text(text, conversion, {word.data(), static_cast<std::size_t>(out.length)});
}

void print(Text& text, const Conversion& conversion, u64 argument) noexcept {
    switch (conversion.kind) {
    case Kind::number: print_number(text, conversion, argument); return;
    case Kind::string:
    case Kind::no_string: print_string(text, conversion, argument); return;
    case Kind::symbol: print_symbol(text, conversion, argument); return;
    case Kind::address: print_address(text, conversion, argument); return;
    }
}

} // namespace

i64 format_text(std::string_view format, std::span<const u64> arguments, char* bytes, u32 size) noexcept {
    Text text{bytes, size};
    u32 used = 0;
    for (std::size_t at = 0; at < format.size();) {
        const char c = format[at++];
        if (!printable(c)) return -EINVAL;
        if (c != '%') {
            text.append(c);
            continue;
        }
        if (at < format.size() && format[at] == '%') {
            text.append('%');
            ++at;
            continue;
        }
        Conversion conversion;
        if (used == arguments.size() || !parse(format, at, conversion)) return -EINVAL;
        print(text, conversion, arguments[used++]);
    }
    return text.length;
}

} // namespace xdplane
