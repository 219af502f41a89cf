// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <array>
#include <functional>
#include <span>
#include <string_view>

#include "perf/bench/traffic.h"

namespace xdplane::bench {

/// What a map is filled with. Keys and values are in the layout of the program; the value is of the size the
/// map has.
using PutEntry = std::function<void(const void* key, const void* value)>;
struct MapContents {
    const char* map = nullptr;
    /// Calls `put` for the first `most` of `count` entries.
    void (*fill)(u32 count, u32 most, const PutEntry& put) = nullptr;
    bool compared = false; ///< engines must leave the same values behind
    /// Calls `put` for one entry; for cases with updates.
    void (*one)(u32 index, const PutEntry& put) = nullptr;
};

/// What is measured.
enum class Work : u8 {
    packets, ///< a program on packets in memory
    replay,  ///< a capture file, filtered by a tcpdump expression
};

/// One row of the table: a program, and packets for it.
struct Case {
    std::string_view name;
    std::string_view about;
    std::string_view program; ///< the embedded object
    Traffic traffic = Traffic::mix;
    FrameSize size = FrameSize::least;
    u32 count = 0;                         ///< of flows or prefixes, in packets and map
    u32 packets = 1U << 16;                ///< different ones
    std::array<MapContents, 4> contents{}; ///< the first one has `count` entries
    bool sized = false;                    ///< max_entries of the first map is `count`
    bool writes = false;                   ///< the program changes packets: their bytes are compared
    std::string_view entry = "bench";      ///< the program's name; empty: the only one
    u32 updates = 0;                       ///< a second, of the first map, by a control thread
    Work work = Work::packets;
    bool standard = true; ///< part of what is measured when nothing is chosen
};

/// Names are unique; the order is that of the report.
[[nodiscard]] std::span<const Case> case_table();

} // namespace xdplane::bench
