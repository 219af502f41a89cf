// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Chains with programs made of C++ functions instead of an engine's code: order, verdicts and counters.
#include <gtest/gtest.h>

#include "dataplane/chain.h"
#include "dataplane/run_scope.h"
#include "tests/support/fake_program.h"

namespace xdplane {
namespace {

/// What a stage saw, in the order in which it saw it: (stage, packet index).
std::vector<std::pair<int, u64>>* g_trace = nullptr;

u32 pass(XdpBuff*, RunContext*) { return XDP_PASS; }

/// A burst of packets whose only byte is their number.
struct Packets {
    explicit Packets(u32 count) {
        burst.count = count;
        for (u32 i = 0; i < count; ++i) {
            bytes[i] = static_cast<u8>(i);
            XdpBuff& packet = burst.packets[i];
            packet = {};
            packet.data = &bytes[i];
            packet.data_end = packet.data + 1;
            packet.index = i;
        }
    }
    std::array<u8, kBurst> bytes{};
    Burst burst;
};

Chain make(std::vector<Stage> stages) {
    auto chain = Chain::make(std::move(stages));
    EXPECT_TRUE(chain) << chain.error().message;
    return std::move(*chain);
}

TEST(Chain, RefusesEmptyAndDoubleNames) {
    EXPECT_FALSE(Chain::make({}));
    EXPECT_FALSE(Chain::make({{"a", fake_program(pass)}, {"a", fake_program(pass)}}));
}

/// Both ways to run a chain must give the same.
class BothWays : public testing::TestWithParam<bool> {
protected:
    /// Stages that share a map go packet by packet.
    [[nodiscard]] std::vector<std::shared_ptr<Map>> maps() const {
        return GetParam() ? std::vector<std::shared_ptr<Map>>{} : std::vector{shared_};
    }
    std::shared_ptr<Map> shared_ = fake_map();
};

TEST_P(BothWays, GoesOnForAsLongAsStagesPass) {
    const Chain chain = make({
        {"filter",
         fake_program([](XdpBuff* p, RunContext*) -> u32 { return p->index % 4 == 0 ? 0 : 262144; }, maps()),
         StageKind::filter},
        {"first",
         fake_program([](XdpBuff* p, RunContext*) -> u32 { return p->index % 4 == 1 ? XDP_DROP : XDP_PASS; },
                      maps())},
        {"second", fake_program(
                       [](XdpBuff* p, RunContext*) -> u32 {
                           if (p->index == 2) return XDP_TX;
                           if (p->index == 3) return XDP_REDIRECT;
                           if (p->index == 6) return 77; // no verdict
                           if (p->index == 7) return XDP_ABORTED;
                           return XDP_PASS;
                       },
                       maps())},
    });
    EXPECT_EQ(chain.stage_wise(), GetParam());
    ChainStats stats(3);
    Verdicts verdicts;
    Packets packets(12);
    chain.judge(packets.burst, verdicts, stats);
    const std::array<u8, 12> expected = {kDrop,    kDrop,    kTx,   kRedirect, kDrop, kDrop,
                                         kAborted, kAborted, kDrop, kDrop,     kPass, kPass};
    for (u32 i = 0; i < 12; ++i) EXPECT_EQ(verdicts[i], expected[i]) << i;
    EXPECT_EQ(packets.burst.packets[0].verdict, 0U);
    EXPECT_EQ(packets.burst.packets[1].verdict, u32{XDP_DROP});
    EXPECT_EQ(packets.burst.packets[6].verdict, 77U);

    EXPECT_EQ(stats.bytes.get(), 12U);
    EXPECT_EQ(stats.total.packets.get(), 12U);
    EXPECT_EQ(stats.total.verdicts[kDrop].get(), 6U);
    EXPECT_EQ(stats.total.verdicts[kAborted].get(), 2U);
    EXPECT_EQ(stats.total.verdicts[kPass].get(), 2U);
    EXPECT_EQ(stats.stages[0].packets.get(), 12U);
    EXPECT_EQ(stats.stages[0].verdicts[kDrop].get(), 3U);
    EXPECT_EQ(stats.stages[1].packets.get(), 9U);
    EXPECT_EQ(stats.stages[1].verdicts[kDrop].get(), 3U);
    EXPECT_EQ(stats.stages[2].packets.get(), 6U);
    EXPECT_EQ(stats.stages[2].verdicts[kTx].get(), 1U);
    EXPECT_EQ(stats.stages[2].verdicts[kRedirect].get(), 1U);
    EXPECT_EQ(stats.stages[2].verdicts[kAborted].get(), 2U);
}

TEST_P(BothWays, TakesPacketsInOrderThroughEveryStage) {
    std::vector<std::pair<int, u64>> trace;
    g_trace = &trace;
    const Chain chain = make({
        {"a", fake_program(
                  [](XdpBuff* p, RunContext*) -> u32 {
                      g_trace->emplace_back(0, p->index);
                      return p->index == 1 ? XDP_DROP : XDP_PASS;
                  },
                  maps())},
        {"b", fake_program(
                  [](XdpBuff* p, RunContext*) -> u32 {
                      g_trace->emplace_back(1, p->index);
                      return XDP_PASS;
                  },
                  maps())},
    });
    ChainStats stats(2);
    Verdicts verdicts;
    Packets packets(3);
    chain.judge(packets.burst, verdicts, stats);
    using Trace = std::vector<std::pair<int, u64>>;
    if (GetParam())
        EXPECT_EQ(trace, (Trace{{0, 0}, {0, 1}, {0, 2}, {1, 0}, {1, 2}}));
    else
        EXPECT_EQ(trace, (Trace{{0, 0}, {1, 0}, {0, 1}, {0, 2}, {1, 2}}));
}

TEST_P(BothWays, StagesHaveRandomSeedsOfTheirOwn) {
    const auto keep_seed = [](XdpBuff* p, RunContext* context) -> u32 {
        p->cb[p->mark++] = static_cast<u32>(context->seed >> 16);
        return XDP_PASS;
    };
    const Chain chain =
        make({{"a", fake_program(keep_seed, maps())}, {"b", fake_program(keep_seed, maps())}});
    RunScope scope({.seed = 5});
    ChainStats stats(2);
    Verdicts verdicts;
    Packets packets(2);
    chain.judge(packets.burst, verdicts, stats);
    for (u32 i = 0; i < 2; ++i) EXPECT_NE(packets.burst.packets[i].cb[0], packets.burst.packets[i].cb[1]);
    EXPECT_EQ(packets.burst.packets[0].cb[1], packets.burst.packets[1].cb[1]);
    EXPECT_EQ(t_run.seed, 5U) << "the worker's seed is as it was";
}

/// 40 bursts of 10 packets, of which the first stage drops every other.
struct Timed {
    Chain chain;
    ChainStats stats{2};

    explicit Timed(std::vector<std::shared_ptr<Map>> maps)
        : chain(make({{"a", fake_program([](XdpBuff* p, RunContext*)
                                             -> u32 { return p->index % 2 == 0 ? XDP_DROP : XDP_PASS; },
                                         maps)},
                      {"b", fake_program(pass, maps)}})) {
        RunScope scope({});
        for (u32 i = 0; i < 40; ++i) {
            Packets packets(10);
            Verdicts verdicts;
            chain.judge(packets.burst, verdicts, stats);
        }
    }
};

TEST_P(BothWays, OneBurstOfSixteenIsTimed) {
    const Timed timed(maps());
    EXPECT_EQ(timed.stats.total.bursts.get(), 40U);
    EXPECT_EQ(timed.stats.stages[0].bursts.get(), 40U);
    EXPECT_EQ(timed.stats.stages[1].bursts.get(), 40U);
    EXPECT_EQ(timed.stats.total.timed_packets.get(), 20U);
    EXPECT_EQ(timed.stats.stages[0].timed_packets.get(), 20U);
    EXPECT_EQ(timed.stats.stages[1].timed_packets.get(), 10U);
    EXPECT_GE(timed.stats.total.timed_cycles.get(), timed.stats.stages[0].timed_cycles.get());
}

TEST_P(BothWays, RunStatisticsCountWhileTheyAreOn) {
    const Timed off(maps());
    const auto runs = [](const Timed& timed, std::size_t stage) {
        return timed.chain.stages()[stage].program->run_stats.runs.load();
    };
    EXPECT_EQ(runs(off, 0), 0U);
    const auto on = [&] {
        const RunStatsSwitch one;
        const RunStatsSwitch two;
        return Timed(maps());
    }();
    EXPECT_EQ(runs(on, 0), 400U);
    EXPECT_EQ(runs(on, 1), 200U);
    EXPECT_FALSE(RunStatsSwitch::on());
    EXPECT_EQ(runs(Timed(maps()), 1), 0U);
}

INSTANTIATE_TEST_SUITE_P(Chain, BothWays, testing::Bool(),
                         [](const auto& param) { return param.param ? "stage_wise" : "packet_wise"; });

TEST(Chain, OnlySharedWritableMapsForbidStageOrder) {
    const auto shared = fake_map();
    const auto read_only = fake_map(BPF_MAP_TYPE_ARRAY, BPF_F_RDONLY_PROG);
    const auto tail_calls = fake_map(BPF_MAP_TYPE_PROG_ARRAY);
    EXPECT_TRUE(make({{"a", fake_program(pass, {fake_map()})}, {"b", fake_program(pass, {fake_map()})}})
                    .stage_wise());
    EXPECT_FALSE(
        make({{"a", fake_program(pass, {shared})}, {"b", fake_program(pass, {shared})}}).stage_wise());
    EXPECT_TRUE(
        make({{"a", fake_program(pass, {read_only})}, {"b", fake_program(pass, {read_only})}}).stage_wise());
    EXPECT_FALSE(make({{"a", fake_program(pass, {tail_calls})}, {"b", fake_program(pass)}}).stage_wise());
    EXPECT_FALSE(make({{"a", fake_program(pass)}, {"b", fake_program(pass, {tail_calls})}}).stage_wise());
    EXPECT_TRUE(make({{"a", fake_program(pass, {tail_calls})}}).stage_wise());
    for (const u32 type : {BPF_MAP_TYPE_ARRAY_OF_MAPS, BPF_MAP_TYPE_HASH_OF_MAPS}) {
        const auto outer = fake_map(type);
        EXPECT_FALSE(make({{"a", fake_program(pass, {outer})}, {"b", fake_program(pass)}}).stage_wise());
    }
}

TEST(Chain, KnowsWhetherItKeepsAnything) {
    const auto stateless = [](std::vector<std::shared_ptr<Map>> maps) {
        return make({{"a", fake_program(pass)}, {"b", fake_program(pass, std::move(maps))}}).stateless();
    };
    EXPECT_TRUE(stateless({}));
    EXPECT_TRUE(stateless({fake_map(BPF_MAP_TYPE_ARRAY, BPF_F_RDONLY_PROG)}));
    EXPECT_FALSE(stateless({fake_map()}));
    EXPECT_FALSE(stateless({fake_map(BPF_MAP_TYPE_ARRAY, BPF_F_RDONLY_PROG), fake_map()}));
    for (const u32 type : {BPF_MAP_TYPE_PROG_ARRAY, BPF_MAP_TYPE_ARRAY_OF_MAPS, BPF_MAP_TYPE_HASH_OF_MAPS})
        EXPECT_FALSE(stateless({fake_map(type, BPF_F_RDONLY_PROG)})) << type;
}

/// Counters are sums over whole vectors and a rest: every length, and values that are no verdict.
TEST(Chain, CountsBurstsOfAnyLength) {
    const auto by_index = [](XdpBuff* p, RunContext*) -> u32 { return static_cast<u32>(p->index % 7); };
    const Chain chain = make({{"a", fake_program(by_index)}});
    RunScope scope({});
    for (u32 count = 0; count <= kBurst; ++count) {
        Packets packets(count);
        ChainStats stats(1);
        Verdicts verdicts;
        chain.judge(packets.burst, verdicts, stats);
        std::array<u64, kVerdicts> expected{};
        for (u32 i = 0; i < count; ++i) {
            const u32 verdict = i % 7 < kVerdicts ? i % 7 : u32{kAborted};
            ASSERT_EQ(verdicts[i], verdict);
            ++expected[verdict];
        }
        EXPECT_EQ(stats.total.packets.get(), count);
        for (u32 v = 0; v < kVerdicts; ++v) {
            EXPECT_EQ(stats.total.verdicts[v].get(), expected[v]) << count;
            EXPECT_EQ(stats.stages[0].verdicts[v].get(), expected[v]) << count;
        }
    }
}

TEST(Chain, KnowsWhetherItWritesPackets) {
    EXPECT_FALSE(make({{"a", fake_program(pass)}}).writes_packet());
    EXPECT_TRUE(make({{"a", fake_program(pass)}, {"b", fake_program(pass, {}, true)}}).writes_packet());
}

TEST(RunScope, SetsUpTheThreadAndLeavesTheReclaimer) {
    {
        RunScope scope({.cpu = 1, .clock = Clock::capture, .seed = 9, .random_by_packet = true});
        EXPECT_TRUE(scope.ready());
        EXPECT_EQ(t_run.cpu, 1U);
        EXPECT_EQ(t_run.clock, Clock::capture);
        EXPECT_EQ(t_run.seed, 9U);
        EXPECT_TRUE(t_run.random_by_packet);
        EXPECT_NE(t_run.random_state, 0U);
        const u64 stamp = Reclaimer::instance().stamp();
        EXPECT_FALSE(Reclaimer::instance().passed(stamp));
        scope.quiescent();
        EXPECT_TRUE(Reclaimer::instance().passed(stamp));
        const u64 next = Reclaimer::instance().stamp();
        scope.offline();
        EXPECT_TRUE(Reclaimer::instance().passed(next));
        scope.online();
    }
    EXPECT_TRUE(Reclaimer::instance().passed(Reclaimer::instance().stamp()));
}

} // namespace
} // namespace xdplane
