// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "pcap_replay/output_file.h"

namespace xdplane {

/// Writes a pcap file in the host's byte order, with micro- or nanosecond stamps, as an OutputFile does:
/// whole or not at all. One thread.
class CaptureWriter {
public:
    struct Format {
        u32 link_type = 1;
        bool nanoseconds = false;
    };
    /// Errors are without the path.
    static Result<CaptureWriter> open(const std::string& path, const Format& format);

    /// Stamps are cut to the file's precision; seconds wrap after 2106, as the format has 32 bits for them.
    void write(const u8* data, u32 captured, u32 wire_len, u64 timestamp_ns) {
        const u64 seconds = timestamp_ns / 1'000'000'000;
        const u64 rest = timestamp_ns % 1'000'000'000;
        const u32 header[4] = {static_cast<u32>(seconds), static_cast<u32>(nanoseconds_ ? rest : rest / 1000),
                               captured, wire_len};
        file_.put(header, sizeof header);
        file_.put(data, captured);
        ++packets_;
    }
    [[nodiscard]] bool failed() const { return file_.failed(); }
    Result<> flush() { return file_.flush(); }
    /// Flushes and gives the file its name. The error is without the path. Call once.
    Result<> finish() { return file_.finish(); }
    [[nodiscard]] u64 packets() const { return packets_; }
    [[nodiscard]] const std::string& path() const { return file_.path(); }

private:
    CaptureWriter(OutputFile file, bool nanoseconds) : file_(std::move(file)), nanoseconds_(nanoseconds) {}

    OutputFile file_;
    bool nanoseconds_;
    u64 packets_ = 0;
};

} // namespace xdplane
