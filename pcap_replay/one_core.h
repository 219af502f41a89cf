// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "pcap_replay/replay_outputs.h"
#include "pcap_replay/reporter.h"
#include "pcap_replay/source.h"

namespace xdplane {

/// Replay with one worker, on the calling thread: each burst is read, judged and written while its bytes are
/// in the cache, and nothing is done per packet that nobody asked for.
void replay_on_one_core(const Chain& chain, Source& source, ReplayOutputs& outputs, Reporter& reporter,
                        const ReplayOptions& options, ChainStats& stats);

} // namespace xdplane
