// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <algorithm>
#include <cstdlib>
#include <sys/mman.h>
#include <vector>

#include "bpf/run/packet.h"

namespace xdplane::fuzz {

/// A packet between two pages that nobody may touch, flush with one of them: JIT-compiled code that leaves
/// the packet there is caught without a sanitizer's help.
class GuardedFrame {
public:
    enum class Flush : u8 {
        end,   ///< data_end and frame_end; headroom in front
        start, ///< data and hard_start; tailroom behind
    };

    GuardedFrame() {
        base_ =
            static_cast<u8*>(::mmap(nullptr, kPages * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        if (base_ == MAP_FAILED || ::mprotect(begin(), kBytes, PROT_READ | PROT_WRITE) != 0) std::abort();
    }
    ~GuardedFrame() { ::munmap(base_, kPages * kPage); }
    GuardedFrame(const GuardedFrame&) = delete;
    GuardedFrame& operator=(const GuardedFrame&) = delete;

    /// Longest packet that fits with room on the other side.
    static constexpr std::size_t kLongest = 4096;

    void fill(std::span<const u8> packet, Flush flush, XdpBuff& buff) {
        std::fill_n(begin(), kBytes, kUntouched);
        buff = {};
        if (flush == Flush::end) {
            buff.data_end = buff.frame_end = begin() + kBytes;
            buff.data = buff.data_end - packet.size();
            buff.hard_start = buff.data - kHeadroom;
        } else {
            buff.data = buff.hard_start = begin();
            buff.data_end = buff.data + packet.size();
            buff.frame_end = buff.data_end + kFrameTail;
        }
        buff.data_meta = buff.data;
        std::ranges::copy(packet, buff.data);
        hard_start_ = buff.hard_start;
        frame_end_ = buff.frame_end;
    }
    /// All bytes between the guards, as a program may have left them.
    [[nodiscard]] std::vector<u8> bytes() const { return {begin(), begin() + kBytes}; }
    /// Nothing outside of the frame was written.
    [[nodiscard]] bool intact() const {
        const auto untouched = [](u8 byte) { return byte == kUntouched; };
        return std::all_of(begin(), hard_start_, untouched) &&
               std::all_of(frame_end_, begin() + kBytes, untouched);
    }

private:
    static constexpr std::size_t kPage = 4096;
    static constexpr std::size_t kBytes = 2 * kPage;
    static constexpr std::size_t kPages = 4;
    static constexpr u8 kUntouched = 0xa5;

    [[nodiscard]] u8* begin() const { return base_ + kPage; }

    u8* base_;
    u8* hard_start_ = nullptr;
    u8* frame_end_ = nullptr;
};

} // namespace xdplane::fuzz
