// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/maps/lpm_trie.h"

#include <algorithm>
#include <cerrno>
#include <gtest/gtest.h>
#include <map>
#include <random>
#include <tuple>
#include <vector>

#include "bpf/maps/run_ahead.h"
#include "tests/support/lpm_map.h"

namespace xdplane {
namespace {

using Bytes = std::vector<u8>;

TEST(LpmTrie, TheLongestPrefixWins) {
    const auto map = make_lpm_trie(4, 8, 10);
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
    const auto map = make_lpm_trie(4, 8, 2);
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

/// In both, unless the trie is full.
void put(Map& map, Model& model, const Bytes& key, u64 value) {
    const int rc = map.ops().update(map, key.data(), &value, BPF_ANY);
    if (rc == 0)
        model.put(key, value);
    else
        ASSERT_EQ(rc, -ENOSPC);
}
void erase(Map& map, Model& model, const Bytes& key) {
    ASSERT_EQ(map.ops().erase(map, key.data()), model.erase(key) ? 0 : -ENOENT);
}
/// They find the same, which is returned.
const u64* find_same(Map& map, const Model& model, const Bytes& key) {
    const auto* found = static_cast<u64*>(map.ops().lookup(map, key.data()));
    const u64* expected = model.find(key);
    EXPECT_EQ(found != nullptr, expected != nullptr);
    if (found != nullptr && expected != nullptr) {
        EXPECT_EQ(*found, *expected);
    }
    return found;
}
std::vector<Bytes> all_keys(Map& map) {
    std::vector<Bytes> keys;
    Bytes key(map.spec().key_size);
    for (int rc = map.ops().next_key(map, nullptr, key.data()); rc == 0;
         rc = map.ops().next_key(map, keys.back().data(), key.data()))
        keys.push_back(key);
    return keys;
}

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
        const auto map = make_lpm_trie(data_size, 8, 400);
        Model model;
        for (u32 step = 0; step < (data_size <= 17 ? 2000U : 400U); ++step) {
            SCOPED_TRACE(fmt::format("{} bytes, step {}", data_size, step));
            const Bytes key = random_key(random, data_size);
            if (random() % 3 != 0)
                put(*map, model, key, step);
            else
                erase(*map, model, key);
            (void)find_same(*map, model, random_key(random, data_size));
            if (HasFailure()) return;
        }
        // Every key once, and the map is empty after all are deleted.
        const std::vector<Bytes> keys = all_keys(*map);
        EXPECT_EQ(keys.size(), model.size());
        for (const Bytes& each : keys) EXPECT_EQ(map->ops().erase(*map, each.data()), 0);
        EXPECT_TRUE(all_keys(*map).empty());
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
        const auto map = make_lpm_trie(data_size, 8, filling + 400);
        Model model;
        while (model.size() < filling) {
            Bytes key(4 + data_size);
            const u32 length = 12 + random() % (data_size * 8 - 11);
            std::memcpy(key.data(), &length, 4);
            for (u32 i = 4; i < key.size(); ++i) key[i] = static_cast<u8>(random());
            put(*map, model, key, random());
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
                put(*map, model, key, step);
            else
                erase(*map, model, key);
            for (u32 i = 0; i < 8; ++i) {
                Bytes asked = key;
                std::memcpy(asked.data(), &most, 4);
                if (i != 0) {
                    const u32 bit = random() % most; // beside the prefix, or in it
                    asked[4 + bit / 8] ^= static_cast<u8>(0x80 >> bit % 8);
                    const u32 other = length + random() % 8;
                    if (other < most) asked[4 + other / 8] ^= static_cast<u8>(0x80 >> other % 8);
                }
                (void)find_same(*map, model, asked);
                if (HasFailure()) return;
            }
        }
    }
}

/// A key of that length; of its first bytes, `shared`, each with a bit changed if `beside`.
Bytes key_under(const Bytes& shared, u32 data_size, u32 length, std::mt19937& random, bool beside) {
    Bytes key(4 + data_size);
    std::memcpy(key.data(), &length, 4);
    for (u32 i = 0; i < data_size; ++i)
        key[4 + i] =
            i < shared.size() ? shared[i] : static_cast<u8>(random() % 3 == 0 ? random() : random() % 4);
    if (beside && !shared.empty()) key[4 + random() % shared.size()] ^= static_cast<u8>(1U << random() % 8);
    return key;
}

// Long keys that begin alike, of lengths that make shortcuts by many bits and by few, and then others better;
// what all share ends to be shared and is shared again; prefixes end at, in front of and behind each multiple
// of 6 bits; and each key that is asked for is fetched ahead as well.
TEST(LpmTrie, ShortcutsFollowEveryChange) {
    struct Row {
        u32 data_size;
        u32 shared; ///< bytes
        std::vector<u32> lengths;
    };
    for (const Row& row :
         {Row{5, 1, {40, 39, 30}}, Row{6, 2, {48, 42, 36}}, Row{8, 4, {64, 60, 48}}, Row{9, 0, {24, 48, 72}},
          Row{12, 5, {64, 48}}, Row{16, 0, {32, 48, 64, 128}}, Row{16, 3, {48, 36, 60}}, Row{16, 8, {128}},
          Row{20, 2, {54, 60, 160}}, Row{256, 1, {48, 600, 2048}}}) {
        const u32 most = row.data_size * 8;
        std::mt19937 random(row.data_size + row.shared);
        const auto map = make_lpm_trie(row.data_size, 8, 3000);
        const Bytes shared(row.shared, 0xa5);
        Model model;
        const AheadOps& ahead = *map->ops().ahead;
        std::array<u64, kBurst * kNoteWords> notes;
        const auto ask = [&](const Bytes& asked, u32 i) {
            KeyWords words{};
            if (asked.size() <= kKeyWordsBytes) std::memcpy(words.word.data(), asked.data(), asked.size());
            ahead.note(*map, asked.data(), words, &notes[std::size_t{i} * kNoteWords]);
            EXPECT_EQ(ahead.peek(*map, asked.data()), find_same(*map, model, asked));
        };
        u32 step = 0;
        for (const u32 usual : row.lengths) { // each time half of the prefixes are of another length
            for (u32 turn = 0; turn < 1500; ++turn, ++step) {
                SCOPED_TRACE(fmt::format("{} bytes, {} shared, step {}", row.data_size, row.shared, step));
                u32 length = usual;
                if (random() % 2 == 0)
                    length = std::min(most, usual - std::min(usual, 14U) + static_cast<u32>(random()) % 28);
                else if (random() % 16 == 0)
                    length = static_cast<u32>(random()) % std::min(most, 70U);
                Bytes key = key_under(shared, row.data_size, length, random, random() % 64 == 0);
                if (random() % 4 != 0)
                    put(*map, model, key, step);
                else
                    erase(*map, model, key);
                if (turn % (row.data_size > 20 ? 128 : 4) != 0) continue; // the model takes long
                const u32 asks = turn % 32 == 0 ? 64 : 4;
                for (u32 i = 0; i < asks; ++i) {
                    Bytes asked = i % 2 == 0 ? key : key_under(shared, row.data_size, most, random, i == 1);
                    const u32 whole = random() % 4 == 0 ? static_cast<u32>(random()) % (most + 1) : most;
                    std::memcpy(asked.data(), &whole, 4);
                    if (i > 2) { // beside the prefix, or in it
                        const u32 bit = random() % most;
                        asked[4 + bit / 8] ^= static_cast<u8>(0x80 >> bit % 8);
                    }
                    ask(asked, i);
                    if (HasFailure()) return;
                }
                ahead.fetch(*map, notes.data(), asks);
            }
            // Every second one goes.
            const std::vector<Bytes> keys = all_keys(*map);
            ASSERT_EQ(keys.size(), model.size());
            for (const Bytes& each : keys) {
                if (random() % 2 == 0) continue;
                ASSERT_EQ(map->ops().erase(*map, each.data()), 0);
                (void)model.erase(each);
            }
            SCOPED_TRACE(fmt::format("{} bytes, {} shared, before step {}", row.data_size, row.shared, step));
            for (const Bytes& each : keys) {
                if (random() % (row.data_size > 20 ? 64 : 8) != 0) continue;
                ask(each, 0);
                if (HasFailure()) return;
            }
        }
    }
}

// Notes of keys that no program should look up, in maps of every kind, lead nowhere that is not there.
TEST(LpmTrie, AnyKeyMayBeFetchedAhead) {
    for (const u32 data_size : {1U, 2U, 3U, 4U, 5U, 8U, 16U, 20U, 40U})
        for (const u32 entries : {0U, 40U, 2000U}) {
            std::mt19937 random(data_size);
            const auto map = make_lpm_trie(data_size, 8, 2000);
            for (u32 i = 0; i < entries; ++i) {
                Bytes key = random_key(random, data_size);
                const u64 value = i;
                (void)map->ops().update(*map, key.data(), &value, BPF_ANY);
            }
            for (u32 round = 0; round < 50; ++round) {
                std::array<u64, kBurst * kNoteWords> notes;
                for (u64& word : notes) word = random() % 2 == 0 ? random() % 160 : random() * u64{random()};
                map->ops().ahead->fetch(*map, notes.data(), round % kBurst + 1);
            }
        }
}

TEST(LpmTrie, KeysComeTheMoreSpecificFirst) {
    const auto map = make_lpm_trie(4, 8, 10);
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

// Memory of what is replaced is used again: churn does not make the map grow.
TEST(LpmTrie, ChurnDoesNotGrowTheMap) {
    const auto map = make_lpm_trie(4, 8, 20'000);
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
    const auto map = make_lpm_trie(4, 8, 200'000);
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
            const auto map = make_lpm_trie(data_size, 8, max_entries);
            ASSERT_NE(map, nullptr);
            const Bytes key(4 + data_size);
            const u64 value = 1;
            EXPECT_EQ(map->ops().update(*map, key.data(), &value, 0), 0);
        }
}

} // namespace
} // namespace xdplane
