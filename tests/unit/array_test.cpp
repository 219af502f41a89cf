// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/maps/array.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <thread>
#include <vector>

#include "bpf/run/run_context.h"

namespace xdplane {
namespace {

MapSpec spec(u32 type, u32 value_size, u32 max_entries, u32 flags = 0) {
    return {
        .type = type, .key_size = 4, .value_size = value_size, .max_entries = max_entries, .flags = flags};
}

std::shared_ptr<Map> make(const MapSpec& wanted) {
    auto map = create_map(wanted);
    EXPECT_TRUE(map) << map.error().message;
    return map ? *map : nullptr;
}

TEST(Array, EveryEntryExistsAndIsZero) {
    const auto map = make(spec(BPF_MAP_TYPE_ARRAY, 12, 5));
    for (u32 index = 0; index < 5; ++index) {
        const u8* value = static_cast<u8*>(map->ops().lookup(*map, &index));
        ASSERT_NE(value, nullptr);
        EXPECT_EQ(reinterpret_cast<u64>(value) % 8, 0U);
        for (u32 i = 0; i < 12; ++i) EXPECT_EQ(value[i], 0);
    }
    const u32 beyond = 5;
    EXPECT_EQ(map->ops().lookup(*map, &beyond), nullptr);
}

TEST(Array, UpdatesAreInPlace) {
    const auto map = make(spec(BPF_MAP_TYPE_ARRAY, 8, 2));
    const u32 key = 1;
    const u64* value = static_cast<u64*>(map->ops().lookup(*map, &key));
    const u64 wanted = 0x1122334455667788;
    EXPECT_EQ(map->ops().update(*map, &key, &wanted, BPF_ANY), 0);
    EXPECT_EQ(*value, wanted);
    EXPECT_EQ(map->ops().update(*map, &key, &wanted, BPF_EXIST), 0);
    EXPECT_EQ(map->ops().update(*map, &key, &wanted, BPF_NOEXIST), -EEXIST);
    EXPECT_EQ(map->ops().update(*map, &key, &wanted, 77), -EINVAL);
    EXPECT_EQ(map->ops().erase(*map, &key), -EINVAL);
}

TEST(Array, OnlyArraysOfOneEntryHaveADirectValue) {
    const auto one = make(spec(BPF_MAP_TYPE_ARRAY, 100, 1));
    const u32 key = 0;
    EXPECT_EQ(one->ops().direct_value(*one), one->ops().lookup(*one, &key));
    const auto two = make(spec(BPF_MAP_TYPE_ARRAY, 100, 2));
    EXPECT_EQ(two->ops().direct_value(*two), nullptr);
}

TEST(Array, MmapableStorageIsAMemfdOfSealedSize) {
    const auto map = make(spec(BPF_MAP_TYPE_ARRAY, 12, 1000, BPF_F_MMAPABLE));
    ASSERT_GE(map->storage_fd(), 0);
    const std::size_t size = 16 * 1000;
    void* shared = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, map->storage_fd(), 0);
    ASSERT_NE(shared, MAP_FAILED);
    const Mapping owner(shared, size);
    const u32 key = 999;
    u8* value = static_cast<u8*>(map->ops().lookup(*map, &key));
    value[3] = 42;
    EXPECT_EQ(owner.data()[999 * 16 + 3], 42);
    owner.data()[999 * 16 + 11] = 7;
    EXPECT_EQ(value[11], 7);
    EXPECT_NE(::ftruncate(map->storage_fd(), 0), 0);
    EXPECT_EQ(make(spec(BPF_MAP_TYPE_ARRAY, 12, 1000))->storage_fd(), -1);
}

TEST(PercpuArray, EveryCpuHasItsOwnValues) {
    const auto map = make(spec(BPF_MAP_TYPE_PERCPU_ARRAY, 4, 3));
    const u32 cpus = num_possible_cpus();
    EXPECT_EQ(map->syscall_value_size(), 8 * cpus);
    const u32 key = 2;
    for (u32 cpu = 0; cpu < cpus; ++cpu) {
        t_run.cpu = cpu;
        *static_cast<u32*>(map->ops().lookup(*map, &key)) = 100 + cpu;
    }
    t_run.cpu = 0;
    std::vector<u64> all(cpus);
    ASSERT_EQ(map->ops().copy_value(*map, &key, all.data(), 0), 0);
    for (u32 cpu = 0; cpu < cpus; ++cpu) {
        EXPECT_EQ(all[cpu], 100 + cpu);
        EXPECT_EQ(*static_cast<u32*>(map->ops().lookup_cpu(*map, &key, cpu)), 100 + cpu);
        all[cpu] = 200 + cpu;
    }
    EXPECT_EQ(map->ops().lookup_cpu(*map, &key, cpus), nullptr);
    ASSERT_EQ(map->ops().store_value(*map, &key, all.data(), BPF_ANY), 0);
    for (u32 cpu = 0; cpu < cpus; ++cpu)
        EXPECT_EQ(*static_cast<u32*>(map->ops().lookup_cpu(*map, &key, cpu)), 200 + cpu);
    const u32 mine = 7;
    ASSERT_EQ(map->ops().update(*map, &key, &mine, BPF_ANY), 0);
    ASSERT_EQ(map->ops().copy_value(*map, &key, all.data(), 0), 0);
    EXPECT_EQ(all[0], 7U);
    if (cpus > 1) {
        EXPECT_EQ(all[1], 201U);
    }
}

TEST(Array, KeysAreEveryIndexInOrder) {
    const auto map = make(spec(BPF_MAP_TYPE_ARRAY, 4, 3));
    u32 key = 0;
    ASSERT_EQ(map->ops().next_key(*map, nullptr, &key), 0);
    EXPECT_EQ(key, 0U);
    ASSERT_EQ(map->ops().next_key(*map, &key, &key), 0);
    EXPECT_EQ(key, 1U);
    ASSERT_EQ(map->ops().next_key(*map, &key, &key), 0);
    EXPECT_EQ(map->ops().next_key(*map, &key, &key), -ENOENT);
    key = 1000;
    ASSERT_EQ(map->ops().next_key(*map, &key, &key), 0);
    EXPECT_EQ(key, 0U);
}

// Workers and control thread on the same entries: words never tear, and each CPU's values are its own.
TEST(Array, WorkersAndControlThreadAtOnce) {
    const auto shared = make(spec(BPF_MAP_TYPE_ARRAY, 16, 4));
    const auto percpu = make(spec(BPF_MAP_TYPE_PERCPU_ARRAY, 8, 4));
    const u32 workers = std::min(num_possible_cpus(), 4U);
    constexpr u64 kRounds = 20'000;
    std::atomic<u32> running{workers};
    std::vector<std::thread> threads;
    for (u32 cpu = 0; cpu < workers; ++cpu)
        threads.emplace_back([&, cpu] {
            t_run.cpu = cpu;
            for (u64 i = 1; i <= kRounds; ++i) {
                const u32 key = i % 4;
                const u64 half = (i & 0xffffffff) | (i << 32);
                const u64 value[2] = {half, half};
                EXPECT_EQ(shared->ops().update(*shared, &key, value, BPF_ANY), 0);
                const u64 count = *static_cast<u64*>(percpu->ops().lookup(*percpu, &key)) + 1;
                EXPECT_EQ(percpu->ops().update(*percpu, &key, &count, BPF_ANY), 0);
            }
            running.fetch_sub(1);
        });
    std::vector<u64> all(num_possible_cpus());
    while (running.load() != 0) {
        for (u32 key = 0; key < 4; ++key) {
            u64 value[2];
            ASSERT_EQ(shared->ops().copy_value(*shared, &key, value, 0), 0);
            for (const u64 word : value) ASSERT_EQ(word >> 32, word & 0xffffffff);
            ASSERT_EQ(percpu->ops().copy_value(*percpu, &key, all.data(), 0), 0);
        }
    }
    for (std::thread& thread : threads) thread.join();
    for (u32 key = 0; key < 4; ++key) {
        ASSERT_EQ(percpu->ops().copy_value(*percpu, &key, all.data(), 0), 0);
        for (u32 cpu = 0; cpu < workers; ++cpu) EXPECT_EQ(all[cpu], kRounds / 4);
    }
}

// The limits that a kernel of another size of memory would answer differently.
TEST(Array, MoreThanTheMachinesMemoryIsRefusedWithBothNumbers) {
    const auto map = create_map(spec(BPF_MAP_TYPE_ARRAY, 0x7fffffff, 0xffffffff));
    ASSERT_FALSE(map);
    EXPECT_EQ(map.error().code, ENOMEM);
    EXPECT_NE(map.error().message.find("machine's memory"), std::string::npos);
    const auto percpu = create_map(spec(BPF_MAP_TYPE_PERCPU_ARRAY, 32768, 0xffffffff));
    ASSERT_FALSE(percpu);
    EXPECT_EQ(percpu.error().code, ENOMEM);
}

} // namespace
} // namespace xdplane
