// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <atomic>
#include <cerrno>
#include <gtest/gtest.h>
#include <set>
#include <thread>

#include "bpf/base/reclaimer.h"
#include "bpf/helpers/helper.h"
#include "bpf/maps/cpu_map.h"
#include "bpf/maps/dev_map.h"
#include "bpf/run/redirect.h"
#include "bpf/run/run_context.h"

namespace xdplane {
namespace {

u64 redirect_map(Map& map, u64 key, u64 flags) {
    return find_helper(BPF_FUNC_redirect_map)->fn(reinterpret_cast<u64>(&map), key, flags, 0, 0);
}

std::shared_ptr<DevMap> devices(u32 type, u32 entries = 3) {
    return std::dynamic_pointer_cast<DevMap>(
        *create_map({.type = type, .key_size = 4, .value_size = 8, .max_entries = entries}));
}
int put(DevMap& map, u32 key, u32 ifindex, u64 flags = BPF_ANY, const Entry* entry = nullptr) {
    auto target = std::make_unique<DevTarget>(key, ifindex);
    target->entry = entry;
    return map.set(key, std::move(target), flags);
}

class RedirectMaps : public ::testing::Test {
protected:
    void SetUp() override {
        t_run = {};
        t_run.packet = &packet;
    }
    void TearDown() override { t_run = {}; }
    [[nodiscard]] Redirect to() const { return Redirect::of(packet); }

    XdpBuff packet{};
};

class DeviceMaps : public RedirectMaps, public ::testing::WithParamInterface<u32> {};

TEST_P(DeviceMaps, HitsNameThePort) {
    const auto map = devices(GetParam());
    ASSERT_EQ(put(*map, 2, 7), 0);
    EXPECT_EQ(redirect_map(*map, 2, 0), kRedirect);
    EXPECT_EQ(to().kind, RedirectKind::port);
    EXPECT_EQ(to().target, 7U);
    EXPECT_EQ(packet.redirect_ifindex, 7U) << "as bpf_redirect leaves it";
    EXPECT_EQ(packet.redirect_flags, 0U);
    EXPECT_EQ(redirect_map(*map, u64{5} << 32 | 2, 0), kRedirect) << "keys have 32 bits";
    EXPECT_EQ(redirect_map(*map, 2, kPass), kRedirect);
}

TEST_P(DeviceMaps, MissesReturnTheActionAndForgetTheTarget) {
    const auto map = devices(GetParam());
    ASSERT_EQ(put(*map, 2, 7), 0);
    for (const u32 action : {kAborted, kDrop, kPass, kTx}) {
        EXPECT_EQ(redirect_map(*map, 2, 0), kRedirect);
        EXPECT_EQ(redirect_map(*map, 1, action), action);
        EXPECT_EQ(packet.redirect_ifindex, 0U);
        EXPECT_EQ(redirect_map(*map, 99, action), action);
    }
}

TEST_P(DeviceMaps, UnknownFlagsAbort) {
    const auto map = devices(GetParam());
    ASSERT_EQ(put(*map, 2, 7), 0);
    for (u32 bit = 2; bit < 64; ++bit) {
        const u64 flag = u64{1} << bit;
        const bool known = flag == BPF_F_BROADCAST || flag == BPF_F_EXCLUDE_INGRESS;
        EXPECT_EQ(redirect_map(*map, 2, flag), u64{known ? kRedirect : kAborted}) << bit;
    }
}

TEST_P(DeviceMaps, BroadcastsNameTheMap) {
    const auto map = devices(GetParam(), 5);
    EXPECT_EQ(redirect_map(*map, 0, BPF_F_BROADCAST), kRedirect) << "even an empty one";
    ASSERT_EQ(put(*map, 0, 7), 0);
    ASSERT_EQ(put(*map, 4, 9), 0);
    EXPECT_EQ(redirect_map(*map, 99, BPF_F_BROADCAST | BPF_F_EXCLUDE_INGRESS | kPass), kRedirect);
    EXPECT_EQ(to().kind, RedirectKind::broadcast);
    EXPECT_EQ(to().flags, BPF_F_EXCLUDE_INGRESS);
    ASSERT_EQ(DevMap::by_number(to().map), map.get());
    std::set<u32> ports;
    map->for_each_target([&](const DevTarget& target) { ports.insert(target.value.ifindex); });
    EXPECT_EQ(ports, (std::set<u32>{7, 9}));
}

TEST_P(DeviceMaps, TargetsWithAProgramNameTheEntry) {
    const auto map = devices(GetParam());
    const Entry entry{};
    ASSERT_EQ(put(*map, 1, 7, BPF_ANY, &entry), 0);
    EXPECT_EQ(redirect_map(*map, 1, 0), kRedirect);
    EXPECT_EQ(to().kind, RedirectKind::entry);
    const DevMap* found = DevMap::by_number(to().map);
    ASSERT_EQ(found, map.get());
    ASSERT_NE(found->find(to().target), nullptr);
    EXPECT_EQ(found->find(to().target)->entry, &entry);
}

TEST_P(DeviceMaps, NumbersAreReused) {
    std::set<u16> numbers;
    std::vector<std::shared_ptr<DevMap>> maps;
    for (int i = 0; i < 100; ++i) {
        maps.push_back(devices(GetParam()));
        EXPECT_TRUE(numbers.insert(maps.back()->number()).second);
        EXPECT_EQ(DevMap::by_number(maps.back()->number()), maps.back().get());
    }
    maps.clear();
    for (const u16 number : numbers) EXPECT_EQ(DevMap::by_number(number), nullptr);
}

TEST_P(DeviceMaps, AreReadWhileTheyChange) {
    const auto map = devices(GetParam(), 16);
    std::atomic<bool> stop{false};
    std::jthread reader([&] {
        const int slot = Reclaimer::instance().online();
        XdpBuff judged{};
        t_run.packet = &judged;
        while (!stop) {
            for (u32 key = 0; key < 16; ++key) {
                if (redirect_map(*map, key, kDrop) == kRedirect) {
                    // What is found is whole: ports are their keys and 100.
                    ASSERT_EQ(judged.redirect_ifindex, key + 100);
                }
            }
            Reclaimer::instance().quiescent(slot);
        }
        Reclaimer::instance().offline(slot);
    });
    for (u32 round = 0; round < 2000; ++round) {
        const u32 key = round * 7 % 16;
        if (round % 3 == 0)
            map->erase(key);
        else
            EXPECT_EQ(put(*map, key, key + 100), 0);
    }
    stop = true;
}

INSTANTIATE_TEST_SUITE_P(Types, DeviceMaps,
                         ::testing::Values(u32{BPF_MAP_TYPE_DEVMAP}, u32{BPF_MAP_TYPE_DEVMAP_HASH}),
                         [](const auto& row) { return row.param == BPF_MAP_TYPE_DEVMAP ? "Array" : "Hash"; });

TEST_F(RedirectMaps, HashesHoldAnyKeysUpToTheirSize) {
    const auto map = devices(BPF_MAP_TYPE_DEVMAP_HASH, 100);
    for (u32 i = 0; i < 100; ++i) ASSERT_EQ(put(*map, i * 0x01000193, i + 1), 0);
    EXPECT_EQ(put(*map, 5, 1), -E2BIG);
    EXPECT_EQ(put(*map, 0x01000193, 1000), 0) << "replaces";
    for (u32 i = 2; i < 100; ++i) ASSERT_EQ(map->find(i * 0x01000193)->value.ifindex, i + 1);
    for (u32 i = 0; i < 100; i += 2) ASSERT_EQ(map->erase(i * 0x01000193), 0);
    std::set<u32> keys;
    u32 key = 0;
    for (int rc = map->next(nullptr, &key); rc == 0; rc = map->next(&key, &key)) keys.insert(key);
    EXPECT_EQ(keys.size(), 50U);
}

TEST_F(RedirectMaps, CpuMapsNameTheCpu) {
    const auto map =
        *create_map({.type = BPF_MAP_TYPE_CPUMAP, .key_size = 4, .value_size = 4, .max_entries = 2});
    auto& cpus = dynamic_cast<CpuMap&>(*map);
    EXPECT_EQ(redirect_map(*map, 0, kPass), kPass);
    auto target = std::make_unique<CpuTarget>();
    target->value.qsize = 64;
    cpus.set(0, std::move(target));
    EXPECT_EQ(redirect_map(*map, 0, kPass), kRedirect);
    EXPECT_EQ(to().kind, RedirectKind::cpu);
    EXPECT_EQ(to().target, 0U);
    EXPECT_EQ(redirect_map(*map, 0, BPF_F_BROADCAST), kAborted);
    EXPECT_EQ(redirect_map(*map, 1, kTx), kTx);
}

TEST_F(RedirectMaps, AreFilledWithoutPrograms) {
    const auto map = devices(BPF_MAP_TYPE_DEVMAP);
    const u32 key = 1;
    bpf_devmap_val value{.ifindex = 9, .bpf_prog = {.fd = 0}};
    const auto store = [&] { return map->ops().store_value(*map, &key, &value, BPF_ANY); };
    EXPECT_EQ(store(), 0);
    ASSERT_NE(map->find(1), nullptr);
    value.bpf_prog.fd = 5;
    EXPECT_EQ(store(), -EINVAL) << "an fd means nothing here";
    value = {};
    EXPECT_EQ(store(), 0);
    EXPECT_EQ(map->find(1), nullptr);

    const auto cpus =
        *create_map({.type = BPF_MAP_TYPE_CPUMAP, .key_size = 4, .value_size = 8, .max_entries = 1});
    const u32 cpu = 0;
    bpf_cpumap_val queue{.qsize = 5, .bpf_prog = {.fd = 0}};
    EXPECT_EQ(cpus->ops().store_value(*cpus, &cpu, &queue, BPF_ANY), 0);
    EXPECT_EQ(redirect_map(*cpus, 0, 0), kRedirect);
    queue.bpf_prog.fd = 5;
    EXPECT_EQ(cpus->ops().store_value(*cpus, &cpu, &queue, BPF_ANY), -EINVAL);
}

TEST_F(RedirectMaps, XskMapsAreEmpty) {
    const auto map =
        *create_map({.type = BPF_MAP_TYPE_XSKMAP, .key_size = 4, .value_size = 4, .max_entries = 2});
    EXPECT_EQ(redirect_map(*map, 0, kPass), kPass);
    EXPECT_EQ(redirect_map(*map, 0, 4), kAborted);
    const u32 key = 0;
    EXPECT_EQ(map->ops().lookup(*map, &key), nullptr);
}

TEST_F(RedirectMaps, OtherMapsLeadNowhere) {
    const auto map =
        *create_map({.type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 2});
    EXPECT_EQ(redirect_map(*map, 0, kPass), kAborted);
}

} // namespace
} // namespace xdplane
