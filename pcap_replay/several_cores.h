// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <deque>

#include "pcap_replay/replay_outputs.h"
#include "pcap_replay/reporter.h"
#include "pcap_replay/source.h"

namespace xdplane {

/// Replay with several workers; the calling thread reads and writes. A pair of hosts stays on one worker, or,
/// where no program can tell (Chain::stateless()), whole slabs do. `stats` has an element per worker.
void replay_on_several_cores(const Chain& chain, Source& source, ReplayOutputs& outputs, Reporter& reporter,
                             const ReplayOptions& options, std::deque<ChainStats>& stats);

} // namespace xdplane
