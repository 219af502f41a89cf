// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <string>

#include "pcap_replay/replay.h"

namespace xdplane::cli {

/// What a replay ends with, for people: packets, bytes and verdicts, per stage and in all.
[[nodiscard]] std::string summary_table(const ReplaySummary& summary);
/// The same as one line of JSON: {packets, bytes, seconds, mpps, verdicts{...}, stages[...]}.
[[nodiscard]] std::string summary_json(const ReplaySummary& summary);

/// A progress bar on stderr, redrawn in place; gone when the object goes.
class ProgressBar {
public:
    ~ProgressBar() { clear(); }
    void show(const ReplayProgress& progress);
    void clear();

private:
    bool shown_ = false;
};

} // namespace xdplane::cli
