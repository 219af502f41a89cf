// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/maps/lpm_trie.h"

#include <algorithm>
#include <cerrno>
#include <gtest/gtest.h>
#include <map>
#include <random>
#include <thread>
#include <tuple>
#include <vector>

#include "bpf/base/reclaimer.h"

namespace xdplane {
namespace {

using Bytes = std::vector<u8>;

std::shared_ptr<Map> make(u32 data_size, u32 value_size, u32 max_entries) {
    auto map = create_map({.type = BPF_MAP_TYPE_LPM_TRIE,
                           .key_size = 4 + data_size,
                           .value_size = value_size,
                           .max_entries = max_entries,
                           .flags = BPF_F_NO_PREALLOC});
    EXPECT_TRUE(map) << map.error().message;
    return map ? *map : nullptr;
}

struct V4 {
    u32 length;
    u8 data[4];
};
V4 v4(u32 length, u32 address) {
    return {length,
            {static_cast<u8>(address >> 24), static_cast<u8>(address >> 16), static_cast<u8>(address >> 8),
             static_cast<u8>(address)}};
}
u64* find(Map& map, const V4& key) { return static_cast<u64*>(map.ops().lookup(map, &key)); }
int put(Map& map, const V4& key, u64 value, u64 flags = BPF_ANY) {
    return map.ops().update(map, &key, &value, flags);
}
int erase(Map& map, const V4& key) { return map.ops().erase(map, &key); }

TEST(LpmTrie, TheLongestPrefixWins) {
    const auto map = make(4, 8, 10);
    EXPECT_EQ(find(*map, v4(32, 0x0a010203)), nullptr);
    ASSERT_EQ(put(*map, v4(8, 0x0a000000), 8), 0);
    ASSERT_EQ(put(*map, v4(24, 0x0a010200), 24), 0);
    ASSERT_EQ(put(*map, v4(32, 0x0a010203), 32), 0);
    EXPECT_EQ(*find(*map, v4(32, 0x0a010203)), 32U);
    EXPECT_EQ(*find(*map, v4(32, 0x0a010204)), 24U);
    EXPECT_EQ(*find(*map, v4(32, 0x0a020304)), 8U);
    EXPECT_EQ(find(*map, v4(32, 0x0b000000)), nullptr);
    // A shorter key finds only what is no longer than it.
    EXPECT_EQ(*find(*map, v4(31, 0x0a010203)), 24U);
    EXPECT_EQ(*find(*map, v4(23, 0x0a010203)), 8U);
    EXPECT_EQ(find(*map, v4(7, 0x0a010203)), nullptr);
    ASSERT_EQ(put(*map, v4(0, 0), 1), 0);
    EXPECT_EQ(*find(*map, v4(32, 0x0b000000)), 1U);
    EXPECT_EQ(*find(*map, v4(0, 0x0b000000)), 1U);
    EXPECT_EQ(find(*map, v4(33, 0)), nullptr);
    ASSERT_EQ(erase(*map, v4(24, 0x0a010200)), 0);
    EXPECT_EQ(*find(*map, v4(32, 0x0a010204)), 8U);
    EXPECT_EQ(*find(*map, v4(32, 0x0a010203)), 32U);
}

TEST(LpmTrie, EveryErrorHasItsNumber) {
    const auto map = make(4, 8, 2);
    EXPECT_EQ(put(*map, v4(33, 0), 1), -EINVAL);
    EXPECT_EQ(put(*map, v4(8, 0), 1, 3), -EINVAL);
    EXPECT_EQ(put(*map, v4(8, 0), 1, BPF_F_LOCK), -EINVAL);
    EXPECT_EQ(put(*map, v4(8, 0), 1, BPF_EXIST), -ENOENT);
    EXPECT_EQ(put(*map, v4(8, 0), 1, BPF_NOEXIST), 0);
    EXPECT_EQ(put(*map, v4(8, 0), 1, BPF_NOEXIST), -EEXIST);
    EXPECT_EQ(put(*map, v4(8, 0), 2, BPF_EXIST), 0);
    EXPECT_EQ(put(*map, v4(9, 0), 3), 0);
    EXPECT_EQ(put(*map, v4(10, 0), 4), -ENOSPC);
    EXPECT_EQ(put(*map, v4(10, 0), 4, BPF_EXIST), -ENOENT);
    EXPECT_EQ(put(*map, v4(9, 0), 5), 0);
    EXPECT_EQ(erase(*map, v4(33, 0)), -EINVAL);
    EXPECT_EQ(erase(*map, v4(10, 0)), -ENOENT);
    EXPECT_EQ(erase(*map, v4(9, 0)), 0);
    EXPECT_EQ(erase(*map, v4(9, 0)), -ENOENT);
    EXPECT_EQ(put(*map, v4(10, 0), 4), 0);
    const auto missing = create_map(
        {.type = BPF_MAP_TYPE_LPM_TRIE, .key_size = 8, .value_size = 4, .max_entries = 1, .flags = 0});
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code, EINVAL);
}

/// What the trie should hold: prefixes as strings of bits.
class Model {
public:
    static std::string bits_of(const Bytes& key) {
        u32 length;
        std::memcpy(&length, key.data(), 4);
        std::string bits;
        for (u32 i = 0; i < length; ++i) bits += (key[4 + i / 8] >> (7 - i % 8) & 1) != 0 ? '1' : '0';
        return bits;
    }
    void put(const Bytes& key, u64 value) { entries_[bits_of(key)] = value; }
    bool erase(const Bytes& key) { return entries_.erase(bits_of(key)) != 0; }
    const u64* find(const Bytes& key) const {
        for (std::string bits = bits_of(key);; bits.pop_back()) {
            if (const auto it = entries_.find(bits); it != entries_.end()) return &it->second;
            if (bits.empty()) return nullptr;
        }
    }
    [[nodiscard]] std::size_t size() const { return entries_.size(); }

private:
    std::map<std::string, u64> entries_;
};

Bytes random_key(std::mt19937& random, u32 data_size) {
    Bytes key(4 + data_size);
    const u32 length = random() % 3 == 0 ? data_size * 8 : random() % (data_size * 8 + 1);
    std::memcpy(key.data(), &length, 4);
    for (u32 i = 4; i < key.size(); ++i)
        if (random() % 2 == 0) key[i] = static_cast<u8>(3U << random() % 7);
    return key;
}

TEST(LpmTrie, AgreesWithAModelForKeysOfEverySize) {
    std::mt19937 random(3);
    for (const u32 data_size : {1U, 2U, 3U, 4U, 7U, 8U, 9U, 12U, 16U, 17U, 64U, 256U}) {
        const auto map = make(data_size, 8, 400);
        Model model;
        for (u32 step = 0; step < (data_size <= 17 ? 2000U : 400U); ++step) {
            SCOPED_TRACE(fmt::format("{} bytes, step {}", data_size, step));
            const Bytes key = random_key(random, data_size);
            const u64 value = step;
            if (random() % 3 != 0) {
                const int rc = map->ops().update(*map, key.data(), &value, BPF_ANY);
                if (rc == 0)
                    model.put(key, value);
                else
                    ASSERT_EQ(rc, -ENOSPC);
            } else
                ASSERT_EQ(map->ops().erase(*map, key.data()), model.erase(key) ? 0 : -ENOENT);
            const Bytes asked = random_key(random, data_size);
            const auto* found = static_cast<u64*>(map->ops().lookup(*map, asked.data()));
            const u64* expected = model.find(asked);
            ASSERT_EQ(found != nullptr, expected != nullptr);
            if (found != nullptr) {
                ASSERT_EQ(*found, *expected);
            }
        }
        // Every key once, and the map is empty after all are deleted.
        std::vector<Bytes> keys;
        Bytes key(4 + data_size);
        for (int rc = map->ops().next_key(*map, nullptr, key.data()); rc == 0;
             rc = map->ops().next_key(*map, keys.back().data(), key.data()))
            keys.push_back(key);
        EXPECT_EQ(keys.size(), model.size());
        for (const Bytes& each : keys) EXPECT_EQ(map->ops().erase(*map, each.data()), 0);
        EXPECT_EQ(map->ops().next_key(*map, nullptr, key.data()), -ENOENT);
    }
}

// Tries large enough for each of the tables of first bits; what changes lies under few values of them, so
// that nodes and skip nodes begin, end and cross there, and keys under and beside the change are asked for.
TEST(LpmTrie, TheFrontFollowsEveryChange) {
    for (const auto& [data_size, filling, steps] : {std::tuple{2U, 40U, 6000U},
                                                    {3U, 40U, 6000U},
                                                    {3U, 900U, 4000U},
                                                    {4U, 9000U, 3000U},
                                                    {16U, 9000U, 1000U}}) {
        std::mt19937 random(data_size);
        const auto map = make(data_size, 8, filling + 400);
        Model model;
        const auto put = [&](const Bytes& key, u64 value) {
            const int rc = map->ops().update(*map, key.data(), &value, BPF_ANY);
            if (rc == 0)
                model.put(key, value);
            else
                ASSERT_EQ(rc, -ENOSPC);
        };
        while (model.size() < filling) {
            Bytes key(4 + data_size);
            const u32 length = 12 + random() % (data_size * 8 - 11);
            std::memcpy(key.data(), &length, 4);
            for (u32 i = 4; i < key.size(); ++i) key[i] = static_cast<u8>(random());
            put(key, random());
        }
        for (u32 step = 0; step < steps; ++step) {
            SCOPED_TRACE(fmt::format("{} bytes, step {}", data_size, step));
            const u32 most = data_size * 8;
            // Seldom a prefix that covers a large part of the table.
            const u32 length = random() % 64 == 0 ? random() % 6 : 6 + random() % (most - 5);
            Bytes key(4 + data_size);
            std::memcpy(key.data(), &length, 4);
            for (u32 i = 4; i < key.size(); ++i)
                key[i] = random() % 2 == 0 ? 0 : static_cast<u8>(1U << random() % 8);
            if (random() % 2 == 0)
                put(key, step);
            else
                ASSERT_EQ(map->ops().erase(*map, key.data()), model.erase(key) ? 0 : -ENOENT);
            for (u32 i = 0; i < 8; ++i) {
                Bytes asked = key;
                std::memcpy(asked.data(), &most, 4);
                if (i != 0) {
                    const u32 bit = random() % most; // beside the prefix, or in it
                    asked[4 + bit / 8] ^= static_cast<u8>(0x80 >> bit % 8);
                    const u32 other = length + random() % 8;
                    if (other < most) asked[4 + other / 8] ^= static_cast<u8>(0x80 >> other % 8);
                }
                const auto* found = static_cast<u64*>(map->ops().lookup(*map, asked.data()));
                const u64* expected = model.find(asked);
                ASSERT_EQ(found != nullptr, expected != nullptr);
                if (found != nullptr) {
                    ASSERT_EQ(*found, *expected);
                }
            }
        }
    }
}

TEST(LpmTrie, KeysComeTheMoreSpecificFirst) {
    const auto map = make(4, 8, 10);
    for (const V4& key : {v4(24, 0xc0a80000), v4(16, 0xc0a80000), v4(24, 0xc0a88000), v4(23, 0xc0a80000),
                          v4(0, 0), v4(24, 0xc0a80100)})
        ASSERT_EQ(put(*map, key, 1), 0);
    std::vector<std::pair<u32, u32>> order;
    V4 key{};
    for (int rc = map->ops().next_key(*map, nullptr, &key); rc == 0;
         rc = map->ops().next_key(*map, &key, &key))
        order.emplace_back(key.length, u32{key.data[2]});
    const std::vector<std::pair<u32, u32>> expected = {{24, 0}, {24, 1}, {23, 0}, {24, 128}, {16, 0}, {0, 0}};
    EXPECT_EQ(order, expected);
    // Any other key leads to the first one, and so does one that is too long.
    for (const V4& other : {v4(25, 0xc0a80000), v4(40, 0)}) {
        ASSERT_EQ(map->ops().next_key(*map, &other, &key), 0);
        EXPECT_EQ(key.data[2], 0);
        EXPECT_EQ(key.length, 24U);
    }
}

/// The test's thread as a reader of the Reclaimer, as a worker is.
class Reader {
public:
    Reader() : slot_(Reclaimer::instance().online()) {}
    ~Reader() { Reclaimer::instance().offline(slot_); }
    void quiescent() { Reclaimer::instance().quiescent(slot_); }

private:
    int slot_;
};

TEST(LpmTrie, AReaderKeepsTheValueItFoundUntilItIsQuiescent) {
    Reader reader;
    const auto map = make(4, 8, 100);
    ASSERT_EQ(put(*map, v4(16, 0x0a0a0000), 10), 0);
    const u64* before = find(*map, v4(32, 0x0a0a0000));
    ASSERT_EQ(put(*map, v4(16, 0x0a0a0000), 11), 0);
    const u64* after = find(*map, v4(32, 0x0a0a0000));
    EXPECT_NE(before, after);
    ASSERT_EQ(erase(*map, v4(16, 0x0a0a0000)), 0);
    for (u32 i = 0; i < 90; ++i) ASSERT_EQ(put(*map, v4(32, i * 977), i), 0);
    EXPECT_EQ(*before, 10U);
    EXPECT_EQ(*after, 11U);
}

// Memory of what is replaced is used again: churn does not make the map grow.
TEST(LpmTrie, ChurnDoesNotGrowTheMap) {
    const auto map = make(4, 8, 20'000);
    std::mt19937 random(5);
    std::vector<V4> keys;
    for (u32 i = 0; i < 3000; ++i) keys.push_back(v4(16 + random() % 17, random()));
    const auto fill = [&] {
        for (const V4& key : keys) ASSERT_EQ(put(*map, key, 1), 0);
    };
    fill();
    const u64 once = map->memory_bytes();
    for (u32 round = 0; round < 20; ++round) {
        std::shuffle(keys.begin(), keys.end(), random);
        for (const V4& key : keys) (void)erase(*map, key);
        fill();
    }
    EXPECT_LT(map->memory_bytes(), once * 3 / 2);
}

TEST(LpmTrie, TableOfRoutesIsCompact) {
    const auto map = make(4, 8, 200'000);
    std::mt19937 random(9);
    u32 entries = 0;
    for (u32 i = 0; i < 100'000; ++i) {
        const u32 length = random() % 10 < 6 ? 24 : 12 + random() % 21;
        const u32 address = (random() & 0x1fffffff) | 0x40000000;
        entries += put(*map, v4(length, length == 0 ? 0 : address >> (32 - length) << (32 - length)), i,
                       BPF_NOEXIST) == 0;
    }
    EXPECT_GT(entries, 90'000U);
    EXPECT_LT(map->memory_bytes() / entries, 260U);
    RecordProperty("bytes_per_entry", static_cast<int>(map->memory_bytes() / entries));
}

// As many entries as may be asked for anywhere: memory is taken as entries come.
TEST(LpmTrie, AnyNumberOfEntriesMayBeAskedFor) {
    for (const u32 data_size : {4U, 256U})
        for (const u32 max_entries : {1U << 24, 1U << 31, ~0U}) {
            const auto map = make(data_size, 8, max_entries);
            ASSERT_NE(map, nullptr);
            const Bytes key(4 + data_size);
            const u64 value = 1;
            EXPECT_EQ(map->ops().update(*map, key.data(), &value, 0), 0);
        }
}

struct Checked {
    u64 address;
    u64 proof;
};
u64 proof(u64 address) { return address * 0x9e3779b97f4a7c15ULL + 1; }

// Prefixes that stay are matched by every lookup, whatever comes and goes above, below and beside them, and
// what is found is whole.
void look_up_while_others_update(u32 filling, u32 rounds) {
    const auto map = make(4, sizeof(Checked), 4000 + filling);
    const auto store = [&](u32 length, u32 address) {
        const V4 key = v4(length, address);
        const Checked value{address, proof(address)};
        return map->ops().update(*map, &key, &value, BPF_ANY);
    };
    for (u32 i = 0; i < 64; ++i) ASSERT_EQ(store(20, i << 26 | 0x5000), 0);
    for (u32 i = 0; i < filling; ++i) ASSERT_EQ(store(30, i << 16 | 0x8000), 0);
    std::atomic<bool> stop{false};
    std::atomic<u64> hits{0};
    const auto look = [&](u32 seed) {
        Reader reader;
        std::mt19937 random(seed);
        while (!stop.load(std::memory_order_relaxed)) {
            for (u32 packet = 0; packet < 32; ++packet) {
                const u32 low = random() % 0x1000;
                const V4 key = v4(32, (random() % 64) << 26 | 0x5000 | low);
                const auto* value = static_cast<const Checked*>(map->ops().lookup(*map, &key));
                if (value == nullptr) {
                    ADD_FAILURE() << "a prefix that stays was not matched";
                    stop = true;
                    break;
                }
                EXPECT_EQ(value->proof, proof(value->address));
            }
            hits.fetch_add(32, std::memory_order_relaxed);
            reader.quiescent();
        }
    };
    std::vector<std::thread> threads;
    for (u32 i = 0; i < 2; ++i) threads.emplace_back(look, i + 1);
    const auto change = [&](u32 seed) {
        std::mt19937 random(seed);
        for (u32 i = 0; i < rounds && !stop; ++i) {
            const u32 length = random() % 33;
            const u32 address = (random() % 64) << 26 | 0x5000 | (random() % 16 << random() % 9);
            if (random() % 2 == 0)
                EXPECT_EQ(store(length, address), 0);
            else if (length != 20) {
                const V4 key = v4(length, address);
                const int rc = map->ops().erase(*map, &key);
                EXPECT_TRUE(rc == 0 || rc == -ENOENT);
            }
            if (i % 64 == 0) std::this_thread::yield();
        }
    };
    std::thread second(change, 21);
    change(20);
    second.join();
    while (hits.load() < 1000 && !stop) std::this_thread::yield();
    stop = true;
    for (std::thread& thread : threads) thread.join();
    EXPECT_GT(hits.load(), 0U);
}
TEST(LpmTrie, LookupsWhileOthersUpdate) { look_up_while_others_update(0, 3'000); }
TEST(LpmTrie, LookupsInALargeTableWhileOthersUpdate) { look_up_while_others_update(9000, 600); }

} // namespace
} // namespace xdplane
