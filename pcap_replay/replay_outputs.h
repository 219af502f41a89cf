// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <optional>

#include "pcap_replay/capture_writer.h"
#include "pcap_replay/replay.h"

/// Inside of replay: where packets go.
namespace xdplane {

/// A packet that has been judged.
struct JudgedPacket {
    const u8* data; ///< as the chain left it
    u32 length;     ///< of data
    u32 captured;   ///< bytes before the chain
    u32 wire_len;   ///< before the chain
    u32 value;      ///< return value of the last stage that ran
    u64 timestamp_ns;
    const u8* record; ///< if the chain does not write: CapturedPacket::record
    u32 crc;          ///< of data, where wants_lines()
    u8 verdict;
};

/// What the outputs get of a packet that the chain has judged; without crc. `data` is where the chain left
/// it.
[[nodiscard]] inline JudgedPacket judged_packet(const XdpBuff& packet, u32 captured, u8 verdict) noexcept {
    return {.data = packet.data,
            .length = packet.length(),
            .captured = captured,
            .wire_len = packet.wire_len,
            .value = packet.verdict,
            .timestamp_ns = packet.timestamp_ns,
            .record = static_cast<const u8*>(packet.origin),
            .crc = 0,
            .verdict = verdict};
}

/// Everything a replay writes, in capture order. One thread. Nothing is left behind without finish().
class ReplayOutputs {
public:
    /// The error names the file.
    static Result<ReplayOutputs> open(const ReplayOptions& options, const CaptureWriter::Format& format);

    /// A line per packet, and with it the checksum, is asked for.
    [[nodiscard]] bool wants_lines() const { return per_packet_.has_value(); }
    /// Somebody asked for packets with this verdict: for their bytes, or for the line.
    [[nodiscard]] bool wants(u8 verdict) const { return wants_[verdict]; }
    /// Nothing at all is asked for.
    [[nodiscard]] bool idle() const { return writers_.empty() && !per_packet_; }

    /// The next packet. Its bytes must stay until settle().
    void write(u64 index, const JudgedPacket& packet) {
        if (per_packet_) write_line(index, packet);
        if (by_verdict_[packet.verdict] >= 0) write_packet(packet);
    }
    /// Takes the bytes of everything written so far.
    void settle() {
        for (CaptureWriter& writer : writers_) writer.settle();
    }
    /// Some output cannot be written: finish() says which and why.
    [[nodiscard]] bool failed() const;
    /// All outputs get their names, or, if one cannot be completed, none does.
    Result<> finish();

private:
    ReplayOutputs() = default;
    void write_line(u64 index, const JudgedPacket& packet);
    void write_packet(const JudgedPacket& packet);

    std::vector<CaptureWriter> writers_;
    std::array<bool, kVerdicts> wants_{};
    std::array<int, kVerdicts> by_verdict_{-1, -1, -1, -1, -1}; ///< index into writers_
    std::optional<OutputFile> per_packet_;
};

} // namespace xdplane
