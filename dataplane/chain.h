// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "bpf/prog/program.h"
#include "bpf/run/packet.h"
#include "dataplane/counter.h"

namespace xdplane {

enum class StageKind : u8 {
    xdp,    ///< the return value is the verdict; XDP_PASS goes on to the next stage
    filter, ///< a socket filter: 0 drops, anything else goes on
};

/// One program of a chain.
struct Stage {
    std::string name; ///< as counters and tables show it; unique in its chain
    std::shared_ptr<const Program> program;
    StageKind kind = StageKind::xdp;
};

/// One burst of that many is timed: reading the clock around every stage costs, and a sample does.
inline constexpr u32 kTimedEvery = 16;

/// Counters of one stage, or of a whole chain. Written by the one worker they belong to, read by anyone.
struct alignas(kCacheLine) VerdictCounters {
    Counter packets;
    std::array<Counter, kVerdicts> verdicts; ///< indexed by Verdict; unknown return values count as aborted
    Counter bursts;                          ///< that brought packets here
    Counter timed_packets;                   ///< those in bursts that were timed
    Counter timed_cycles;                    ///< cpu_ticks() that they took: of a stage, its program alone
};

/// What one worker counts of one chain. Made by the control thread, filled by judge().
struct ChainStats {
    explicit ChainStats(std::size_t stage_count) : stages(stage_count) {}

    VerdictCounters total; ///< final verdicts
    Counter bytes;         ///< lengths of the packets as they came in
    std::vector<VerdictCounters> stages;
};

/// The final verdict of every packet of a burst, always one of enum Verdict.
using Verdicts = std::array<u8, kBurst>;

/// Unmodified programs one after another: a packet goes on for as long as each stage passes it, as on Linux
/// where programs are chained by a dispatcher. Immutable; shared by workers.
class Chain {
public:
    /// Fails for an empty chain, and for two stages with one name.
    static Result<Chain> make(std::vector<Stage> stages);

    /// Judges a burst: `verdicts` gets the final verdicts, and XdpBuff::verdict of each packet the return
    /// value of the last stage that saw it. The result is that of taking packet after packet through all
    /// stages; where no two stages share a map, nobody can tell, and each stage takes the whole burst. t_run
    /// of the calling thread must be set up (see run_scope.h). Data path; one caller per `stats`.
    void judge(Burst& burst, Verdicts& verdicts, ChainStats& stats) const noexcept;

    [[nodiscard]] const std::vector<Stage>& stages() const { return stages_; }
    /// True if some stage may change packet bytes or bounds.
    [[nodiscard]] bool writes_packet() const { return writes_packet_; }
    /// What all stages together do with the fields of an XdpBuff.
    [[nodiscard]] const ContextUse& context_use() const { return context_use_; }
    /// True if no stage keeps anything from one packet for another: it has no maps but those that programs
    /// only read. Then the order of packets means nothing, nor who judges them.
    [[nodiscard]] bool stateless() const { return stateless_; }
    /// True if bursts go through stage by stage.
    [[nodiscard]] bool stage_wise() const { return stage_wise_; }

private:
    explicit Chain(std::vector<Stage> stages);
    template<bool kTimed>
    void judge_either_way(Burst& burst, Verdicts& verdicts, ChainStats& stats) const noexcept;
    template<bool kTimed>
    void judge_stage_wise(Burst& burst, Verdicts& verdicts, ChainStats& stats) const noexcept;
    static void count_by_ends(const std::array<u32, kBurst>& ends, const Verdicts& verdicts, u32 count,
                              ChainStats& stats) noexcept;
    template<bool kTimed>
    void judge_packet_wise(Burst& burst, Verdicts& verdicts, ChainStats& stats) const noexcept;

    std::vector<Stage> stages_;
    bool writes_packet_ = false;
    bool stage_wise_ = false;
    bool stateless_ = false;
    ContextUse context_use_ = ContextUse::none();
};

} // namespace xdplane
