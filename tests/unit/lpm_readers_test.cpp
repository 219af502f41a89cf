// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// What readers of a trie find while others change it.
#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "bpf/base/reclaimer.h"
#include "bpf/maps/run_ahead.h"
#include "tests/support/lpm_map.h"
#include "tests/support/reader.h"

namespace xdplane {
namespace {

using Bytes = std::vector<u8>;

TEST(LpmTrieReaders, AReaderKeepsTheValueItFoundUntilItIsQuiescent) {
    Reader reader;
    const auto map = make_lpm_trie(4, 8, 100);
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

struct Checked {
    u64 address;
    u64 proof;
};
u64 proof(u64 address) { return address * 0x9e3779b97f4a7c15ULL + 1; }

/// Of a key that a prefix fits which stays: false if it was not matched.
bool finds_whole(Map& map, const void* key) {
    const auto* value = static_cast<const Checked*>(map.ops().lookup(map, key));
    EXPECT_NE(value, nullptr) << "a prefix that stays was not matched";
    if (value == nullptr) return false;
    EXPECT_EQ(value->proof, proof(value->address));
    return true;
}

// Prefixes that stay are matched by every lookup, whatever comes and goes above, below and beside them, and
// what is found is whole.
void look_up_while_others_update(u32 filling, u32 rounds) {
    const auto map = make_lpm_trie(4, sizeof(Checked), 4000 + filling);
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
                if (!finds_whole(*map, &key)) {
                    stop = true;
                    break;
                }
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
TEST(LpmTrieReaders, LookupsWhileOthersUpdate) { look_up_while_others_update(0, 3'000); }
TEST(LpmTrieReaders, LookupsInALargeTableWhileOthersUpdate) { look_up_while_others_update(9000, 600); }

// The same for long keys, while shortcuts fill up, are made anew and change their bits: a filling of one
// length goes and one of another length comes, again and again.
TEST(LpmTrieReaders, LookupsBehindShortcutsWhileOthersUpdate) {
    constexpr u32 kData = 16;
    constexpr u32 kFilling = 700;
    const auto map = make_lpm_trie(kData, sizeof(Checked), 4 * kFilling);
    struct Key {
        u32 length;
        u8 data[kData];
    };
    const auto key_of = [](u32 length, u64 high) {
        Key key{.length = length, .data = {}};
        for (u32 i = 0; i < 8; ++i) key.data[i] = static_cast<u8>(high >> (56 - i * 8));
        return key;
    };
    const auto store = [&](const Key& key, u64 mark) {
        const Checked value{mark, proof(mark)};
        return map->ops().update(*map, &key, &value, BPF_ANY);
    };
    // /32 that stay, and below each of them what changes.
    const auto place = [](u32 i) { return (u64{i} * 0x9e3779b1 & 0xffffffff) << 32; };
    for (u32 i = 0; i < 64; ++i) ASSERT_EQ(store(key_of(32, place(i)), i), 0);
    std::atomic<bool> stop{false};
    std::atomic<u64> hits{0};
    const auto look = [&](u32 seed) {
        Reader reader;
        std::mt19937 random(seed);
        std::array<u64, 32 * kNoteWords> notes;
        while (!stop.load(std::memory_order_relaxed)) {
            for (u32 packet = 0; packet < 32; ++packet) {
                const Key key = key_of(128, place(random() % 64) | (random() % 1024) << 20 | random() % 4);
                KeyWords words{};
                std::memcpy(words.word.data(), &key, sizeof key);
                map->ops().ahead->note(*map, &key, words, &notes[std::size_t{packet} * kNoteWords]);
                if (!finds_whole(*map, &key)) {
                    stop = true;
                    break;
                }
            }
            map->ops().ahead->fetch(*map, notes.data(), 32);
            hits.fetch_add(32, std::memory_order_relaxed);
            reader.quiescent();
        }
    };
    std::vector<std::thread> threads;
    for (u32 i = 0; i < 2; ++i) threads.emplace_back(look, i + 1);
    std::mt19937 random(9);
    for (const u32 length : {42U, 60U, 44U, 54U}) {
        const auto each = [&](const auto& change) {
            for (u32 i = 0; i < kFilling && !stop; ++i) {
                const u64 high = place(i % 64) | u64{i} << 20;
                change(key_of(length, high & ~(~u64{0} >> length)), i);
                if (i % 32 == 0) std::this_thread::yield();
            }
        };
        each([&](const Key& key, u64 mark) { EXPECT_EQ(store(key, mark), 0); });
        for (u32 i = 0; i < 50; ++i) {
            const u32 other = random() % 3 == 0 ? random() % 32 : 33 + random() % 32;
            const Key key = key_of(other, place(random() % 64) | (random() % 1024) << 20);
            EXPECT_EQ(store(key, i), 0);
            if (other != 32 && random() % 2 == 0) {
                EXPECT_EQ(map->ops().erase(*map, &key), 0);
            }
        }
        each([&](const Key& key, u64) {
            const int rc = map->ops().erase(*map, &key);
            EXPECT_TRUE(rc == 0 || rc == -ENOENT);
        });
    }
    while (hits.load() < 1000 && !stop) std::this_thread::yield();
    stop = true;
    for (std::thread& thread : threads) thread.join();
    EXPECT_GT(hits.load(), 0U);
}

// Nodes come and go next to others: a key that has no part in it finds what it found before at every moment.
void find_beside_nodes_that_change(u32 data_size, u32 above, u32 length, bool with_above) {
    SCOPED_TRACE(fmt::format("/{} below /{} of {} bytes", length, above, data_size));
    const auto map = make_lpm_trie(data_size, 8, 3000);
    const auto key_of = [&](u32 bits, u64 high) {
        Bytes key(4 + data_size);
        std::memcpy(key.data(), &bits, 4);
        for (u32 i = 0; i < std::min(data_size, 8U); ++i) key[4 + i] = static_cast<u8>(high >> (56 - i * 8));
        return key;
    };
    const auto store = [&](const Bytes& key, u64 value) {
        return map->ops().update(*map, key.data(), &value, BPF_ANY);
    };
    // What no key here belongs to is the first: so it has the element of the lowest number.
    ASSERT_EQ(store(key_of(8, u64{0xee} << 56), 1), 0);
    const u64 beside = u64{0x0a} << 56;
    ASSERT_EQ(store(key_of(8, beside), 2), 0);
    for (u64 i = 0; i < 1000; ++i) ASSERT_EQ(store(key_of(above, u64{1} << 63 | i << (64 - above)), 3), 0);
    // The node that changes is the first of many, and may have a prefix that all of its keys begin with.
    for (u64 i = with_above ? 0 : 1; i < 64; ++i)
        ASSERT_EQ(store(key_of(above, beside | i << (64 - above)), 4), 0);
    for (u64 i = 1; i < 64; ++i) ASSERT_EQ(store(key_of(length, beside | i << (64 - above)), 5), 0);
    const u64 expected = with_above ? 4 : 2;
    std::atomic<bool> stop{false};
    std::atomic<u64> looks{0};
    std::atomic<u64> wrong{0};
    std::thread look([&] {
        Reader reader;
        const Bytes key = key_of(data_size * 8, beside | u64{1} << (64 - length));
        while (!stop.load(std::memory_order_relaxed)) {
            for (u32 i = 0; i < 32; ++i) {
                const auto* value = static_cast<const u64*>(map->ops().lookup(*map, key.data()));
                if (value == nullptr || *value != expected) wrong.fetch_add(1, std::memory_order_relaxed);
            }
            looks.fetch_add(32, std::memory_order_relaxed);
            reader.quiescent();
        }
    });
    const Bytes changes = key_of(length, beside);
    for (u32 i = 0; i < 4000 || looks.load() < 10'000; ++i) {
        EXPECT_EQ(store(changes, 6), 0);
        EXPECT_EQ(map->ops().erase(*map, changes.data()), 0);
        // What a change replaces waits for the reader: no faster than that, or there is no memory left.
        if (i % 64 != 0) continue;
        for (const u64 stamp = Reclaimer::instance().stamp(); !Reclaimer::instance().passed(stamp);)
            std::this_thread::yield();
    }
    stop = true;
    look.join();
    EXPECT_EQ(wrong.load(), 0U) << "of " << looks.load();
}
TEST(LpmTrieReaders, AKeyFindsTheSameWhileNodesComeAndGoBeside) {
    for (const bool with_above : {false, true}) {
        find_beside_nodes_that_change(4, 18, 22, with_above);  // an entry of the front
        find_beside_nodes_that_change(4, 24, 28, with_above);  // of one of its blocks
        find_beside_nodes_that_change(16, 48, 52, with_above); // of a shortcut
        find_beside_nodes_that_change(16, 48, 64, with_above);
    }
}

} // namespace
} // namespace xdplane
