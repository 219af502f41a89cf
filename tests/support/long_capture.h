// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <cstring>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "bpf/base/types.h"

/// Captures that are longer than any window of a reader, with records of all lengths: made, not stored.
namespace xdplane {

namespace long_capture {

inline void put(std::string& to, std::initializer_list<u32> words) {
    for (const u32 word : words) to.append(reinterpret_cast<const char*>(&word), sizeof word);
}

/// An IPv4 frame between two of a few hosts, or noise; mostly short, at times longer than a window.
inline std::string frame(std::mt19937_64& random) {
    const u64 kind = random() % 64;
    std::string bytes(kind == 0 ? 200'000 + random() % 62'144 : kind < 4 ? 0 : random() % 1500, '\0');
    for (std::size_t i = 0; i + 8 <= bytes.size(); i += 8) {
        const u64 word = random();
        std::memcpy(&bytes[i], &word, sizeof word);
    }
    if (bytes.size() < 34 || kind < 8) return bytes;
    const u8 head[] = {8, 0, 0x45};
    std::memcpy(&bytes[12], head, sizeof head);
    for (int at : {26, 30}) {
        const u32 host = static_cast<u32>(random() % 5);
        std::memcpy(&bytes[static_cast<std::size_t>(at)], &host, sizeof host);
    }
    return bytes;
}

} // namespace long_capture

/// In the host's byte order; `nanoseconds`: the kind with finer stamps.
inline void write_long_pcap(const std::string& path, u32 packets, bool nanoseconds = false) {
    std::mt19937_64 random(packets);
    std::string out;
    long_capture::put(out, {nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4, 0x00040002, 0, 0, 262144, 1});
    for (u32 i = 0; i < packets; ++i) {
        const std::string frame = long_capture::frame(random);
        const auto size = static_cast<u32>(frame.size());
        // Now and then a stamp that no writer would make, and a packet that was longer.
        long_capture::put(out, {1000 + i, i % 16 == 5 ? 3'000'000'000U : i, size, size + i % 3});
        out += frame;
    }
    std::ofstream(path, std::ios::binary) << out;
}

/// pcapng with two interfaces, one of nanoseconds; blocks of other kinds stand in between.
inline void write_long_pcapng(const std::string& path, u32 packets) {
    std::mt19937_64 random(packets);
    std::string out;
    long_capture::put(out, {0x0a0d0d0a, 28, 0x1a2b3c4d, 0x00000001, ~0U, ~0U, 28});
    long_capture::put(out, {1, 20, 1, 0, 20});
    long_capture::put(out, {1, 32, 1, 0, 0x00010009, 9, 0, 32});
    for (u32 i = 0; i < packets; ++i) {
        std::string frame = long_capture::frame(random);
        const auto size = static_cast<u32>(frame.size());
        frame.resize((frame.size() + 3) & ~std::size_t{3});
        const auto length = static_cast<u32>(32 + frame.size());
        if (i % 50 == 7) long_capture::put(out, {0x0bad, 16, i, 16});
        long_capture::put(out, {6, length, i % 2, 0x00050000 + i, i * 77, size, size + i % 3});
        out += frame;
        long_capture::put(out, {length});
    }
    std::ofstream(path, std::ios::binary) << out;
}

} // namespace xdplane
