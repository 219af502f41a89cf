// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Maps of maps, queues, stacks, bloom filters and walks over elements. What they answer is compared with the
// kernel in tests/differential.
#include "bpf/maps/map_of_maps.h"

#include <atomic>
#include <cerrno>
#include <gtest/gtest.h>
#include <set>
#include <thread>

#include "bpf/base/reclaimer.h"
#include "bpf/maps/queue_stack.h"
#include "bpf/run/run_context.h"

namespace xdplane {
namespace {

std::shared_ptr<Map> make(MapSpec spec) {
    auto map = create_map(std::move(spec));
    EXPECT_TRUE(map) << map.error().message;
    return map ? *map : nullptr;
}
std::shared_ptr<Map> array_of(u32 entries) {
    return make({.type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 8, .max_entries = entries});
}
std::shared_ptr<Map> outer(u32 type, const std::shared_ptr<Map>& inner, u32 entries = 4) {
    return make({.type = type, .key_size = 4, .value_size = 4, .max_entries = entries, .inner = inner});
}

constexpr u32 kOuterTypes[] = {BPF_MAP_TYPE_ARRAY_OF_MAPS, BPF_MAP_TYPE_HASH_OF_MAPS};

TEST(MapOfMaps, ProgramsFindTheInnerMapItself) {
    for (const u32 type : kOuterTypes) {
        const auto inner = array_of(2);
        const auto map = outer(type, inner);
        const u32 key = 3;
        EXPECT_EQ(map->ops().lookup(*map, &key), nullptr);
        ASSERT_EQ(set_inner_map(*map, &key, inner, BPF_ANY), 0);
        EXPECT_EQ(map->ops().lookup(*map, &key), inner.get());
        EXPECT_EQ(inner_map(*map, &key), inner);
        EXPECT_EQ(map->ops().erase(*map, &key), 0);
        EXPECT_EQ(map->ops().lookup(*map, &key), nullptr);
        EXPECT_EQ(map->ops().erase(*map, &key), -ENOENT);
        // The template has the kind and nothing else.
        EXPECT_NE(map->spec().inner, inner);
        EXPECT_EQ(&map->spec().inner->ops(), &inner->ops());
        EXPECT_EQ(map->spec().inner->spec().max_entries, 2U);
    }
}

TEST(MapOfMaps, OthersThanTheTemplateAreRefused) {
    for (const u32 type : kOuterTypes) {
        const auto map = outer(type, array_of(2));
        const u32 key = 0;
        EXPECT_EQ(set_inner_map(*map, &key, array_of(3), BPF_ANY), -EINVAL);
        EXPECT_EQ(set_inner_map(*map, &key, fail(EBADF, "closed"), BPF_ANY), -EBADF);
        const auto nested =
            create_map({.type = type, .key_size = 4, .value_size = 4, .max_entries = 1, .inner = map});
        ASSERT_FALSE(nested);
        EXPECT_EQ(nested.error().code, EINVAL);
        const auto without = create_map({.type = type, .key_size = 4, .value_size = 4, .max_entries = 1});
        ASSERT_FALSE(without);
        EXPECT_EQ(without.error().code, EBADF);
    }
}

TEST(MapOfMaps, AnInnerMapLivesUntilItsReadersAreQuiescent) {
    for (const u32 type : kOuterTypes) {
        Reclaimer& reclaimer = Reclaimer::instance();
        const int slot = reclaimer.online();
        auto inner = array_of(1);
        const std::weak_ptr<Map> alive = inner;
        const auto map = outer(type, inner);
        const u32 keys[] = {0, 1};
        for (const u32& key : keys) ASSERT_EQ(set_inner_map(*map, &key, inner, BPF_ANY), 0);
        inner.reset();
        auto* seen = static_cast<Map*>(map->ops().lookup(*map, &keys[0]));
        ASSERT_EQ(map->ops().erase(*map, &keys[0]), 0);
        EXPECT_FALSE(alive.expired()) << "it is in the map a second time";
        ASSERT_EQ(set_inner_map(*map, &keys[1], array_of(1), BPF_ANY), 0);
        EXPECT_FALSE(alive.expired());
        const u32 zero = 0;
        EXPECT_NE(seen->ops().lookup(*seen, &zero), nullptr);
        reclaimer.quiescent(slot);
        reclaimer.offline(slot);
        EXPECT_EQ(reclaimer.collect(), 0U);
        EXPECT_TRUE(alive.expired());
    }
}

TEST(MapOfMaps, WorkersUseWhatIsSwappedUnderThem) {
    for (const u32 type : kOuterTypes) {
        const auto map = outer(type, array_of(1), 1);
        std::atomic<bool> stop{false};
        std::atomic<u64> uses{0};
        const u32 key = 0;
        const auto work = [&] {
            const int slot = Reclaimer::instance().online();
            while (!stop.load(std::memory_order_relaxed)) {
                if (auto* inner = static_cast<Map*>(map->ops().lookup(*map, &key))) {
                    auto* value = static_cast<u64*>(inner->ops().lookup(*inner, &key));
                    __atomic_fetch_add(value, 1, __ATOMIC_RELAXED);
                    uses.fetch_add(1, std::memory_order_relaxed);
                }
                Reclaimer::instance().quiescent(slot);
            }
            Reclaimer::instance().offline(slot);
        };
        std::thread first(work);
        std::thread second(work);
        for (u32 i = 0; i < 1000 || uses.load() < 100; ++i) {
            if (i % 5 == 4)
                (void)map->ops().erase(*map, &key);
            else
                ASSERT_EQ(set_inner_map(*map, &key, array_of(1), BPF_ANY), 0);
            if (i % 20 == 0) std::this_thread::yield();
        }
        stop = true;
        first.join();
        second.join();
        Reclaimer::instance().drain();
    }
}

TEST(QueueStack, ValuesComeOutInTheirOrder) {
    for (const u32 type : {BPF_MAP_TYPE_QUEUE, BPF_MAP_TYPE_STACK}) {
        const bool stack = type == BPF_MAP_TYPE_STACK;
        const auto map = make({.type = type, .value_size = 4, .max_entries = 3});
        const MapOps& ops = map->ops();
        u32 value = 9;
        EXPECT_EQ(ops.pop(*map, &value), -ENOENT);
        EXPECT_EQ(value, 0U) << "an empty map gives zeros";
        for (value = 1; value <= 3; ++value) ASSERT_EQ(ops.push(*map, &value, BPF_ANY), 0);
        value = 4;
        EXPECT_EQ(ops.push(*map, &value, BPF_ANY), -E2BIG);
        EXPECT_EQ(ops.push(*map, &value, BPF_NOEXIST), -EINVAL);
        EXPECT_EQ(ops.push(*map, &value, BPF_EXIST), 0) << "the oldest, 1, makes room";
        const auto values = static_cast<QueueStackMap&>(*map).values();
        ASSERT_EQ(values.size(), 3U);
        EXPECT_EQ(values[0][0], 2);
        EXPECT_EQ(values[2][0], 4);
        EXPECT_EQ(ops.peek(*map, &value), 0);
        EXPECT_EQ(value, stack ? 4U : 2U);
        for (const u32 expected : {stack ? 4U : 2U, 3U, stack ? 2U : 4U}) {
            EXPECT_EQ(ops.pop(*map, &value), 0);
            EXPECT_EQ(value, expected);
        }
        EXPECT_EQ(ops.peek(*map, &value), -ENOENT);
    }
}

TEST(QueueStack, NothingIsLostOrDoubledBetweenWorkers) {
    const auto map = make({.type = BPF_MAP_TYPE_QUEUE, .value_size = 8, .max_entries = 16});
    constexpr u64 kValues = 4000;
    std::atomic<u64> sum{0};
    std::atomic<u64> taken{0};
    const auto take = [&] {
        while (taken.load(std::memory_order_relaxed) < 2 * kValues) {
            u64 value = 0;
            if (map->ops().pop(*map, &value) != 0) {
                std::this_thread::yield();
                continue;
            }
            sum.fetch_add(value, std::memory_order_relaxed);
            taken.fetch_add(1, std::memory_order_relaxed);
        }
    };
    const auto give = [&] {
        for (u64 value = 1; value <= kValues;)
            if (map->ops().push(*map, &value, BPF_ANY) == 0)
                ++value;
            else
                std::this_thread::yield();
    };
    std::thread threads[] = {std::thread(take), std::thread(take), std::thread(give), std::thread(give)};
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(sum.load(), kValues * (kValues + 1));
}

TEST(BloomFilter, FindsWhatWasAddedFromAnyThread) {
    const auto map =
        make({.type = BPF_MAP_TYPE_BLOOM_FILTER, .value_size = 8, .max_entries = 2000, .map_extra = 4});
    const auto add = [&](u64 from) {
        for (u64 value = from; value < from + 1000; ++value) EXPECT_EQ(map->ops().push(*map, &value, 0), 0);
    };
    std::thread other(add, 1000);
    add(0);
    other.join();
    for (u64 value = 0; value < 2000; ++value) EXPECT_EQ(map->ops().peek(*map, &value), 0);
    u32 wrong = 0;
    for (u64 value = 5000; value < 15'000; ++value) wrong += map->ops().peek(*map, &value) == 0;
    EXPECT_LT(wrong, 1500U);
    u64 value = 0;
    EXPECT_EQ(map->ops().push(*map, &value, BPF_EXIST), -EINVAL);
}

struct Visits {
    std::multiset<u32> keys;
    u32 stop_after = ~0U;
    Map* erase_from = nullptr;
};
u64 visit(void* context, const void* key, void* value) noexcept {
    auto& visits = *static_cast<Visits*>(context);
    u32 number;
    std::memcpy(&number, key, 4);
    visits.keys.insert(number);
    EXPECT_EQ(*static_cast<u64*>(value), number);
    if (visits.erase_from) {
        EXPECT_EQ(visits.erase_from->ops().erase(*visits.erase_from, key), 0);
    }
    return visits.keys.size() >= visits.stop_after;
}

TEST(ForEach, VisitsEveryElementOnce) {
    t_run.cpu = 0;
    for (const u32 type : {BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_PERCPU_ARRAY, BPF_MAP_TYPE_HASH,
                           BPF_MAP_TYPE_PERCPU_HASH, BPF_MAP_TYPE_LRU_HASH, BPF_MAP_TYPE_LRU_PERCPU_HASH}) {
        const auto map = make({.type = type, .key_size = 4, .value_size = 8, .max_entries = 500});
        // An LRU does not hold them all: some nodes wait in the stocks of other CPUs.
        const bool array = map->ops().array_like;
        const u32 entries = array ? 500 : 100;
        for (u32 key = 0; key < entries; ++key) {
            const u64 value = key;
            ASSERT_EQ(map->ops().update(*map, &key, &value, BPF_ANY), 0);
        }
        Visits all;
        EXPECT_EQ(map->ops().for_each(*map, visit, &all), entries);
        EXPECT_EQ(all.keys.size(), entries);
        EXPECT_EQ(std::set<u32>(all.keys.begin(), all.keys.end()).size(), entries);
        Visits some{.keys = {}, .stop_after = 7};
        EXPECT_EQ(map->ops().for_each(*map, visit, &some), 7);
        if (array) continue;
        Visits erasing{.keys = {}, .erase_from = map.get()};
        EXPECT_EQ(map->ops().for_each(*map, visit, &erasing), entries);
        EXPECT_EQ(map->ops().for_each(*map, visit, &all), 0);
    }
}

} // namespace
} // namespace xdplane
