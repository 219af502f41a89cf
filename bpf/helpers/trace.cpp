// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <linux/bpf.h>

#include "bpf/helpers/clock.h"
#include "bpf/helpers/rows.h"
#include "bpf/helpers/trace_log.h"
#include "bpf/run/run_context.h"

namespace xdplane {

TraceLog& TraceLog::instance() {
    static constinit TraceLog log;
    return log;
}

void TraceLog::write(std::string_view text, u64 time_ns, u32 cpu) noexcept {
    u64 position = head_.load(std::memory_order_relaxed);
    while (true) {
        const u64 turn = at(position).turn.load(std::memory_order_acquire);
        if (turn < turn_of(position)) { // not read yet since the last time round
            lost_.fetch_add(1, std::memory_order_relaxed);
            return;
        }
        if (turn > turn_of(position))
            position = head_.load(std::memory_order_relaxed);
        else if (head_.compare_exchange_weak(position, position + 1, std::memory_order_relaxed))
            break;
    }
    Record& record = at(position);
    record.time_ns = time_ns;
    record.cpu = cpu;
    record.length = static_cast<u32>(std::min<std::size_t>(text.size(), kText));
    std::memcpy(record.text.data(), text.data(), record.length);
    record.turn.store(turn_of(position) + 1, std::memory_order_release);
}

u32 TraceLog::drain(const std::function<void(const Line&)>& sink) {
    u32 lines = 0;
    for (; at(tail_).turn.load(std::memory_order_acquire) == turn_of(tail_) + 1; ++lines) {
        Record& record = at(tail_);
        std::string_view text(record.text.data(), record.length);
        while (text.ends_with('\n')) text.remove_suffix(1);
        sink({record.time_ns, record.cpu, text});
        record.turn.store(turn_of(tail_) + kRecords, std::memory_order_release);
        ++tail_;
    }
    return lines;
}

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

struct Conversion {
    bool left = false, zero = false, plus = false, space = false;
    u32 width = 0;
    u32 longs = 0;
    char letter = 0;
};

bool printable(char c) noexcept { return (c >= ' ' && c <= '~') || (c >= '\t' && c <= '\r'); }
bool alphanumeric(char c) noexcept {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
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
    if (conversion.letter == 'c') return letters + 1 == at;
    // %pI4 and its like would read memory.
    if (conversion.letter == 'p') return letters + 1 == at && !alphanumeric(peek());
    return std::string_view("diuxX").find(conversion.letter) != std::string_view::npos;
}

void print(Text& text, const Conversion& conversion, u64 argument) noexcept {
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

u64 trace_printk(u64 format, u64 size, u64 a, u64 b, u64 c) noexcept {
    const char* bytes = reinterpret_cast<const char*>(format);
    const std::size_t room = static_cast<u32>(size);
    const std::size_t length = ::strnlen(bytes, room);
    if (length == room) return static_cast<u64>(i64{-EINVAL});
    std::array<char, TraceLog::kText> text;
    const i64 written = format_trace({bytes, length}, {a, b, c}, text.data(), TraceLog::kText);
    if (written >= 0)
        TraceLog::instance().write(
            {text.data(), std::min<std::size_t>(static_cast<u64>(written), text.size())},
            run_clock_ns(CLOCK_MONOTONIC), t_run.cpu);
    return static_cast<u64>(written);
}

} // namespace

i64 format_trace(std::string_view format, const std::array<u64, 3>& arguments, char* bytes,
                 u32 size) noexcept {
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

const HelperProto kHelperTracePrintk = {.id = BPF_FUNC_trace_printk,
                                        .name = "trace_printk",
                                        .fn = trace_printk,
                                        .ret = Ret::integer,
                                        // As on Linux: what the format does not name need not be passed.
                                        .args = {Arg::mem, Arg::size, Arg::none, Arg::none, Arg::none},
                                        .gpl_only = true,
                                        .reads_clock = true,
                                        .needs_context = true};

} // namespace xdplane
