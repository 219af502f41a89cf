// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// LRU hashes. Whom they evict is compared with the kernel in tests/differential/map_families_kernel_test.cpp.
#include <array>
#include <atomic>
#include <cerrno>
#include <gtest/gtest.h>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "bpf/base/reclaimer.h"
#include "bpf/maps/hash.h"
#include "bpf/run/run_context.h"

namespace xdplane {
namespace {

std::shared_ptr<Map> make(u32 type, u32 value_size, u32 max_entries, u32 flags = 0) {
    auto map = create_map(
        {.type = type, .key_size = 8, .value_size = value_size, .max_entries = max_entries, .flags = flags});
    EXPECT_TRUE(map) << map.error().message;
    return map ? *map : nullptr;
}

int put(Map& map, u64 key, u64 value, u64 flags = BPF_ANY) {
    return map.ops().update(map, &key, &value, flags);
}
/// As bpf(2) looks: without leaving a mark.
bool has(Map& map, u64 key) {
    std::vector<u8> value(map.syscall_value_size());
    return map.ops().copy_value(map, &key, value.data(), 0) == 0;
}
std::set<u64> keys_of(Map& map) {
    std::set<u64> keys;
    u64 key = 0;
    for (int rc = map.ops().next_key(map, nullptr, &key); rc == 0; rc = map.ops().next_key(map, &key, &key))
        EXPECT_TRUE(keys.insert(key).second);
    return keys;
}

constexpr u32 kLruTypes[] = {BPF_MAP_TYPE_LRU_HASH, BPF_MAP_TYPE_LRU_PERCPU_HASH};

TEST(Lru, FullMapsEvictInsteadOfRefusing) {
    for (const u32 type : kLruTypes)
        for (const u32 flags : {0U, u32{BPF_F_NO_COMMON_LRU}})
            for (const u32 entries : {1U, 2U, 64U, 1000U}) {
                const auto map = make(type, 8, entries, flags);
                t_run.cpu = 0;
                for (u64 key = 0; key < 5000; ++key) {
                    ASSERT_EQ(put(*map, key, key), 0);
                    ASSERT_TRUE(has(*map, key));
                }
                const auto keys = keys_of(*map);
                EXPECT_LE(keys.size(), map->spec().max_entries);
                EXPECT_TRUE(keys.contains(4999));
            }
}

TEST(Lru, LookupsOfProgramsKeepAnEntryAndThoseOfBpfDoNot) {
    const auto map = make(BPF_MAP_TYPE_LRU_HASH, 8, 2 * 2 * num_possible_cpus());
    t_run.cpu = 0;
    const u64 kept = 1;
    const u64 read = 2;
    ASSERT_EQ(put(*map, kept, 0), 0);
    ASSERT_EQ(put(*map, read, 0), 0);
    for (u64 key = 100; key < 200; ++key) {
        ASSERT_NE(map->ops().lookup(*map, &kept), nullptr) << key;
        (void)has(*map, read);
        ASSERT_EQ(put(*map, key, 0), 0);
    }
    EXPECT_TRUE(has(*map, kept));
    EXPECT_FALSE(has(*map, read));
}

TEST(Lru, FlagsDecideWhetherTheKeyMayExist) {
    for (const u32 type : kLruTypes) {
        const auto map = make(type, 8, 8);
        EXPECT_EQ(put(*map, 1, 10, BPF_EXIST), -ENOENT);
        EXPECT_EQ(put(*map, 1, 10, BPF_NOEXIST), 0);
        EXPECT_EQ(put(*map, 1, 11, BPF_NOEXIST), -EEXIST);
        EXPECT_EQ(put(*map, 1, 12, BPF_EXIST), 0);
        EXPECT_EQ(put(*map, 1, 12, 3), -EINVAL);
        EXPECT_EQ(put(*map, 1, 12, BPF_F_LOCK), -EINVAL);
        const u64 key = 1;
        EXPECT_EQ(*static_cast<u64*>(map->ops().lookup(*map, &key)), 12U);
        EXPECT_EQ(map->ops().erase(*map, &key), 0);
        EXPECT_EQ(map->ops().erase(*map, &key), -ENOENT);
    }
}

TEST(Lru, PerCpuListsHaveTheirShareOfTheEntries) {
    const u32 cpus = num_possible_cpus();
    const auto map = make(BPF_MAP_TYPE_LRU_HASH, 8, 4 * cpus - 1, BPF_F_NO_COMMON_LRU);
    EXPECT_EQ(map->spec().max_entries, 4 * cpus);
    for (u32 cpu = 0; cpu < cpus; ++cpu) {
        t_run.cpu = cpu;
        for (u64 key = 0; key < 50; ++key) ASSERT_EQ(put(*map, u64{cpu} * 1000 + key, 0), 0);
    }
    t_run.cpu = 0;
    std::vector<u32> entries(cpus);
    for (const u64 key : keys_of(*map)) ++entries[key / 1000];
    // A full list evicts up to four at once.
    for (const u32 each : entries) {
        EXPECT_GE(each, 1U);
        EXPECT_LE(each, 4U);
    }
}

TEST(Lru, NewEntriesOfPerCpuMapsAreZeroOnOtherCpus) {
    const auto map = make(BPF_MAP_TYPE_LRU_PERCPU_HASH, 8, 2);
    const u32 cpus = num_possible_cpus();
    std::vector<u64> values(cpus, 77);
    const u64 first = 1;
    ASSERT_EQ(map->ops().store_value(*map, &first, values.data(), BPF_ANY), 0);
    t_run.cpu = cpus - 1;
    for (u64 key = 2; key < 20; ++key) {
        ASSERT_EQ(put(*map, key, key), 0);
        ASSERT_EQ(map->ops().copy_value(*map, &key, values.data(), 0), 0);
        for (u32 cpu = 0; cpu < cpus; ++cpu) ASSERT_EQ(values[cpu], cpu == cpus - 1 ? key : 0U);
    }
    t_run.cpu = 0;
}

TEST(Lru, AReaderKeepsTheValueItFoundUntilItIsQuiescent) {
    const int slot = Reclaimer::instance().online();
    const auto map = make(BPF_MAP_TYPE_LRU_HASH, 8, 2);
    ASSERT_EQ(put(*map, 1, 10), 0);
    const u64 key = 1;
    const auto* value = static_cast<u64*>(map->ops().lookup(*map, &key));
    for (u64 other = 2; other < 100; ++other) ASSERT_EQ(put(*map, other, other), 0);
    EXPECT_FALSE(has(*map, 1));
    EXPECT_EQ(*value, 10U);
    Reclaimer::instance().offline(slot);
}

struct Checked {
    u64 key;
    u64 proof;
};
u64 proof(u64 key) { return key * 0x9e3779b97f4a7c15ULL + 1; }

constexpr u32 kWorkers = 3;

/// Rounds of each worker; nobody runs ahead by so much that elements are reused under a reader
/// (hash_test.cpp).
struct Progress {
    std::array<std::atomic<u32>, kWorkers> done{};
    [[nodiscard]] u32 slowest() const {
        u32 least = ~0U;
        for (const auto& rounds : done) least = std::min(least, rounds.load(std::memory_order_relaxed));
        return least;
    }
};

void churn(Map& map, u32 worker, u32 rounds, Progress& progress) {
    t_run.cpu = worker % num_possible_cpus();
    const int slot = Reclaimer::instance().online();
    std::mt19937_64 random(worker + 1);
    std::vector<std::pair<u64, const Checked*>> held;
    for (u32 round = 0; round < rounds; ++round) {
        for (u32 packet = 0; packet < 16; ++packet) {
            const u64 key = random() % 300;
            const Checked value{key, proof(key)};
            const u64 what = random() % 8;
            if (what < 4) {
                if (const void* found = map.ops().lookup(map, &key))
                    held.emplace_back(key, static_cast<const Checked*>(found));
            } else if (what < 7) {
                // Nothing can be evicted while others have everything in their hands: as in Linux.
                const int rc = map.ops().update(map, &key, &value, BPF_ANY);
                EXPECT_TRUE(rc == 0 || rc == -ENOMEM) << rc;
            } else {
                const int rc = map.ops().erase(map, &key);
                EXPECT_TRUE(rc == 0 || rc == -ENOENT) << rc;
            }
        }
        for (const auto& [key, value] : held) {
            EXPECT_EQ(value->key, key);
            EXPECT_EQ(value->proof, proof(key));
        }
        held.clear();
        Reclaimer::instance().quiescent(slot);
        const u32 mine = progress.done[worker].fetch_add(1, std::memory_order_relaxed) + 1;
        while (progress.slowest() + 4 < mine) std::this_thread::yield();
    }
    Reclaimer::instance().offline(slot);
}

TEST(Lru, WorkersAndControlThreadAtOnce) {
    for (const u32 flags : {0U, u32{BPF_F_NO_COMMON_LRU}})
        for (const u32 entries : {8U, 120U}) {
            const auto map = make(BPF_MAP_TYPE_LRU_HASH, sizeof(Checked), entries, flags);
            constexpr u32 kRounds = 400;
            Progress progress;
            std::vector<std::thread> workers;
            for (u32 worker = 0; worker < kWorkers; ++worker)
                workers.emplace_back([&, worker] { churn(*map, worker, kRounds, progress); });
            t_run.cpu = 0;
            while (progress.slowest() < kRounds) {
                u64 key = 0;
                u32 steps = 0;
                for (int rc = map->ops().next_key(*map, nullptr, &key); rc == 0 && steps < 200;
                     rc = map->ops().next_key(*map, &key, &key), ++steps) {
                    Checked value{};
                    if (map->ops().copy_value(*map, &key, &value, 0) == 0) {
                        EXPECT_EQ(value.proof, proof(key));
                    }
                }
                std::this_thread::yield();
            }
            for (std::thread& worker : workers) worker.join();
            EXPECT_LE(keys_of(*map).size(), map->spec().max_entries);
            // Nothing was lost on the way: as many entries as before fit, one after the other.
            for (u64 key = 1000; key < 1000 + 3 * u64{entries}; ++key) {
                const Checked value{key, proof(key)};
                ASSERT_EQ(map->ops().update(*map, &key, &value, BPF_ANY), 0);
            }
            EXPECT_FALSE(keys_of(*map).empty());
        }
}

} // namespace
} // namespace xdplane
