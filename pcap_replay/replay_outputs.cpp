// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "pcap_replay/replay_outputs.h"

#include <algorithm>
#include <fmt/compile.h>

namespace xdplane {

Result<ReplayOutputs> ReplayOutputs::open(const ReplayOptions& options, const CaptureWriter::Format& format) {
    ReplayOutputs outputs;
    struct Row {
        const std::string& path;
        std::vector<Verdict> verdicts;
    };
    const Row rows[] = {
        {options.passed, {kPass}},
        {options.dropped, {kDrop, kAborted}},
        {options.tx, {kTx}},
        {options.redirected, {kRedirect}},
    };
    for (const Row& row : rows) {
        if (row.path.empty()) continue;
        auto writer = CaptureWriter::open(row.path, format);
        if (!writer) return fail(writer.error(), row.path);
        for (const Verdict verdict : row.verdicts)
            outputs.by_verdict_[verdict] = static_cast<int>(outputs.writers_.size());
        outputs.writers_.push_back(std::move(*writer));
    }
    if (!options.per_packet.empty()) {
        auto file = OutputFile::open(options.per_packet);
        if (!file) return fail(file.error(), options.per_packet);
        outputs.per_packet_.emplace(std::move(*file));
    }
    for (u32 v = 0; v < kVerdicts; ++v)
        outputs.wants_[v] = outputs.wants_lines() || outputs.by_verdict_[v] >= 0;
    return outputs;
}

void ReplayOutputs::write_line(u64 index, const JudgedPacket& packet) {
    char line[64];
    const char* end = fmt::format_to(line, FMT_COMPILE("{}\t{}\t{}\t{:08x}\n"), index, packet.value,
                                     packet.length, packet.crc);
    per_packet_->put(line, static_cast<std::size_t>(end - line));
}

void ReplayOutputs::write_packet(const JudgedPacket& packet) {
    CaptureWriter& writer = writers_[static_cast<std::size_t>(by_verdict_[packet.verdict])];
    if (packet.record != nullptr)
        return writer.write_record(packet.record, CapturedPacket::kRecordHeader + packet.length);
    // A program that makes a packet longer or shorter changes its length on the wire by as much, also where
    // the capture holds only the packet's beginning.
    u32 wire_len = packet.wire_len;
    if (packet.length != packet.captured)
        wire_len = static_cast<u32>(
            std::max(i64{packet.wire_len} + packet.length - packet.captured, i64{packet.length}));
    writer.write(packet.data, packet.length, wire_len, packet.timestamp_ns);
}

bool ReplayOutputs::failed() const {
    for (const CaptureWriter& writer : writers_)
        if (writer.failed()) return true;
    return per_packet_ && per_packet_->failed();
}

Result<> ReplayOutputs::finish() {
    for (CaptureWriter& writer : writers_)
        if (auto flushed = writer.flush(); !flushed) return fail(flushed.error(), writer.path());
    if (per_packet_)
        if (auto flushed = per_packet_->flush(); !flushed) return fail(flushed.error(), per_packet_->path());
    for (CaptureWriter& writer : writers_)
        if (auto finished = writer.finish(); !finished) return fail(finished.error(), writer.path());
    if (per_packet_)
        if (auto finished = per_packet_->finish(); !finished)
            return fail(finished.error(), per_packet_->path());
    return {};
}

} // namespace xdplane
