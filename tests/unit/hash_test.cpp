// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/maps/hash.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <gtest/gtest.h>
#include <map>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "bpf/run/run_context.h"
#include "tests/support/reader.h"

namespace xdplane {
namespace {

std::shared_ptr<Map> make(u32 type, u32 key_size, u32 value_size, u32 max_entries, u32 flags = 0) {
    auto map = create_map({.type = type,
                           .key_size = key_size,
                           .value_size = value_size,
                           .max_entries = max_entries,
                           .flags = flags});
    EXPECT_TRUE(map) << map.error().message;
    return map ? *map : nullptr;
}

u64* find(Map& map, u64 key) { return static_cast<u64*>(map.ops().lookup(map, &key)); }
int put(Map& map, u64 key, u64 value, u64 flags = BPF_ANY) {
    return map.ops().update(map, &key, &value, flags);
}
int erase(Map& map, u64 key) { return map.ops().erase(map, &key); }

TEST(Hash, FlagsDecideWhetherTheKeyMayExist) {
    const auto map = make(BPF_MAP_TYPE_HASH, 8, 8, 2);
    EXPECT_EQ(find(*map, 1), nullptr);
    EXPECT_EQ(put(*map, 1, 10, BPF_EXIST), -ENOENT);
    EXPECT_EQ(put(*map, 1, 10, BPF_NOEXIST), 0);
    EXPECT_EQ(put(*map, 1, 11, BPF_NOEXIST), -EEXIST);
    EXPECT_EQ(put(*map, 1, 12, BPF_EXIST), 0);
    EXPECT_EQ(*find(*map, 1), 12U);
    EXPECT_EQ(put(*map, 1, 12, 3), -EINVAL);
    EXPECT_EQ(put(*map, 1, 12, BPF_F_LOCK), -EINVAL);
    EXPECT_EQ(put(*map, 2, 20), 0);
    EXPECT_EQ(put(*map, 3, 30), -E2BIG);
    EXPECT_EQ(put(*map, 2, 21), 0);
    EXPECT_EQ(erase(*map, 1), 0);
    EXPECT_EQ(erase(*map, 1), -ENOENT);
    EXPECT_EQ(put(*map, 3, 30), 0);
}

TEST(Hash, KeysAndValuesOfEverySize) {
    std::mt19937_64 random(1);
    for (u32 key_size = 1; key_size <= 70; ++key_size) {
        for (const u32 value_size : {1U, 4U, 7U, 8U, 24U, 65U}) {
            const auto map = make(BPF_MAP_TYPE_HASH, key_size, value_size, 64);
            std::map<std::vector<u8>, std::vector<u8>> model;
            for (u32 step = 0; step < 40; ++step) {
                std::vector<u8> key(key_size, 3);
                key[random() % key_size] = static_cast<u8>(random() % 3);
                std::vector<u8> value(value_size);
                for (u8& byte : value) byte = static_cast<u8>(random());
                ASSERT_EQ(map->ops().update(*map, key.data(), value.data(), BPF_ANY), 0);
                model[key] = value;
            }
            for (const auto& [key, value] : model) {
                const u8* found = static_cast<u8*>(map->ops().lookup(*map, key.data()));
                ASSERT_NE(found, nullptr);
                ASSERT_EQ(reinterpret_cast<u64>(found) % 8, 0U);
                ASSERT_EQ(std::vector<u8>(found, found + value_size), value);
            }
        }
    }
}

TEST(Hash, AReaderKeepsTheValueItFoundUntilItIsQuiescent) {
    Reader reader;
    const auto map = make(BPF_MAP_TYPE_HASH, 8, 8, 4);
    ASSERT_EQ(put(*map, 1, 10), 0);
    const u64* before = find(*map, 1);
    ASSERT_EQ(put(*map, 1, 11), 0);
    const u64* after = find(*map, 1);
    EXPECT_NE(before, after);
    EXPECT_EQ(*before, 10U);
    EXPECT_EQ(*after, 11U);
    ASSERT_EQ(erase(*map, 1), 0);
    for (u64 i = 0; i < 50; ++i) {
        ASSERT_EQ(put(*map, 2, i), 0);
        ASSERT_EQ(erase(*map, 2), 0);
    }
    EXPECT_EQ(*before, 10U);
    EXPECT_EQ(*after, 11U);
}

// A program may delete and insert as often as it likes before its burst ends; the capacity stays exact.
TEST(Hash, CapacityIsExactWithinABurst) {
    Reader reader; // never quiescent
    const auto map = make(BPF_MAP_TYPE_HASH, 8, 8, 3);
    for (u64 key = 0; key < 3; ++key) ASSERT_EQ(put(*map, key, key), 0);
    for (u64 key = 3; key < 20'000; ++key) {
        ASSERT_EQ(put(*map, key, key), -E2BIG);
        ASSERT_EQ(put(*map, key - 1, key), 0); // replaces
        ASSERT_EQ(erase(*map, key - 3), 0);
        ASSERT_EQ(put(*map, key, key), 0);
        ASSERT_EQ(find(*map, key - 3), nullptr);
        ASSERT_EQ(*find(*map, key - 1), key);
        ASSERT_EQ(*find(*map, key), key);
    }
}

TEST(Hash, ElementsAreReusedAfterQuiescence) {
    Reader reader;
    const auto map = make(BPF_MAP_TYPE_HASH, 8, 8, 1);
    std::set<const u64*> addresses;
    for (u64 i = 0; i < 10'000; ++i) {
        ASSERT_EQ(put(*map, 1, i), 0);
        addresses.insert(find(*map, 1));
        reader.quiescent();
    }
    EXPECT_LE(addresses.size(), 8U);
}

TEST(Hash, IterationVisitsEveryKeyOnceInTheSameOrderEveryRun) {
    std::vector<u64> orders[2];
    for (auto& order : orders) {
        const auto map = make(BPF_MAP_TYPE_HASH, 8, 8, 1000);
        for (u64 key = 0; key < 1000; ++key) ASSERT_EQ(put(*map, key * 977, key), 0);
        u64 key = 0;
        for (int rc = map->ops().next_key(*map, nullptr, &key); rc == 0;
             rc = map->ops().next_key(*map, &key, &key))
            order.push_back(key);
        EXPECT_EQ(order.size(), 1000U);
        EXPECT_EQ(std::set<u64>(order.begin(), order.end()).size(), 1000U);
        u64 first = 0;
        const u64 unknown = 1;
        ASSERT_EQ(map->ops().next_key(*map, &unknown, &first), 0);
        EXPECT_EQ(first, order[0]);
    }
    EXPECT_EQ(orders[0], orders[1]);
}

TEST(Hash, TheSecretChangesTheOrderButNotOfZeroSeedMaps) {
    const auto order = [](u32 flags) {
        const auto map = make(BPF_MAP_TYPE_HASH, 8, 8, 100, flags);
        for (u64 key = 0; key < 100; ++key) EXPECT_EQ(put(*map, key, key), 0);
        std::vector<u64> keys;
        u64 key = 0;
        for (int rc = map->ops().next_key(*map, nullptr, &key); rc == 0;
             rc = map->ops().next_key(*map, &key, &key))
            keys.push_back(key);
        return keys;
    };
    const auto plain = order(0);
    set_hash_secret(0x1234567);
    EXPECT_NE(order(0), plain);
    EXPECT_EQ(order(BPF_F_ZERO_SEED), plain);
    set_hash_secret(0);
    EXPECT_EQ(order(0), plain);
}

TEST(PercpuHash, NewEntriesAreZeroOnOtherCpusAndUpdatesAreInPlace) {
    const auto map = make(BPF_MAP_TYPE_PERCPU_HASH, 8, 8, 4);
    const u32 cpus = num_possible_cpus();
    t_run.cpu = cpus - 1;
    ASSERT_EQ(put(*map, 5, 50), 0);
    const u64* value = find(*map, 5);
    ASSERT_EQ(put(*map, 5, 51), 0);
    EXPECT_EQ(find(*map, 5), value);
    EXPECT_EQ(*value, 51U);
    t_run.cpu = 0;
    if (cpus > 1) {
        EXPECT_EQ(*find(*map, 5), 0U);
    }
    std::vector<u64> all(cpus);
    const u64 key = 5;
    ASSERT_EQ(map->ops().copy_value(*map, &key, all.data(), 0), 0);
    EXPECT_EQ(all[cpus - 1], 51U);
    for (u32 cpu = 0; cpu < cpus; ++cpu) all[cpu] = 7 + cpu;
    ASSERT_EQ(map->ops().store_value(*map, &key, all.data(), BPF_EXIST), 0);
    EXPECT_EQ(*value, 7U + cpus - 1);
    EXPECT_EQ(*static_cast<u64*>(map->ops().lookup_cpu(*map, &key, 0)), 7U);
    ASSERT_EQ(erase(*map, 5), 0);
    ASSERT_EQ(put(*map, 6, 1), 0); // reuses memory: nothing of the old entry shines through
    const u64 other = 6;
    ASSERT_EQ(map->ops().copy_value(*map, &other, all.data(), 0), 0);
    EXPECT_EQ(all[0], 1U);
    if (cpus > 1) {
        EXPECT_EQ(all[1], 0U);
    }
}

TEST(Hash, LimitsAreRefusedWithAReason) {
    const auto code = [](u32 type, u32 key, u32 value, u32 entries, u32 flags) {
        const auto map = create_map(
            {.type = type, .key_size = key, .value_size = value, .max_entries = entries, .flags = flags});
        EXPECT_FALSE(map);
        if (map) return 0;
        EXPECT_FALSE(map.error().message.empty());
        return map.error().code;
    };
    EXPECT_EQ(code(BPF_MAP_TYPE_HASH, 8, 4096, 1U << 30, 0), ENOMEM);
    EXPECT_EQ(code(BPF_MAP_TYPE_HASH, 8, 8, (1U << 31) + 1, 0), E2BIG);
    EXPECT_EQ(code(BPF_MAP_TYPE_HASH, 8, 8, 1U << 31, BPF_F_NO_PREALLOC), ENOMEM);
}

/// A value that says whether it is whole: the second word is a function of key and first word. Maps of
/// kSmall bytes have them in lines, those of all bytes in chains.
struct Checked {
    u64 version;
    u64 proof;
    u64 rest;
};
constexpr u32 kSmall = 16;
u64 proof(u64 key, u64 version) {
    return (key * 0x9e3779b97f4a7c15ULL) ^ (version + 1) * 0xff51afd7ed558ccdULL;
}

constexpr u32 kWorkers = 3;
constexpr u32 kRounds = 1000;

/// Rounds done by each worker. Nobody runs ahead of the slowest by more than kLag, so that what is replaced
/// while a worker is descheduled stays below HashMap::spares(): beyond that values may change under a reader.
/// And all wait for the control thread after kRoundsPerLook.
struct Progress {
    static constexpr u32 kLag = 4;
    static constexpr u32 kRoundsPerLook = 50;
    std::array<std::atomic<u32>, kWorkers> done{};
    std::atomic<u32> looks{0}; ///< of the control thread

    [[nodiscard]] u32 slowest() const {
        u32 least = ~0U;
        for (const auto& rounds : done) least = std::min(least, rounds.load(std::memory_order_relaxed));
        return least;
    }
    void finish_round(u32 worker) {
        const u32 mine = done[worker].fetch_add(1, std::memory_order_relaxed) + 1;
        while (slowest() + kLag < mine || (looks.load(std::memory_order_relaxed) + 1) * kRoundsPerLook < mine)
            std::this_thread::yield();
    }
};

void hammer(Map& map, u32 worker, Progress& progress, std::atomic<u64>& hits) {
    t_run.cpu = worker % num_possible_cpus();
    Reader reader;
    std::mt19937_64 random(worker + 1);
    std::vector<std::pair<u64, const Checked*>> held;
    for (u32 round = 0; round < kRounds; ++round) {
        for (u32 packet = 0; packet < 16; ++packet) {
            const u64 key = random() % 97;
            const u64 version = random();
            const Checked value{version, proof(key, version), 0};
            switch (random() % 4) {
            case 0: {
                const int rc = map.ops().update(map, &key, &value, random() % 3);
                EXPECT_TRUE(rc == 0 || rc == -E2BIG || rc == -EEXIST || rc == -ENOENT) << rc;
                break;
            }
            case 1: {
                const int rc = map.ops().erase(map, &key);
                EXPECT_TRUE(rc == 0 || rc == -ENOENT) << rc;
                break;
            }
            default:
                if (const void* found = map.ops().lookup(map, &key))
                    held.emplace_back(key, static_cast<const Checked*>(found));
            }
        }
        // Whatever was found in this burst is still what it was, whole.
        for (const auto& [key, value] : held)
            EXPECT_EQ(value->proof, proof(key, value->version)) << "key " << key;
        hits.fetch_add(held.size(), std::memory_order_relaxed);
        held.clear();
        reader.quiescent();
        progress.finish_round(worker);
    }
}

/// Iterates as bpftool does, reads every value, and updates one entry for each round of the workers.
void iterate_and_update(Map& map, Progress& progress) {
    u32 last = 0;
    u64 seen = 0;
    for (; progress.slowest() < kRounds; progress.looks.fetch_add(1, std::memory_order_relaxed)) {
        u64 key = 0;
        u32 steps = 0;
        for (int rc = map.ops().next_key(map, nullptr, &key); rc == 0 && steps < 200;
             rc = map.ops().next_key(map, &key, &key), ++steps) {
            ASSERT_LT(key, 97U);
            Checked value{};
            const int found = map.ops().copy_value(map, &key, &value, 0);
            ASSERT_TRUE(found == 0 || found == -ENOENT);
            if (found != 0) continue;
            ASSERT_EQ(value.proof, proof(key, value.version));
            ++seen;
            if (progress.slowest() == last) continue;
            last = progress.slowest();
            const Checked fresh{seen, proof(key, seen), 0};
            (void)map.ops().store_value(map, &key, &fresh, BPF_EXIST);
        }
    }
    EXPECT_GT(seen, 0U);
}

// Three workers and a control thread. max_entries is less than the keys in use, so that inserts fail too.
void run_all_at_once(u32 value_size) {
    const auto map = make(BPF_MAP_TYPE_HASH, 8, value_size, 40);
    std::atomic<u64> hits{0};
    Progress progress;
    std::vector<std::thread> workers;
    for (u32 worker = 0; worker < kWorkers; ++worker)
        workers.emplace_back([&, worker] { hammer(*map, worker, progress, hits); });
    t_run.cpu = 0;
    iterate_and_update(*map, progress);
    for (std::thread& worker : workers) worker.join();
    EXPECT_GT(hits.load(), 0U);
    // Afterwards the count is what iteration finds: exactly the rest can be inserted.
    u32 entries = 0;
    u64 key = 0;
    for (int rc = map->ops().next_key(*map, nullptr, &key); rc == 0;
         rc = map->ops().next_key(*map, &key, &key))
        ++entries;
    const Checked value{};
    for (u64 added = 1000; entries < 40; ++entries, ++added)
        ASSERT_EQ(map->ops().update(*map, &added, &value, BPF_NOEXIST), 0);
    const u64 more = 5000;
    EXPECT_EQ(map->ops().update(*map, &more, &value, BPF_NOEXIST), -E2BIG);
}

TEST(Hash, WorkersAndControlThreadAtOnce) { run_all_at_once(sizeof(Checked)); }
TEST(Hash, WorkersAndControlThreadAtOnceInLines) { run_all_at_once(kSmall); }

/// Keys that never leave the map are found by every lookup, whatever happens around them in their chains.
void look_for_keys_that_stay(u32 value_size, bool quiescent) {
    const auto map = make(BPF_MAP_TYPE_HASH, 8, value_size, 8); // few buckets for 104 keys
    const auto put = [](Map& to, u64 key, u64 word, u64 flags = BPF_ANY) {
        const Checked value{word, 0, 0};
        return to.ops().update(to, &key, &value, flags);
    };
    for (u64 key = 0; key < 4; ++key) ASSERT_EQ(put(*map, key, 0), 0);
    constexpr u64 kChanges = 100'000;
    std::atomic<u64> changes{0};
    std::atomic<bool> lost{false};
    std::vector<std::thread> writers;
    for (u64 writer = 0; writer < 2; ++writer)
        writers.emplace_back([&, writer] {
            t_run.cpu = static_cast<u32>(writer) % num_possible_cpus();
            for (u64 i = 1; changes.load(std::memory_order_relaxed) < kChanges && !lost; ++i) {
                ASSERT_EQ(put(*map, (i + writer) % 4, i, BPF_EXIST), 0);
                const u64 goes = 100 + writer + i % 50 * 2;
                ASSERT_EQ(put(*map, goes, i, BPF_NOEXIST), 0);
                ASSERT_EQ(erase(*map, goes), 0);
                changes.fetch_add(1, std::memory_order_relaxed);
            }
        });
    t_run.cpu = 0;
    {
        Reader reader;
        while (changes.load(std::memory_order_relaxed) < kChanges && !lost) {
            for (u64 key = 0; key < 4; ++key)
                if (find(*map, key) == nullptr) lost = true;
            if (quiescent) reader.quiescent();
        }
    }
    for (std::thread& writer : writers) writer.join();
    EXPECT_FALSE(lost);
}

TEST(Hash, KeysThatStayAreAlwaysFound) { look_for_keys_that_stay(sizeof(Checked), true); }
TEST(Hash, KeysThatStayAreAlwaysFoundInLines) { look_for_keys_that_stay(kSmall, true); }

// The spares run out, and elements are reused under the reader.
TEST(Hash, KeysThatStayAreAlwaysFoundByAReaderThatIsNeverQuiescent) {
    look_for_keys_that_stay(sizeof(Checked), false);
    look_for_keys_that_stay(kSmall, false);
}

} // namespace
} // namespace xdplane
