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
        settle();
        const u64 seconds = timestamp_ns / 1'000'000'000;
        const u64 rest = timestamp_ns % 1'000'000'000;
        const u32 header[4] = {static_cast<u32>(seconds), static_cast<u32>(nanoseconds_ ? rest : rest / 1000),
                               captured, wire_len};
        file_.put(header, sizeof header);
        file_.put(data, captured);
    }
    /// A record that is what write() would have made. Its bytes must stay until settle(), which takes
    /// neighbours in one piece.
    void write_record(const u8* record, std::size_t size) {
        if (record != run_ + run_size_) {
            settle();
            run_ = record;
        }
        run_size_ += size;
    }
    void settle() {
        if (run_size_ != 0) file_.put(run_, run_size_);
        run_size_ = 0;
    }
    [[nodiscard]] bool failed() const { return file_.failed(); }
    Result<> flush() {
        settle();
        return file_.flush();
    }
    /// Flushes and gives the file its name. The error is without the path. Call once.
    Result<> finish() {
        settle();
        return file_.finish();
    }
    [[nodiscard]] const std::string& path() const { return file_.path(); }

private:
    CaptureWriter(OutputFile file, bool nanoseconds) : file_(std::move(file)), nanoseconds_(nanoseconds) {}

    OutputFile file_;
    bool nanoseconds_;
    const u8* run_ = nullptr; ///< records that lie one behind the other, not yet in the file
    std::size_t run_size_ = 0;
};

} // namespace xdplane
