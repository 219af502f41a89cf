// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/chain.h"

#include <algorithm>
#include <set>

namespace xdplane {
namespace {

/// A program may write this map. (Frozen maps count too: freezing only stops bpf(2).)
bool writable(const Map& map) { return (map.spec().flags & BPF_F_RDONLY_PROG) == 0; }

/// Whether the order of two packets in two different stages can be seen by anyone: only through a map that
/// both stages use. What the programs of a prog array use is not known here and may change: they count as
/// sharing.
bool stages_are_independent(const std::vector<Stage>& stages) {
    std::set<const Map*> seen;
    for (const Stage& stage : stages) {
        std::set<const Map*> own;
        for (const auto& map : stage.program->parts().maps) {
            if (map->spec().type == BPF_MAP_TYPE_PROG_ARRAY) return stages.size() == 1;
            if (writable(*map)) own.insert(map.get());
        }
        for (const Map* map : own)
            if (!seen.insert(map).second) return false;
    }
    return true;
}

u8 verdict_of(StageKind kind, u32 value) noexcept {
    if (kind == StageKind::filter) return value != 0 ? kPass : kDrop;
    return static_cast<u8>(value < kVerdicts ? value : kAborted);
}

/// Each stage has random numbers of its own, although all of them are made from packet index and call.
u64 stage_seed(u64 seed, std::size_t stage) noexcept { return seed + stage * 0x9e3779b97f4a7c15; }

/// Sums of one burst, added to the shared counters at its end.
struct Tally {
    std::array<u32, kVerdicts> verdicts{};
    void add_to(VerdictCounters& counters) const noexcept {
        u32 packets = 0;
        for (u32 v = 0; v < kVerdicts; ++v) {
            if (verdicts[v] != 0) counters.verdicts[v].add(verdicts[v]);
            packets += verdicts[v];
        }
        counters.packets.add(packets);
    }
};

} // namespace

Chain::Chain(std::vector<Stage> stages) : stages_(std::move(stages)) {
    writes_packet_ = std::any_of(stages_.begin(), stages_.end(),
                                 [](const Stage& stage) { return stage.program->parts().writes_packet; });
    stage_wise_ = stages_are_independent(stages_);
}

Result<Chain> Chain::make(std::vector<Stage> stages) {
    if (stages.empty()) return fail(EINVAL, "a chain needs at least one stage");
    std::set<std::string_view> names;
    for (const Stage& stage : stages)
        if (!names.insert(stage.name).second) return fail(EEXIST, "two stages are called '{}'", stage.name);
    return Chain(std::move(stages));
}

void Chain::judge(Burst& burst, Verdicts& verdicts, ChainStats& stats) const noexcept {
    u64 bytes = 0;
    for (u32 i = 0; i < burst.count; ++i) bytes += burst.packets[i].length();
    stats.bytes.add(bytes);

    const u64 seed = t_run.seed;
    if (stage_wise_)
        judge_stage_wise(burst, verdicts, stats);
    else
        judge_packet_wise(burst, verdicts, stats);
    t_run.seed = seed;

    Tally total;
    for (u32 i = 0; i < burst.count; ++i) ++total.verdicts[verdicts[i]];
    total.add_to(stats.total);
}

void Chain::judge_stage_wise(Burst& burst, Verdicts& verdicts, ChainStats& stats) const noexcept {
    const u64 seed = t_run.seed;
    u32 alive = burst.count;
    std::fill_n(verdicts.begin(), burst.count, static_cast<u8>(kPass));
    for (std::size_t s = 0; s < stages_.size() && alive != 0; ++s) {
        const Stage& stage = stages_[s];
        const Entry& entry = stage.program->entry();
        t_run.seed = stage_seed(seed, s);
        Tally tally;
        alive = 0;
        // Runs of survivors: all of the burst in the first stage, and later wherever nothing was dropped.
        for (u32 begin = 0; begin < burst.count;) {
            if (verdicts[begin] != kPass) {
                ++begin;
                continue;
            }
            u32 end = begin + 1;
            while (end < burst.count && verdicts[end] == kPass) ++end;
            entry.run_burst(&entry, &burst.packets[begin], end - begin, &t_run);
            for (u32 i = begin; i < end; ++i) {
                verdicts[i] = verdict_of(stage.kind, burst.packets[i].verdict);
                ++tally.verdicts[verdicts[i]];
            }
            begin = end;
        }
        alive = tally.verdicts[kPass];
        tally.add_to(stats.stages[s]);
    }
}

void Chain::judge_packet_wise(Burst& burst, Verdicts& verdicts, ChainStats& stats) const noexcept {
    const u64 seed = t_run.seed;
    for (u32 i = 0; i < burst.count; ++i) {
        XdpBuff& packet = burst.packets[i];
        u8 verdict = kPass;
        for (std::size_t s = 0; s < stages_.size() && verdict == kPass; ++s) {
            t_run.seed = stage_seed(seed, s);
            packet.verdict = stages_[s].program->run(packet);
            verdict = verdict_of(stages_[s].kind, packet.verdict);
            stats.stages[s].packets.add(1);
            stats.stages[s].verdicts[verdict].add(1);
        }
        verdicts[i] = verdict;
    }
}

} // namespace xdplane
