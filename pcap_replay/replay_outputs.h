// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <optional>

#include "pcap_replay/capture_writer.h"
#include "pcap_replay/replay.h"
#include "pcap_replay/slab.h"

namespace xdplane {

/// Everything a replay writes, in capture order. One thread. Nothing is left behind without finish().
class ReplayOutputs {
public:
    /// The error names the file.
    static Result<ReplayOutputs> open(const ReplayOptions& options, const CaptureWriter::Format& format);

    void write(const Slab& slab);
    [[nodiscard]] Wanted wanted() const;
    /// Some output cannot be written: finish() says which and why.
    [[nodiscard]] bool failed() const;
    /// All outputs get their names, or, if one cannot be completed, none does.
    Result<> finish();

private:
    ReplayOutputs() = default;
    void write_line(u64 index, const SlabItem& item);

    std::vector<CaptureWriter> writers_;
    std::array<int, kVerdicts> by_verdict_{-1, -1, -1, -1, -1}; ///< index into writers_
    std::optional<OutputFile> per_packet_;
};

} // namespace xdplane
