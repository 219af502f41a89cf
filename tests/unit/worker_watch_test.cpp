// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/worker_watch.h"

#include <gtest/gtest.h>

namespace xdplane {
namespace {

using namespace std::chrono_literals;

TEST(WorkerWatch, NamesWhoStandsStillOnce) {
    WorkerWatch watch(2s);
    const WorkerWatch::Clock::time_point begin{};
    std::vector<WorkerReport> workers{{.cpu = 3, .rounds = 5}, {.cpu = 4, .rounds = 7}};
    const auto look = [&](WorkerWatch::Clock::duration at) { return watch.look(workers, begin + at); };
    EXPECT_TRUE(look(0s).empty());
    EXPECT_TRUE(look(2s).empty()) << "it may take that long";
    workers[0].rounds = 6;
    const std::vector<std::string> lines = look(3s);
    ASSERT_EQ(lines.size(), 1U);
    EXPECT_EQ(lines[0], "worker 1 (CPU 4) hangs: it has been in one round for 3.0 s");
    EXPECT_FALSE(watch.all_move());
    EXPECT_EQ(watch.summary(), "worker 1 (CPU 4) hangs");
    EXPECT_TRUE(look(4s).empty()) << "said once";
    ASSERT_EQ(look(6s).size(), 1U);
    EXPECT_EQ(watch.summary(), "worker 0 (CPU 3) hangs, worker 1 (CPU 4) hangs");
    workers[0].rounds = 7;
    workers[1].rounds = 8;
    EXPECT_EQ(look(7s), (std::vector<std::string>{"worker 0 (CPU 3) goes on", "worker 1 (CPU 4) goes on"}));
    EXPECT_TRUE(watch.all_move());
    EXPECT_EQ(watch.summary(), "");
}

TEST(WorkerWatch, ALateLookIsNoHang) {
    WorkerWatch watch(2s);
    std::vector<WorkerReport> workers{{.rounds = 1}};
    EXPECT_TRUE(watch.look(workers, {}).empty());
    workers[0].rounds = 2; // moved while nobody looked
    EXPECT_TRUE(watch.look(workers, WorkerWatch::Clock::time_point(1h)).empty());
    EXPECT_TRUE(watch.all_move());
}

} // namespace
} // namespace xdplane
