// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/chain.h"
#include "dataplane/run_scope.h"
#include "pcap_replay/capture_reader.h"

/// Replay: the packets of captures through a chain, on one or more workers, with outputs in the captures'
/// order. Two runs give the same verdicts, bytes and maps: the programs' clock is the captures', random
/// numbers come from the seed, and both directions between two hosts stay on one worker, in order.
namespace xdplane {

/// A capture that is open.
struct ReplayInput {
    std::string path;
    std::unique_ptr<CaptureReader> reader;
};
/// Opens all of them; the error names the file.
[[nodiscard]] Result<std::vector<ReplayInput>> open_inputs(const std::vector<std::string>& paths,
                                                           const MapPolicy& policy = {});

struct ReplayProgress {
    u64 packets = 0;
    u64 bytes_read = 0;  ///< of the files
    u64 bytes_total = 0; ///< 0: not known (a pipe)
    double seconds = 0;
};

struct ReplayOptions {
    /// Captures by final verdict; empty: not written. Aborted packets go with the dropped ones.
    std::string passed;
    std::string dropped;
    std::string tx;
    std::string redirected;
    /// A line per packet: index, return value of the last stage that ran, length and CRC-32C afterwards.
    std::string per_packet;

    u32 workers = 1; ///< 1..num_possible_cpus(); worker w runs with t_run.cpu = w
    /// How often the inputs are read, one after another. Each round's stamps lie behind those of the round
    /// before, by the captures' span and one microsecond.
    u64 loops = 1;
    Clock clock = Clock::capture;
    u64 seed = 0;

    const std::atomic<bool>* stop = nullptr; ///< set by a signal handler: finish early, but cleanly
    /// Called about ten times a second by the thread that called replay(); may be empty.
    std::function<void(const ReplayProgress&)> progress;
};

struct StageSummary {
    std::string name;
    u64 packets = 0;
    std::array<u64, kVerdicts> verdicts{};
};

struct ReplaySummary {
    u64 packets = 0;
    u64 bytes = 0; ///< as captured, before the programs
    double seconds = 0;
    std::array<u64, kVerdicts> verdicts{}; ///< final ones, indexed by Verdict
    std::vector<StageSummary> stages;
    bool interrupted = false;
    /// A capture that ends in damage: all whole packets in front of it were replayed and written.
    std::optional<Error> damage;
};

/// Replays. The inputs are used up. Fails before the first packet where XDP stages meet a link type other
/// than Ethernet; fails, leaving no output, where an output cannot be written. Errors name the file.
[[nodiscard]] Result<ReplaySummary> replay(const Chain& chain, std::vector<ReplayInput>& inputs,
                                           const ReplayOptions& options);

} // namespace xdplane
