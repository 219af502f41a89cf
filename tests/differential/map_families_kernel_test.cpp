// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// LRU hashes, tries, queues, stacks and bloom filters: the same commands to xdplane and to the running
// kernel, the same codes and contents.
#include <algorithm>
#include <random>
#include <sched.h>
#include <set>

#include "tests/differential/map_sides.h"

namespace xdplane::sides {
namespace {

void compare_create(const Want& want) {
    const Object ours(kOurs, want);
    const Object kernels(kKernel, want);
    EXPECT_EQ(std::min(ours.fd(), 0), std::min(kernels.fd(), 0)) << want.text();
}

/// A map of each type that can be made.
constexpr Want kGood[] = {
    {.type = BPF_MAP_TYPE_HASH},
    {.type = BPF_MAP_TYPE_ARRAY},
    {.type = BPF_MAP_TYPE_PERCPU_HASH},
    {.type = BPF_MAP_TYPE_PERCPU_ARRAY},
    {.type = BPF_MAP_TYPE_LRU_HASH},
    {.type = BPF_MAP_TYPE_LRU_PERCPU_HASH},
    {.type = BPF_MAP_TYPE_LPM_TRIE, .key_size = 8, .flags = BPF_F_NO_PREALLOC},
    {.type = BPF_MAP_TYPE_QUEUE, .key_size = 0},
    {.type = BPF_MAP_TYPE_STACK, .key_size = 0},
    {.type = BPF_MAP_TYPE_BLOOM_FILTER, .key_size = 0},
    {.type = BPF_MAP_TYPE_CGROUP_STORAGE, .key_size = 16, .max_entries = 0},
    {.type = BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE, .key_size = 16, .max_entries = 0},
};

class MapFamilies : public KernelMaps {};

TEST_F(MapFamilies, SizesAreAcceptedAndRefusedAlike) {
    for (Want want : kGood) {
        const Want good = want;
        for (const u32 size : {0U, 1U, 3U, 4U, 5U, 8U, 255U, 256U, 257U, 260U, 261U, 4096U, 4U << 20, ~0U}) {
            want.key_size = size;
            compare_create(want);
        }
        want = good;
        for (const u32 size :
             {0U, 1U, 7U, 8U, 32768U, 32769U, (4U << 20) - 400, (4U << 20) - 281, (4U << 20) - 280,
              (4U << 20) - 279, (4U << 20) - 60, 4U << 20, (4U << 20) + 1, 0x80000000, ~0U}) {
            want.value_size = size;
            compare_create(want);
        }
        want = good;
        for (const u32 entries : {0U, 2U, 3U, 1000U}) {
            want.max_entries = entries;
            compare_create(want);
        }
    }
}

TEST_F(MapFamilies, TheLargestTrieValueIsTheSame) {
    for (u32 size = (4U << 20) - 400; size < (4U << 20) + 8; ++size)
        compare_create(
            {.type = BPF_MAP_TYPE_LPM_TRIE, .key_size = 8, .value_size = size, .flags = BPF_F_NO_PREALLOC});
}

TEST_F(MapFamilies, FlagsExtraAndNodesAreAcceptedAndRefusedAlike) {
    for (Want want : kGood) {
        const u32 needed = want.flags;
        for (u32 bit = 0; bit < 32; ++bit) {
            // The kernel reads more of bpf_attr for these: BTF and tokens.
            if (bit >= 13 && bit <= 19) continue;
            want.flags = 1U << bit;
            compare_create(want);
            for (u32 other = 0; other < bit; ++other) {
                if (other >= 13 && other <= 19) continue;
                want.flags = needed | 1U << bit | 1U << other;
                compare_create(want);
            }
        }
        want.flags = needed;
        for (const u64 extra : {u64{1}, u64{5}, u64{15}, u64{16}, u64{1} << 32, ~u64{0}}) {
            want.map_extra = extra;
            compare_create(want);
        }
        want.map_extra = 0;
        for (const u32 node : {0U, 1U, 5U, 4096U, ~0U})
            for (const u32 flag : {0U, u32{BPF_F_NUMA_NODE}, u32{BPF_F_NUMA_NODE | BPF_F_NO_COMMON_LRU}}) {
                want.flags = needed | flag;
                want.numa_node = node;
                compare_create(want);
            }
    }
}

TEST_F(MapFamilies, InfoTellsWhatTheMapBecame) {
    for (Want want : kGood) {
        if (want.max_entries != 0) want.max_entries = 7;
        want.map_extra = want.type == BPF_MAP_TYPE_BLOOM_FILTER ? 3 : 0;
        for (const u32 flags : {0U, u32{BPF_F_NO_COMMON_LRU}}) {
            const bool lru = want.type == BPF_MAP_TYPE_LRU_HASH || want.type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
            if (flags != 0 && !lru) continue;
            want.flags |= flags;
            SCOPED_TRACE(want.text());
            const Pair pair(want);
            bpf_map_info ours = pair.ours.info();
            const bpf_map_info kernels = pair.kernels.info();
            ours.id = kernels.id;
            EXPECT_EQ(std::memcmp(&ours, &kernels, sizeof ours), 0)
                << ours.max_entries << " " << kernels.max_entries << " " << ours.map_extra << " "
                << kernels.map_extra << " " << ours.map_flags << " " << kernels.map_flags;
        }
    }
}

// Every command on every type, with and without key and value, with every small flag.
TEST_F(MapFamilies, CommandsAnswerAlikeOnEmptyMaps) {
    for (Want want : kGood) {
        if (want.max_entries != 0) want.max_entries = 4;
        SCOPED_TRACE(want.text());
        for (const u32 command : {BPF_MAP_LOOKUP_ELEM, BPF_MAP_LOOKUP_AND_DELETE_ELEM, BPF_MAP_DELETE_ELEM,
                                  BPF_MAP_GET_NEXT_KEY, BPF_MAP_UPDATE_ELEM}) {
            const Pair pair(want);
            for (const u64 flags : {u64{0}, u64{1}, u64{2}, u64{3}, u64{4}, u64{5}, u64{6}, u64{8}, ~u64{0}})
                for (const bool with_key : {false, true})
                    for (const bool with_value : {false, true}) {
                        const Bytes key(16, 0);
                        Bytes value(4096, 3);
                        pair.both(command, with_key ? &key : nullptr, with_value ? &value : nullptr, flags);
                    }
        }
    }
}

class Trie {
public:
    Trie(u32 data_size, u32 max_entries, u32 seed)
        : data_size_(data_size),
          random_(seed),
          pair_({.type = BPF_MAP_TYPE_LPM_TRIE,
                 .key_size = 4 + data_size,
                 .value_size = 5,
                 .max_entries = max_entries,
                 .flags = BPF_F_NO_PREALLOC}) {}

    void step() {
        const Bytes key = random_key();
        const u32 what = random_() % 12;
        if (what < 5) {
            Bytes value(5);
            for (u8& byte : value) byte = static_cast<u8>(random_());
            constexpr u64 flags[] = {BPF_ANY, BPF_ANY, BPF_NOEXIST, BPF_EXIST, 3, BPF_F_LOCK, ~u64{0}};
            pair_.both(BPF_MAP_UPDATE_ELEM, &key, &value, flags[random_() % std::size(flags)]);
        } else if (what < 7) {
            pair_.both(BPF_MAP_DELETE_ELEM, &key, nullptr);
        } else if (what < 8) {
            Bytes next(key.size());
            pair_.both(BPF_MAP_GET_NEXT_KEY, &key, &next);
        } else {
            Bytes value(5);
            pair_.both(BPF_MAP_LOOKUP_ELEM, &key, &value);
        }
    }
    void compare_order() const {
        EXPECT_EQ(pair_.ours.keys(4 + data_size_), pair_.kernels.keys(4 + data_size_));
    }
    /// Deletes what is there, one by one, in random order.
    void empty() {
        std::vector<Bytes> keys = pair_.kernels.keys(4 + data_size_);
        std::shuffle(keys.begin(), keys.end(), random_);
        for (const Bytes& key : keys) {
            pair_.both(BPF_MAP_DELETE_ELEM, &key, nullptr);
            if (random_() % 16 == 0) compare_order();
        }
    }

private:
    /// Few different bits, so that prefixes share and cover; any length, sometimes one too many.
    Bytes random_key() {
        Bytes key(4 + data_size_);
        u32 length = random_() % (data_size_ * 8 + 1);
        if (random_() % 4 == 0) length = std::min(data_size_ * 8, length / 8 * 8);
        if (random_() % 40 == 0) length = data_size_ * 8 + 1 + random_() % 3;
        std::memcpy(key.data(), &length, 4);
        for (u32 i = 4; i < key.size(); ++i)
            if (random_() % 3 == 0) key[i] = static_cast<u8>(1U << random_() % 8);
        if (random_() % 2 == 0) key[4] = static_cast<u8>(random_());
        return key;
    }

    u32 data_size_;
    std::mt19937 random_;
    Pair pair_;
};

TEST_F(MapFamilies, TriesGiveTheSameMatchesOrderAndCodes) {
    u32 seed = 0;
    for (const u32 data_size : {1U, 2U, 3U, 4U, 6U, 7U, 8U, 9U, 12U, 16U, 33U, 100U, 256U})
        for (const u32 max_entries : {5U, 60U, 3000U}) {
            SCOPED_TRACE(fmt::format("{} bytes, {} entries, seed {}", data_size, max_entries, ++seed));
            Trie trie(data_size, max_entries, seed);
            const u32 steps = max_entries == 3000 ? 4000 : 1000;
            for (u32 step = 0; step < steps && !HasFailure(); ++step) {
                trie.step();
                if (step % 250 == 0) trie.compare_order();
            }
            trie.compare_order();
            trie.empty();
            if (HasFailure()) return;
        }
}

/// Pins the test to a CPU for the kernel's LRU lists; ours are told by t_run, which stays 0.
class PinnedToCpu0 {
public:
    PinnedToCpu0() {
        ::sched_getaffinity(0, sizeof before_, &before_);
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(0, &one);
        pinned = ::sched_setaffinity(0, sizeof one, &one) == 0;
    }
    ~PinnedToCpu0() { ::sched_setaffinity(0, sizeof before_, &before_); }
    bool pinned = false;

private:
    cpu_set_t before_{};
};

constexpr const char* kLookUp = R"(
    r2 = *(u32 *)(r1 + 4)
    r1 = *(u32 *)(r1 + 0)
    r3 = r1
    r3 += 14
    if r3 > r2 goto out
    r4 = *(u32 *)(r1 + 0)
    *(u32 *)(r10 - 4) = r4
    r2 = r10
    r2 += -4
    r1 = map[fd:0]
    call #1
    if r0 == 0 goto out
    r0 = 1
    exit
    out:
    r0 = 0
    exit
)";

void compare_lru(const Want& want, u32 seed, u32 steps, u32 keys) {
    SCOPED_TRACE(want.text() + fmt::format(" seed {}", seed));
    const Pair pair(want);
    const Object our_program = load_xdp(kOurs, kLookUp, pair.ours.fd());
    const Object kernel_program = load_xdp(kKernel, kLookUp, pair.kernels.fd());
    std::mt19937 random(seed);
    for (u32 step = 0; step < steps && !::testing::Test::HasFailure(); ++step) {
        SCOPED_TRACE(fmt::format("step {}", step));
        Bytes key(4);
        const u32 number = random() % keys;
        std::memcpy(key.data(), &number, 4);
        Bytes value(512, static_cast<u8>(step));
        switch (random() % 8) {
        case 0: pair.both(BPF_MAP_DELETE_ELEM, &key, nullptr); break;
        case 1: pair.both(BPF_MAP_LOOKUP_ELEM, &key, &value); break;
        case 2: pair.both(BPF_MAP_LOOKUP_AND_DELETE_ELEM, &key, &value); break;
        case 3:
        case 4: {
            Bytes packet(64);
            std::copy(key.begin(), key.end(), packet.begin());
            EXPECT_EQ(our_program.run(packet), kernel_program.run(packet));
            break;
        }
        default: pair.both(BPF_MAP_UPDATE_ELEM, &key, &value, random() % 6 == 0 ? random() % 4 : 0);
        }
        if (step % (want.max_entries > 200 ? 100 : 8) != 0) continue;
        const auto ours = pair.ours.keys(4);
        const auto kernels = pair.kernels.keys(4);
        EXPECT_EQ(std::set<Bytes>(ours.begin(), ours.end()), std::set<Bytes>(kernels.begin(), kernels.end()));
    }
}

// On one CPU the kernel's choice of whom to evict depends on nothing but what was done: ours is the same.
TEST_F(MapFamilies, LruHashesEvictTheSameEntries) {
    const PinnedToCpu0 pin;
    if (!pin.pinned) GTEST_SKIP() << "the test cannot be pinned to CPU 0";
    u32 seed = 1;
    for (const u32 type : {BPF_MAP_TYPE_LRU_HASH, BPF_MAP_TYPE_LRU_PERCPU_HASH})
        for (const u32 flags : {0U, u32{BPF_F_NO_COMMON_LRU}})
            for (const u32 entries : {1U, 2U, 5U, 16U, 100U, 900U})
                for (const u32 spread : {1U, 6U})
                    compare_lru({.type = type, .value_size = 8, .max_entries = entries, .flags = flags},
                                ++seed, entries > 200 ? 4000 : 600, entries + entries / 2 * spread + 2);
}

TEST_F(MapFamilies, QueuesAndStacksGiveTheSameValuesAndCodes) {
    for (const u32 type : {BPF_MAP_TYPE_QUEUE, BPF_MAP_TYPE_STACK})
        for (const u32 value_size : {1U, 4U, 13U})
            for (const u32 entries : {1U, 2U, 7U}) {
                const Want want{
                    .type = type, .key_size = 0, .value_size = value_size, .max_entries = entries};
                SCOPED_TRACE(want.text());
                const Pair pair(want);
                std::mt19937 random(value_size + entries);
                for (u32 step = 0; step < 600 && !HasFailure(); ++step) {
                    Bytes value(value_size);
                    for (u8& byte : value) byte = static_cast<u8>(random());
                    const u32 what = random() % 8;
                    const u64 flags = random() % 3 == 0 ? random() % 5 : u64{what < 3} * BPF_EXIST;
                    pair.both(what < 5   ? BPF_MAP_UPDATE_ELEM
                              : what < 6 ? BPF_MAP_LOOKUP_ELEM
                                         : BPF_MAP_LOOKUP_AND_DELETE_ELEM,
                              nullptr, &value, what < 5 ? flags : 0);
                }
            }
}

TEST_F(MapFamilies, BloomFiltersFindWhatWasAdded) {
    for (const u32 extra : {0U, 1U, 3U, 15U}) {
        const Want want{.type = BPF_MAP_TYPE_BLOOM_FILTER,
                        .key_size = 0,
                        .value_size = 12,
                        .max_entries = 1000,
                        .map_extra = extra};
        const Pair pair(want);
        std::mt19937 random(extra);
        std::vector<Bytes> added(1000, Bytes(12));
        for (Bytes& value : added) {
            for (u8& byte : value) byte = static_cast<u8>(random());
            EXPECT_EQ(pair.both(BPF_MAP_UPDATE_ELEM, nullptr, &value), 0);
        }
        for (Bytes& value : added) EXPECT_EQ(pair.both(BPF_MAP_LOOKUP_ELEM, nullptr, &value), 0);
        u32 found[2] = {};
        for (u32 i = 0; i < 5000; ++i) {
            Bytes value(12);
            for (u8& byte : value) byte = static_cast<u8>(random());
            found[0] += pair.ours.element(BPF_MAP_LOOKUP_ELEM, nullptr, value.data()) == 0;
            found[1] += pair.kernels.element(BPF_MAP_LOOKUP_ELEM, nullptr, value.data()) == 0;
        }
        // Tables of the same size: about as many values that were never added are found.
        EXPECT_LT(found[0], found[1] * 3 / 2 + 150) << extra;
    }
}

} // namespace
} // namespace xdplane::sides
