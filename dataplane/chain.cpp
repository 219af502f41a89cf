// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/chain.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <set>

#include "bpf/base/ticks.h"
#include "bpf/maps/map_of_maps.h"

namespace xdplane {
namespace {

/// A program may write this map. (Frozen maps count too: freezing only stops bpf(2).)
bool writable(const Map& map) { return (map.spec().flags & BPF_F_RDONLY_PROG) == 0; }

/// Whether the order of two packets in two different stages can be seen by anyone: only through a map that
/// both stages use. What the programs of a prog array use, and what is in a map of maps, is not known here
/// and may change: they count as sharing.
bool stages_are_independent(const std::vector<Stage>& stages) {
    std::set<const Map*> seen;
    for (const Stage& stage : stages) {
        std::set<const Map*> own;
        for (const auto& map : stage.program->parts().maps) {
            if (map->spec().type == BPF_MAP_TYPE_PROG_ARRAY || is_map_of_maps(*map))
                return stages.size() == 1;
            if (writable(*map)) own.insert(map.get());
        }
        for (const Map* map : own)
            if (!seen.insert(map).second) return false;
    }
    return true;
}

/// Whether a packet leaves nothing behind for the next: a map that no program writes is a constant, but one
/// that leads to other programs or maps may lead to anything.
bool keeps_nothing(const Stage& stage) {
    const auto& maps = stage.program->parts().maps;
    return std::none_of(maps.begin(), maps.end(), [](const auto& map) {
        return writable(*map) || map->spec().type == BPF_MAP_TYPE_PROG_ARRAY || is_map_of_maps(*map);
    });
}

u8 verdict_of(StageKind kind, u32 value) noexcept {
    if (kind == StageKind::filter) return value != 0 ? kPass : kDrop;
    return static_cast<u8>(value < kVerdicts ? value : kAborted);
}

/// The same for a run of packets. The question of the kind is asked once, and what is left has no jumps.
void verdicts_of(StageKind kind, const XdpBuff* packets, u32 count, u8* verdicts) noexcept {
    if (kind == StageKind::filter)
        for (u32 i = 0; i < count; ++i) verdicts[i] = packets[i].verdict != 0 ? kPass : kDrop;
    else
        for (u32 i = 0; i < count; ++i) verdicts[i] = verdict_of(StageKind::xdp, packets[i].verdict);
}

/// Each stage has random numbers of its own, although all of them are made from packet index and call.
u64 stage_seed(u64 seed, std::size_t stage) noexcept { return seed + stage * 0x9e3779b97f4a7c15; }

/// Sums of one burst, added to the shared counters at its end.
struct Tally {
    std::array<u32, kVerdicts> verdicts{};

    /// A sum per verdict, sixteen packets at a time: counting up one of five memory cells for each packet
    /// waits for the one before.
    void count(const u8* from, u32 size) noexcept {
        using Bytes [[gnu::vector_size(16)]] = u8;
        u32 i = 0;
        for (; i + 16 <= size; i += 16) {
            Bytes bytes;
            std::memcpy(&bytes, from + i, sizeof bytes);
            for (u32 v = 0; v < kVerdicts; ++v) {
                const auto same = std::bit_cast<std::array<u64, 2>>((bytes == static_cast<u8>(v)) & 1);
                verdicts[v] += static_cast<u32>((same[0] + same[1]) * 0x0101010101010101 >> 56);
            }
        }
        for (; i < size; ++i) ++verdicts[from[i]];
    }
    [[nodiscard]] u32 packets() const noexcept {
        u32 sum = 0;
        for (const u32 count : verdicts) sum += count;
        return sum;
    }
    void add_to(VerdictCounters& counters) const noexcept {
        u32 packets = 0;
        for (u32 v = 0; v < kVerdicts; ++v) {
            if (verdicts[v] != 0) counters.verdicts[v].add(verdicts[v]);
            packets += verdicts[v];
        }
        counters.packets.add(packets);
        counters.bursts.add(1);
    }
};

/// Measures pieces of work, less what the measuring itself takes; nothing at all if it is off.
template<bool kOn>
class Stopwatch {
public:
    void start() noexcept {
        if constexpr (kOn) begin_ = cpu_ticks();
    }
    void stop() noexcept {
        if constexpr (kOn) {
            const u64 ticks = cpu_ticks() - begin_;
            sum_ += ticks - std::min(ticks, tick_cost());
        }
    }
    void add_to(VerdictCounters& counters, u32 packets) const noexcept {
        if constexpr (kOn) {
            counters.timed_packets.add(packets);
            counters.timed_cycles.add(sum_);
        }
    }
    void add_to(const Program& program, u32 packets) const noexcept {
        if constexpr (kOn)
            if (RunStatsSwitch::on()) program.run_stats.add(packets, sum_);
    }

private:
    u64 begin_ = 0;
    u64 sum_ = 0;
};

} // namespace

/// Counts a burst by stages: a stage has seen all packets that ended in it or further on, and passed all but
/// those that ended in it with another verdict.
void Chain::count_by_ends(const std::array<u32, kBurst>& ends, const Verdicts& verdicts, u32 count,
                          ChainStats& stats) noexcept {
    for (u32 s = 0; s < stats.stages.size(); ++s) {
        u32 seen = 0;
        u32 left = 0;
        for (u32 i = 0; i < count; ++i) {
            seen += ends[i] >= s;
            left += ends[i] == s && verdicts[i] != kPass;
        }
        if (seen == 0) break;
        stats.stages[s].packets.add(seen);
        stats.stages[s].bursts.add(1);
        stats.stages[s].verdicts[kPass].add(seen - left);
    }
    for (u32 i = 0; i < count; ++i)
        if (verdicts[i] != kPass) stats.stages[ends[i]].verdicts[verdicts[i]].add(1);
}

Chain::Chain(std::vector<Stage> stages) : stages_(std::move(stages)) {
    writes_packet_ = std::any_of(stages_.begin(), stages_.end(),
                                 [](const Stage& stage) { return stage.program->parts().writes_packet; });
    for (const Stage& stage : stages_) context_use_.add(stage.program->parts().context_use);
    stage_wise_ = stages_are_independent(stages_);
    stateless_ = std::all_of(stages_.begin(), stages_.end(), keeps_nothing);
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
    if (stats.total.bursts.get() % kTimedEvery == kTimedEvery - 1 || RunStatsSwitch::on()) [[unlikely]]
        judge_either_way<true>(burst, verdicts, stats);
    else
        judge_either_way<false>(burst, verdicts, stats);
    t_run.seed = seed;

    Tally total;
    total.count(verdicts.data(), burst.count);
    total.add_to(stats.total);
}

template<bool kTimed>
void Chain::judge_either_way(Burst& burst, Verdicts& verdicts, ChainStats& stats) const noexcept {
    Stopwatch<kTimed> whole;
    whole.start();
    if (stage_wise_)
        judge_stage_wise<kTimed>(burst, verdicts, stats);
    else
        judge_packet_wise<kTimed>(burst, verdicts, stats);
    whole.stop();
    whole.add_to(stats.total, burst.count);
}

template<bool kTimed>
void Chain::judge_stage_wise(Burst& burst, Verdicts& verdicts, ChainStats& stats) const noexcept {
    const u64 seed = t_run.seed;
    u32 alive = burst.count;
    std::fill_n(verdicts.begin(), burst.count, static_cast<u8>(kPass));
    for (std::size_t s = 0; s < stages_.size() && alive != 0; ++s) {
        const Stage& stage = stages_[s];
        const Entry& entry = stage.program->entry();
        t_run.seed = stage_seed(seed, s);
        Tally tally;
        Stopwatch<kTimed> watch;
        alive = 0;
        // Runs of survivors: all of the burst in the first stage, and later wherever nothing was dropped.
        for (u32 begin = 0; begin < burst.count;) {
            if (verdicts[begin] != kPass) {
                ++begin;
                continue;
            }
            u32 end = s == 0 ? burst.count : begin + 1;
            while (end < burst.count && verdicts[end] == kPass) ++end;
            watch.start();
            entry.run_burst(&entry, &burst.packets[begin], end - begin, &t_run);
            watch.stop();
            verdicts_of(stage.kind, &burst.packets[begin], end - begin, &verdicts[begin]);
            tally.count(&verdicts[begin], end - begin);
            begin = end;
        }
        if constexpr (kTimed) {
            watch.add_to(stats.stages[s], tally.packets());
            watch.add_to(*stage.program, tally.packets());
        }
        alive = tally.verdicts[kPass];
        tally.add_to(stats.stages[s]);
    }
}

template<bool kTimed>
void Chain::judge_packet_wise(Burst& burst, Verdicts& verdicts, ChainStats& stats) const noexcept {
    const u64 seed = t_run.seed;
    const u32 stages = static_cast<u32>(stages_.size());
    std::array<u32, kBurst> ends;
    for (u32 i = 0; i < burst.count; ++i) {
        XdpBuff& packet = burst.packets[i];
        u8 verdict = kPass;
        u32 s = 0;
        for (; s < stages && verdict == kPass; ++s) {
            t_run.seed = stage_seed(seed, s);
            Stopwatch<kTimed> watch;
            watch.start();
            packet.verdict = stages_[s].program->run(packet);
            watch.stop();
            watch.add_to(stats.stages[s], 1);
            watch.add_to(*stages_[s].program, 1);
            verdict = verdict_of(stages_[s].kind, packet.verdict);
        }
        ends[i] = s - 1;
        verdicts[i] = verdict;
    }
    count_by_ends(ends, verdicts, burst.count, stats);
}

} // namespace xdplane
