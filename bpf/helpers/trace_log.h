// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <array>
#include <atomic>
#include <functional>
#include <string_view>

#include "bpf/base/types.h"

namespace xdplane {

/// Where bpf_trace_printk() writes: a ring of records in memory, emptied by whoever prints them. Programs
/// never wait: while the ring is full, lines are lost and counted.
class TraceLog {
public:
    static constexpr u32 kRecords = 1024;
    static constexpr u32 kText = 224; ///< longer lines are cut

    struct Line {
        u64 time_ns; ///< of the run's clock
        u32 cpu;
        std::string_view text; ///< without a newline at the end
    };

    /// Data path, any thread: lock-free.
    void write(std::string_view text, u64 time_ns, u32 cpu) noexcept;

    /// Hands every line written so far to `sink`, in order, and returns how many. Control side, one thread at
    /// a time.
    u32 drain(const std::function<void(const Line&)>& sink);
    /// Lines lost to a full ring since the process started. Any thread.
    [[nodiscard]] u64 lost() const { return lost_.load(std::memory_order_relaxed); }

    /// The process has one.
    static TraceLog& instance();

private:
    /// Vyukov's bounded queue: `turn` says whose turn a record is. Equal to a position: free for the writer
    /// that takes it; one more: ready for the reader.
    struct alignas(kCacheLine) Record {
        std::atomic<u64>
            turn; ///< written by writers and the reader alternately; less by `index` than its value
        u64 time_ns;
        u32 cpu;
        u32 length;
        std::array<char, kText> text;
    };

    [[nodiscard]] Record& at(u64 position) { return records_[position % kRecords]; }
    /// Zeroed memory is an empty ring: turns are kept relative to the record's index.
    [[nodiscard]] static u64 turn_of(u64 position) { return position - position % kRecords; }

    alignas(kCacheLine) std::atomic<u64> head_{0}; ///< next position to write; taken by writers
    alignas(kCacheLine) u64 tail_ = 0;             ///< next position to read; the reader's
    std::atomic<u64> lost_{0};                     ///< counted by writers
    std::array<Record, kRecords> records_{};
};

} // namespace xdplane
