// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Hashes whose small entries lie in lines: keys of one line, which has two slots, and a chain for the others.
#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <gtest/gtest.h>
#include <set>
#include <thread>
#include <vector>

#include "bpf/maps/hash.h"
#include "bpf/run/run_context.h"
#include "tests/support/line_keys.h"
#include "tests/support/reader.h"

namespace xdplane {
namespace {

constexpr u32 kEntries = 12;

/// Two words, of which the second follows from the first: in one element with a key of 8 bytes.
struct Value {
    u64 first;
    u64 second;
};
Value whole(u64 first) { return {first, ~first * 3}; }
bool is_whole(const Value& value) { return value.second == ~value.first * 3; }

class HashLine : public testing::Test {
protected:
    HashLine() : map_(make(kEntries)), keys_(keys_of_one_line(kEntries + 4)) { t_run.cpu = 0; }

    static std::shared_ptr<Map> make(u32 entries) {
        auto map = create_map(
            {.type = BPF_MAP_TYPE_HASH, .key_size = 8, .value_size = sizeof(Value), .max_entries = entries});
        EXPECT_TRUE(map) << map.error().message;
        return map ? *map : nullptr;
    }
    int put(u64 key, u64 first, u64 flags = BPF_ANY) {
        const Value value = whole(first);
        return map_->ops().update(*map_, &key, &value, flags);
    }
    int erase(u64 key) { return map_->ops().erase(*map_, &key); }
    const Value* find(u64 key) { return static_cast<const Value*>(map_->ops().lookup(*map_, &key)); }
    void fill() {
        for (u32 i = 0; i < kEntries; ++i) ASSERT_EQ(put(keys_[i], i, BPF_NOEXIST), 0);
    }
    static u64 line_of(const Value* value) { return reinterpret_cast<u64>(value) / kCacheLine; }
    std::set<u64> in_order() {
        std::set<u64> seen;
        u64 key = 0;
        for (int rc = map_->ops().next_key(*map_, nullptr, &key); rc == 0;
             rc = map_->ops().next_key(*map_, &key, &key))
            EXPECT_TRUE(seen.insert(key).second) << key;
        return seen;
    }

    std::shared_ptr<Map> map_;
    std::vector<u64> keys_; ///< more than fit into the map
};

TEST_F(HashLine, FillsUpToItsCapacityWithKeysOfOneLine) {
    fill();
    EXPECT_EQ(put(keys_[kEntries], 0), -E2BIG);
    u32 in_line = 0;
    for (u32 i = 0; i < kEntries; ++i) {
        ASSERT_NE(find(keys_[i]), nullptr) << i;
        EXPECT_EQ(find(keys_[i])->first, i);
        in_line += line_of(find(keys_[i])) == line_of(find(keys_[0]));
    }
    EXPECT_EQ(in_line, 2U);
    EXPECT_EQ(find(keys_[kEntries]), nullptr);
    EXPECT_EQ(in_order(), std::set<u64>(keys_.begin(), keys_.begin() + kEntries));
}

TEST_F(HashLine, EntriesOfSlotsAndChainAreDeleted) {
    // From the front, from the back, every second one.
    for (const auto& [begin, step] :
         {std::pair{0, 1}, std::pair{static_cast<int>(kEntries) - 1, -1}, std::pair{0, 2}}) {
        fill();
        std::set<u64> left(keys_.begin(), keys_.begin() + kEntries);
        for (int i = begin; i >= 0 && i < static_cast<int>(kEntries); i += step) {
            const u64 key = keys_[static_cast<u32>(i)];
            ASSERT_EQ(erase(key), 0);
            EXPECT_EQ(erase(key), -ENOENT);
            left.erase(key);
            EXPECT_EQ(find(key), nullptr);
            for (const u64 other : left) ASSERT_NE(find(other), nullptr);
            ASSERT_EQ(in_order(), left);
        }
        for (const u64 key : left) ASSERT_EQ(erase(key), 0);
    }
}

TEST_F(HashLine, AReaderKeepsEveryValueThatItFound) {
    const Reader reader;
    std::vector<std::pair<u64, const Value*>> held;
    fill();
    for (u64 first = 100; first < 103; ++first)
        for (u32 i = 0; i < 4; ++i) {
            held.emplace_back(find(keys_[i])->first, find(keys_[i]));
            ASSERT_EQ(put(keys_[i], first), 0);
            ASSERT_EQ(find(keys_[i])->first, first);
        }
    for (u32 i = 0; i < kEntries; ++i) {
        held.emplace_back(find(keys_[i])->first, find(keys_[i]));
        ASSERT_EQ(erase(keys_[i]), 0);
    }
    for (u32 i = 0; i < kEntries; ++i) ASSERT_EQ(put(keys_[kEntries + 3 - i], 200), 0);
    std::set<const Value*> places;
    for (const auto& [first, value] : held) {
        EXPECT_TRUE(places.insert(value).second);
        EXPECT_EQ(value->first, first);
        EXPECT_TRUE(is_whole(*value));
    }
}

TEST_F(HashLine, SlotsAreUsedAgainOnceReadersArePast) {
    const Reader reader;
    ASSERT_EQ(put(keys_[0], 0), 0);
    ASSERT_EQ(put(keys_[1], 0), 0);
    const u64 line = line_of(find(keys_[0]));
    ASSERT_EQ(erase(keys_[0]), 0);
    ASSERT_EQ(erase(keys_[1]), 0);
    ASSERT_EQ(put(keys_[2], 0), 0);
    EXPECT_NE(line_of(find(keys_[2])), line);
    // Stamps are taken in batches, so a slot may have to wait for two quiescent points.
    u32 in_line = 0;
    for (u32 i = 0; i < 99; ++i) {
        reader.quiescent();
        ASSERT_EQ(put(keys_[2], i), 0);
        in_line += line_of(find(keys_[2])) == line;
    }
    EXPECT_GE(in_line, 33U);
}

// What `bpftool map update` in a loop does, and whoever ages entries.
TEST_F(HashLine, IterationVisitsEveryKeyOnceWhileTheyAreUpdatedOrDeleted) {
    const Reader reader;
    for (const bool deletes : {true, false}) {
        fill();
        std::multiset<u64> seen;
        u64 key = 0;
        u64 next = 0;
        for (int rc = map_->ops().next_key(*map_, nullptr, &key); rc == 0; key = next) {
            seen.insert(key);
            ASSERT_EQ(put(key, 7), 0);
            rc = map_->ops().next_key(*map_, &key, &next);
            if (deletes) {
                ASSERT_EQ(erase(key), 0);
            }
        }
        EXPECT_EQ(seen, std::multiset<u64>(keys_.begin(), keys_.begin() + kEntries));
        for (u32 i = 0; i < kEntries; ++i) EXPECT_EQ(find(keys_[i]) == nullptr, deletes);
    }
}

TEST_F(HashLine, ForEachVisitsEveryKeyOnceWhileTheyAreUpdatedOrDeleted) {
    struct Context {
        Map* map;
        std::multiset<u64> seen;
        bool deletes;
    };
    for (const bool deletes : {true, false}) {
        fill();
        Context context{map_.get(), {}, deletes};
        const auto each = [](void* pointer, const void* key, void*) noexcept -> u64 {
            auto& at = *static_cast<Context*>(pointer);
            at.seen.insert(*static_cast<const u64*>(key));
            const u64 own = *static_cast<const u64*>(key);
            const Value value = whole(9);
            EXPECT_EQ(at.map->ops().update(*at.map, &own, &value, BPF_EXIST), 0);
            if (at.deletes) {
                EXPECT_EQ(at.map->ops().erase(*at.map, &own), 0);
            }
            return 0;
        };
        {
            const Reader reader;
            EXPECT_EQ(map_->ops().for_each(*map_, each, &context), kEntries);
        }
        EXPECT_EQ(context.seen, std::multiset<u64>(keys_.begin(), keys_.begin() + kEntries));
        for (u32 i = 0; i < kEntries; ++i) EXPECT_EQ(find(keys_[i]) == nullptr, deletes);
    }
}

TEST_F(HashLine, BatchesTakeWholeLines) {
    fill();
    std::array<u64, kEntries> keys{};
    std::array<Value, kEntries> values{};
    u32 cursor = 0;
    MapBatch batch{.keys = reinterpret_cast<u8*>(keys.data()),
                   .values = reinterpret_cast<u8*>(values.data()),
                   .room = kEntries - 1};
    EXPECT_EQ(map_->ops().copy_batch(*map_, cursor, batch, true), -ENOSPC);
    batch.room = kEntries;
    EXPECT_EQ(map_->ops().copy_batch(*map_, cursor, batch, true), -ENOENT);
    EXPECT_EQ(batch.count, kEntries);
    EXPECT_EQ(std::set<u64>(keys.begin(), keys.end()),
              std::set<u64>(keys_.begin(), keys_.begin() + kEntries));
    EXPECT_TRUE(std::ranges::all_of(values, is_whole));
    EXPECT_TRUE(in_order().empty());
    fill();
}

TEST_F(HashLine, BytesPerEntry) {
    const auto lines = [](u32 entries) {
        const u64 elements = u64{entries} + HashMap::spares();
        const u64 all = make(entries)->memory_bytes();
        // The elements of chains, and 4 bytes for each element, are reserved besides.
        return static_cast<double>(all - elements * 36) / entries / (64 + 2 * 4) * 64;
    };
    EXPECT_NEAR(lines(1U << 20), 128, 1);
    EXPECT_NEAR(lines(1'000'000), 134, 1);
    EXPECT_NEAR(lines(600'000), 112, 1);
    EXPECT_NEAR(lines(1U << 21), 64, 1);
}

/// Updates move keys from slot to slot, into the chain and back, and a reader misses none of them. While it
/// is quiescent often enough for the spares to last, it sees no value torn.
void look_while_keys_move(u32 keys_in_use, bool quiescent) {
    auto map = create_map(
        {.type = BPF_MAP_TYPE_HASH, .key_size = 8, .value_size = sizeof(Value), .max_entries = kEntries});
    ASSERT_TRUE(map);
    Map& at = **map;
    const std::vector<u64> keys = keys_of_one_line(keys_in_use + 1);
    const auto put = [&](u64 key, u64 first) {
        const Value value = whole(first);
        return at.ops().update(at, &key, &value, BPF_ANY);
    };
    for (const u64 key : keys) ASSERT_EQ(put(key, 0), 0);
    std::atomic<bool> done{false};
    std::atomic<u64> rounds{0}; // of the reader
    std::thread writer([&] {
        t_run.cpu = 1 % num_possible_cpus();
        for (u64 i = 0; i < 20'000; ++i) {
            if (i % 50 == 0) {
                const u64 before = rounds.load(std::memory_order_relaxed);
                while (quiescent && rounds.load(std::memory_order_relaxed) == before)
                    std::this_thread::yield();
            }
            EXPECT_EQ(put(keys[i % keys_in_use], i), 0);
            if (i % 3 != 0) continue; // this one comes and goes
            EXPECT_EQ(at.ops().erase(at, &keys[keys_in_use]), 0);
            EXPECT_EQ(put(keys[keys_in_use], i), 0);
        }
        done = true;
    });
    t_run.cpu = 0;
    const Reader reader;
    u64 lost = 0;
    u64 torn = 0;
    while (!done.load(std::memory_order_relaxed)) {
        for (u32 i = 0; i < keys_in_use; ++i) {
            const auto* value = static_cast<const Value*>(at.ops().lookup(at, &keys[i]));
            lost += value == nullptr;
            if (value == nullptr) continue;
            const Value copy{__atomic_load_n(&value->first, __ATOMIC_RELAXED),
                             __atomic_load_n(&value->second, __ATOMIC_RELAXED)};
            torn += quiescent && !is_whole(copy);
        }
        if (quiescent) reader.quiescent();
        if (rounds.fetch_add(1, std::memory_order_relaxed) % 8 == 0) std::this_thread::yield();
    }
    writer.join();
    EXPECT_EQ(lost, 0U);
    EXPECT_EQ(torn, 0U);
}

TEST(HashLineThreads, KeysThatMoveAreAlwaysFound) {
    for (const u32 keys : {1U, 2U, 3U, 6U}) look_while_keys_move(keys, true);
}

// The spares run out, and elements of the chain are reused under the reader; slots are not.
TEST(HashLineThreads, KeysThatMoveAreAlwaysFoundByAReaderThatIsNeverQuiescent) {
    for (const u32 keys : {2U, 6U}) look_while_keys_move(keys, false);
}

} // namespace
} // namespace xdplane
