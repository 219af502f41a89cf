// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/maps/value_lock.h"

#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <mutex>
#include <thread>
#include <vector>

#include "bpf/helpers/helper.h"

namespace xdplane {
namespace {

struct Value {
    bpf_spin_lock lock;
    u32 count;
    u64 sum;
};

TEST(ValueLock, IsAsLargeAsLinuxSays) {
    bpf_spin_lock lock{};
    ValueLock(&lock.val).lock();
    EXPECT_EQ(lock.val, 1U);
    ValueLock(&lock.val).unlock();
    EXPECT_EQ(lock.val, 0U);
}

/// Programs lock through the helpers, the control thread through ValueLock.
TEST(ValueLock, KeepsOthersOut) {
    Value value{};
    constexpr u32 kRounds = 20'000;
    const auto by_helper = [&value] {
        const HelperFn lock = find_helper(BPF_FUNC_spin_lock)->fn;
        const HelperFn unlock = find_helper(BPF_FUNC_spin_unlock)->fn;
        for (u32 i = 0; i < kRounds; ++i) {
            lock(reinterpret_cast<u64>(&value.lock), 0, 0, 0, 0);
            value.sum += ++value.count;
            unlock(reinterpret_cast<u64>(&value.lock), 0, 0, 0, 0);
        }
    };
    const auto by_lock = [&value] {
        for (u32 i = 0; i < kRounds; ++i) {
            ValueLock lock(&value.lock.val);
            const std::lock_guard guard(lock);
            value.sum += ++value.count;
        }
    };
    std::thread first(by_helper);
    std::thread second(by_helper);
    by_lock();
    first.join();
    second.join();
    constexpr u64 kAll = 3 * u64{kRounds};
    EXPECT_EQ(value.count, kAll);
    EXPECT_EQ(value.sum, kAll * (kAll + 1) / 2);
}

} // namespace
} // namespace xdplane
