// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <string>

#include "perf/bench/traffic.h"

namespace xdplane::bench {

/// A pcap file that anyone may read, in the directory for temporary files; gone with the object.
class TemporaryCapture {
public:
    /// All packets of the set, again and again until the file has that many bytes.
    static Result<TemporaryCapture> make(const PacketSet& packets, u64 bytes);
    TemporaryCapture() = default;
    ~TemporaryCapture();
    TemporaryCapture(TemporaryCapture&& other) noexcept { swap(other); }
    TemporaryCapture& operator=(TemporaryCapture&& other) noexcept {
        swap(other);
        return *this;
    }

    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] u64 packets() const { return packets_; }

private:
    void swap(TemporaryCapture& other) noexcept {
        path_.swap(other.path_);
        std::swap(packets_, other.packets_);
    }

    std::string path_;
    u64 packets_ = 0;
};

} // namespace xdplane::bench
