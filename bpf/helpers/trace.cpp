// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <linux/bpf.h>

#include "bpf/helpers/clock.h"
#include "bpf/helpers/format.h"
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

u64 error(int code) noexcept { return static_cast<u64>(-i64{code}); }

/// The format that ends within `room` bytes; data() is null if none does.
std::string_view format_at(u64 address, u64 room) noexcept {
    const auto* bytes = reinterpret_cast<const char*>(address);
    const std::size_t length = ::strnlen(bytes, static_cast<u32>(room));
    return length == static_cast<u32>(room) ? std::string_view() : std::string_view(bytes, length);
}

constexpr u32 kMostArguments = 12;

/// The arguments that vprintk and snprintf pass in memory; false if there cannot be such.
bool arguments_at(u64 address, u64 bytes, std::array<u64, kMostArguments>& arguments) noexcept {
    const u32 size = static_cast<u32>(bytes);
    if (size % sizeof(u64) != 0 || size > sizeof arguments || (size != 0 && address == 0)) return false;
    if (size != 0) std::memcpy(arguments.data(), reinterpret_cast<const void*>(address), size);
    return true;
}

u64 write_line(std::string_view format, std::span<const u64> arguments) noexcept {
    std::array<char, TraceLog::kText> text;
    const i64 written = format_text(format, arguments, text.data(), TraceLog::kText);
    if (written >= 0)
        TraceLog::instance().write(
            {text.data(), std::min<std::size_t>(static_cast<u64>(written), text.size())},
            run_clock_ns(CLOCK_MONOTONIC), t_run.cpu);
    return static_cast<u64>(written);
}

u64 trace_printk(u64 format, u64 size, u64 a, u64 b, u64 c) noexcept {
    const std::string_view text = format_at(format, size);
    return text.data() == nullptr ? error(EINVAL) : write_line(text, std::array{a, b, c});
}

u64 trace_vprintk(u64 format, u64 size, u64 data, u64 data_size, u64) noexcept {
    std::array<u64, kMostArguments> arguments;
    const std::string_view text = format_at(format, size);
    if (text.data() == nullptr || !arguments_at(data, data_size, arguments)) return error(EINVAL);
    return write_line(text, std::span(arguments).first(static_cast<u32>(data_size) / sizeof(u64)));
}

/// The verifier has checked that the format ends.
u64 snprintf(u64 to, u64 size, u64 format, u64 data, u64 data_size) noexcept {
    std::array<u64, kMostArguments> arguments;
    if (!arguments_at(data, data_size, arguments)) return error(EINVAL);
    auto* const text = reinterpret_cast<char*>(to);
    const u32 room = static_cast<u32>(size);
    const i64 length =
        format_text(reinterpret_cast<const char*>(format),
                    std::span(arguments).first(static_cast<u32>(data_size) / sizeof(u64)), text, room);
    if (length < 0) return static_cast<u64>(length);
    if (room != 0) text[std::min<i64>(length, i64{room} - 1)] = 0;
    return static_cast<u64>(length) + 1;
}

/// There is no BTF of a kernel whose types could be printed.
u64 snprintf_btf(u64, u64, u64, u64, u64) noexcept { return error(EINVAL); }

constexpr HelperProto trace_row(u32 id, const char* name, HelperFn fn, std::array<Arg, 5> args) {
    return {.id = id,
            .name = name,
            .fn = fn,
            .ret = Ret::integer,
            .args = args,
            .gpl_only = true,
            .reads_clock = true,
            .needs_context = true,
            .unprivileged = false};
}

} // namespace

// As on Linux: what the format does not name need not be passed.
const HelperProto kHelperTracePrintk =
    trace_row(BPF_FUNC_trace_printk, "trace_printk", trace_printk, {Arg::mem, Arg::size});
const HelperProto kHelperTraceVprintk = trace_row(BPF_FUNC_trace_vprintk, "trace_vprintk", trace_vprintk,
                                                  {Arg::mem, Arg::size, Arg::mem_or_null, Arg::size_or_zero});
const HelperProto kHelperSnprintf = {.id = BPF_FUNC_snprintf,
                                     .name = "snprintf",
                                     .fn = snprintf,
                                     .ret = Ret::integer,
                                     .args = {Arg::inout_mem_or_null, Arg::size_or_zero, Arg::const_string,
                                              Arg::mem_or_null, Arg::size_or_zero},
                                     .use = kUsePacket,
                                     .gpl_only = true,
                                     .unprivileged = false};
const HelperProto kHelperSnprintfBtf = {
    .id = BPF_FUNC_snprintf_btf,
    .name = "snprintf_btf",
    .fn = snprintf_btf,
    .ret = Ret::integer,
    .args = {Arg::inout_mem, Arg::size, Arg::mem, Arg::size, Arg::anything},
    .use = kUsePacket,
    .unprivileged = false};

} // namespace xdplane
