// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/base/reclaimer.h"

#include <gtest/gtest.h>
#include <thread>

namespace xdplane {
namespace {

struct Counted {
    explicit Counted(int& count) : count_(count) {}
    ~Counted() { ++count_; }
    int& count_;
};

TEST(Reclaimer, FreesAtOnceWithoutReaders) {
    Reclaimer reclaimer;
    int freed = 0;
    reclaimer.retire(new Counted(freed));
    EXPECT_EQ(freed, 1);
}

TEST(Reclaimer, WaitsForEveryReader) {
    Reclaimer reclaimer;
    int freed = 0;
    const int first = reclaimer.online();
    const int second = reclaimer.online();
    ASSERT_NE(first, second);
    reclaimer.retire(new Counted(freed));
    EXPECT_EQ(freed, 0);
    reclaimer.quiescent(first);
    EXPECT_EQ(reclaimer.collect(), 1U);
    reclaimer.quiescent(second);
    EXPECT_EQ(reclaimer.collect(), 0U);
    EXPECT_EQ(freed, 1);
}

TEST(Reclaimer, OfflineReadersDoNotHoldAnything) {
    Reclaimer reclaimer;
    int freed = 0;
    const int slot = reclaimer.online();
    reclaimer.retire(new Counted(freed));
    reclaimer.offline(slot);
    EXPECT_EQ(reclaimer.collect(), 0U);
    EXPECT_EQ(freed, 1);
}

TEST(Reclaimer, RefusesMoreThanItsSlots) {
    Reclaimer reclaimer;
    for (u32 i = 0; i < Reclaimer::kMaxReaders; ++i) ASSERT_GE(reclaimer.online(), 0);
    EXPECT_EQ(reclaimer.online(), -1);
}

// The reader dereferences what the writer publishes and retires: a use after free or a race fails under the
// sanitizers, a stale value fails everywhere.
TEST(Reclaimer, ReaderNeverSeesFreedObjects) {
    Reclaimer reclaimer;
    struct Node {
        u64 value;
        ~Node() { value = 0; }
    };
    std::atomic<Node*> shared{new Node{1}};
    std::atomic<bool> stop{false};
    std::atomic<u64> reads{0};
    std::thread reader([&] {
        const int slot = reclaimer.online();
        while (!stop.load(std::memory_order_relaxed)) {
            for (int i = 0; i < 64; ++i) {
                const Node* node = shared.load(std::memory_order_acquire);
                ASSERT_NE(node->value, 0U);
                reads.fetch_add(1, std::memory_order_relaxed);
            }
            reclaimer.quiescent(slot);
        }
        reclaimer.offline(slot);
    });
    for (u64 i = 2; i < 5000 || reads.load() == 0; ++i)
        reclaimer.retire(shared.exchange(new Node{i}, std::memory_order_acq_rel));
    stop = true;
    reader.join();
    reclaimer.drain();
    delete shared.load();
    EXPECT_GT(reads.load(), 0U);
}

} // namespace
} // namespace xdplane
