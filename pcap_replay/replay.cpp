// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "pcap_replay/replay.h"

#include <algorithm>
#include <cerrno>
#include <deque>

#include "pcap_replay/one_core.h"
#include "pcap_replay/several_cores.h"

namespace xdplane {
namespace {

bool has_xdp(const Chain& chain) {
    return std::any_of(chain.stages().begin(), chain.stages().end(),
                       [](const Stage& stage) { return stage.kind == StageKind::xdp; });
}

ReplaySummary summarize(const Chain& chain, const std::deque<ChainStats>& workers) {
    ReplaySummary summary;
    for (const Stage& stage : chain.stages()) summary.stages.push_back({.name = stage.name});
    for (const ChainStats& stats : workers) {
        summary.packets += stats.total.packets.get();
        summary.bytes += stats.bytes.get();
        for (u32 v = 0; v < kVerdicts; ++v) summary.verdicts[v] += stats.total.verdicts[v].get();
        for (std::size_t s = 0; s < summary.stages.size(); ++s) {
            summary.stages[s].packets += stats.stages[s].packets.get();
            for (u32 v = 0; v < kVerdicts; ++v)
                summary.stages[s].verdicts[v] += stats.stages[s].verdicts[v].get();
        }
    }
    return summary;
}

} // namespace

Result<std::vector<ReplayInput>> open_inputs(const std::vector<std::string>& paths, const MapPolicy& policy) {
    std::vector<ReplayInput> inputs;
    for (const std::string& path : paths) {
        auto reader = CaptureReader::open(path, policy);
        if (!reader) return fail(reader.error(), path);
        inputs.push_back({path, std::move(*reader)});
    }
    return inputs;
}

Result<ReplaySummary> replay(const Chain& chain, std::vector<ReplayInput>& inputs,
                             const ReplayOptions& options) {
    if (inputs.empty()) return fail(EINVAL, "no capture to replay");
    if (options.workers == 0 || options.workers > num_possible_cpus())
        return fail(EINVAL, "{} workers: 1 to {} (the processors of this machine) are possible",
                    options.workers, num_possible_cpus());
    Source source(inputs, options, has_xdp(chain));
    if (auto checked = source.check(); !checked) return fail(checked.error());
    auto outputs = ReplayOutputs::open(options, source.format());
    if (!outputs) return fail(outputs.error());

    std::deque<ChainStats> stats;
    for (u32 number = 0; number < options.workers; ++number) stats.emplace_back(chain.stages().size());
    Reporter reporter(options, source);
    if (options.workers == 1)
        replay_on_one_core(chain, source, *outputs, reporter, options, stats[0]);
    else
        replay_on_several_cores(chain, source, *outputs, reporter, options, stats);
    if (auto finished = outputs->finish(); !finished) return fail(finished.error());

    ReplaySummary summary = summarize(chain, stats);
    summary.seconds = reporter.seconds();
    summary.interrupted = source.interrupted();
    summary.damage = source.damage();
    // Bytes may be gone after the reader has given them away.
    for (const ReplayInput& input : inputs)
        if (!summary.damage && input.reader->cut())
            summary.damage =
                Error{EINVAL, fmt::format("{}: the file became shorter while it was read", input.path)};
    return summary;
}

} // namespace xdplane
