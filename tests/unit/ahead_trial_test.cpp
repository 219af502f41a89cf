// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/jit/ahead_trial.h"

#include <gtest/gtest.h>

/// Trials of running ahead, with costs made up.
namespace xdplane {
namespace {

struct Outcome {
    u32 with = 0;
    u32 tried = 0;
};

/// Bursts of `packets`; `cost(burst, ahead)` ticks each.
template<class Cost>
Outcome run(AheadTrial& trial, u32 bursts, u32 packets, Cost cost) {
    Outcome outcome;
    for (u32 i = 0; i < bursts; ++i) {
        const bool ahead = trial.ahead();
        outcome.with += ahead;
        if (trial.trying()) {
            ++outcome.tried;
            trial.measured(cost(i, ahead), packets);
        }
        trial.next();
    }
    return outcome;
}

constexpr u32 kHalf = AheadTrial::kTrialBursts / 2;
constexpr u32 kRest = AheadTrial::kPeriodBursts - AheadTrial::kTrialBursts;

TEST(AheadTrial, GoesTheCheaperWay) {
    AheadTrial trial;
    const auto cheap = [](u32, bool ahead) { return ahead ? u64{900} : u64{1000}; };
    const auto dear = [](u32, bool ahead) { return ahead ? u64{1100} : u64{1000}; };
    EXPECT_EQ(run(trial, AheadTrial::kPeriodBursts, 64, cheap).with, kHalf + kRest);
    // And changes its mind with the traffic, in the next period.
    const Outcome outcome = run(trial, AheadTrial::kPeriodBursts, 64, dear);
    EXPECT_EQ(outcome.with, kHalf);
    EXPECT_EQ(outcome.tried, AheadTrial::kTrialBursts);
    EXPECT_EQ(run(trial, AheadTrial::kPeriodBursts, 8, cheap).with, kHalf + kRest);
}

TEST(AheadTrial, ComparesPackets) {
    AheadTrial trial;
    u32 turn = 0;
    for (u32 i = 0; i < AheadTrial::kTrialBursts; ++i) {
        // Small bursts happen to go with it: cheaper in all, not per packet.
        trial.measured(trial.ahead() ? 900 : 1000, trial.ahead() ? 32 : 64);
        trial.next();
        ++turn;
    }
    EXPECT_EQ(turn, AheadTrial::kTrialBursts);
    EXPECT_FALSE(trial.trying());
    EXPECT_FALSE(trial.ahead());
}

TEST(AheadTrial, IsNotMisledByAnInterruption) {
    AheadTrial trial;
    const auto cost = [](u32 burst, bool ahead) {
        return burst == 10 ? u64{10'000'000} : ahead ? u64{900} : u64{1000};
    };
    EXPECT_EQ(run(trial, AheadTrial::kPeriodBursts, 64, cost).with, kHalf + kRest);
}

} // namespace
} // namespace xdplane
