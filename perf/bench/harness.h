// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "perf/bench/engines.h"
#include "perf/bench/load_cost.h"
#include "perf/bench/machine.h"

namespace xdplane::bench {

struct Options {
    std::vector<const Case*> cases;
    std::vector<const Engine*> engines;
    u32 rounds = 7;
    double seconds = 0.15; ///< of measuring for each engine and case, over all rounds
    const UserProgram* user = nullptr;
    const PacketSet* user_packets = nullptr; ///< with `user`
    /// Called before each step: what is done of what there is to do, and what comes.
    std::function<void(double share, std::string_view what)> progress;
    bool load = false;                       ///< measure what loading takes, too
    const std::atomic<bool>* stop = nullptr; ///< set by a signal: the run ends after the current slice
};

/// One engine on one case.
struct Measurement {
    std::string case_name;
    std::string engine;
    std::vector<double> rounds;   ///< ns per packet, one number a round
    std::vector<double> burst_ns; ///< percentiles of kPercentiles; empty if bursts cannot be told apart
    u64 checksum = 0;
    u64 updates = 0; ///< that the control thread of the case made meanwhile
    double updates_ns = 0;

    /// What it got done; nothing if the case has no such thread.
    [[nodiscard]] std::optional<double> updates_per_second() const;
    [[nodiscard]] double ns_per_packet() const; ///< the median of the rounds
    /// What the middle half of the rounds spans, as a share of the median.
    [[nodiscard]] double spread() const;
    /// This one's time as a share of the other's: the median of the ratios of the rounds, as what disturbs
    /// a round disturbs both. Above 1: slower.
    [[nodiscard]] double ratio_to(const Measurement& other) const;
};
inline constexpr double kPercentiles[] = {0.5, 0.9, 0.99, 0.999};

/// An engine that could not do a case, and why.
struct Unavailable {
    std::string case_name;
    std::string engine;
    std::string reason;
};

struct Report {
    Machine machine;
    std::vector<Measurement> results;
    std::vector<Unavailable> unavailable;
    std::vector<std::string> failures; ///< engines that disagree, or broke; a line each
    std::vector<std::string> notes;    ///< what a reader should know of a user's program
    std::vector<LoadCost> load;
    bool interrupted = false;
    double seconds = 0; ///< all of it

    [[nodiscard]] const Measurement* find(std::string_view case_name, std::string_view engine) const;
};

/// Measures every engine on every case. Of each case: engines are made ready, their checksums compared, then
/// they take turns, a slice each, round after round, on the CPU that the calling thread is on.
[[nodiscard]] Report run(const Options& options);

/// A checksum per engine of the first packets of a case; for tests. Engines that cannot do it are left out.
struct Checksum {
    std::string engine;
    Result<u64> value;
};
[[nodiscard]] std::vector<Checksum> checksums(const Case& which, std::span<const Engine> engines,
                                              u32 packets);

} // namespace xdplane::bench
