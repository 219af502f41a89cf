// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <set>
#include <string>
#include <vector>

#include "bpf/helpers/format.h"
#include "bpf/helpers/helper.h"
#include "bpf/helpers/trace_log.h"
#include "bpf/maps/map.h"
#include "bpf/run/run_context.h"

namespace xdplane {
namespace {

template<class... Args>
i64 call(u32 id, Args... args) {
    std::array<u64, 5> all{};
    std::size_t i = 0;
    ((all[i++] = (u64)args), ...);
    return static_cast<i64>(find_helper(id)->fn(all[0], all[1], all[2], all[3], all[4]));
}

class Helpers : public ::testing::Test {
protected:
    void SetUp() override {
        t_run = {};
        t_run.packet = &packet;
        packet = {};
        packet.hard_start = frame.data();
        packet.data = packet.data_meta = frame.data() + kHeadroom;
        packet.data_end = packet.data + 60;
        packet.frame_end = frame.data() + kFrameSize - kFrameTail;
        for (u32 i = 0; i < 60; ++i) packet.data[i] = static_cast<u8>(i);
    }
    void TearDown() override { t_run = {}; }

    std::array<u8, kFrameSize> frame{};
    XdpBuff packet{};
};

TEST_F(Helpers, RingBufferRecords) {
    const auto map = *create_map({.type = BPF_MAP_TYPE_RINGBUF, .max_entries = 65536});
    EXPECT_EQ(call(BPF_FUNC_ringbuf_reserve, map.get(), 8, 1), 0) << "no flags";
    EXPECT_EQ(call(BPF_FUNC_ringbuf_reserve, map.get(), 65536, 0), 0);
    const i64 first = call(BPF_FUNC_ringbuf_reserve, map.get(), 8, 0);
    const i64 second = call(BPF_FUNC_ringbuf_reserve, map.get(), 20, 0);
    ASSERT_NE(first, 0);
    EXPECT_EQ(second - first, 16);
    const auto length = [](i64 record) { return reinterpret_cast<const u32*>(record)[-2]; };
    EXPECT_EQ(length(first), 8 | BPF_RINGBUF_BUSY_BIT);
    call(BPF_FUNC_ringbuf_submit, first, 0);
    call(BPF_FUNC_ringbuf_discard, second, 0);
    EXPECT_EQ(length(first), 8U);
    EXPECT_EQ(length(second), 20 | BPF_RINGBUF_DISCARD_BIT);
    EXPECT_EQ(call(BPF_FUNC_ringbuf_output, map.get(), frame.data(), 100, 0), 0);
    EXPECT_EQ(call(BPF_FUNC_ringbuf_output, map.get(), frame.data(), 100, 4), -EINVAL);
    EXPECT_EQ(call(BPF_FUNC_ringbuf_output, map.get(), frame.data(), 70000, 0), -EAGAIN);
    EXPECT_EQ(call(BPF_FUNC_ringbuf_query, map.get(), BPF_RB_PROD_POS), 16 + 32 + 112);
    EXPECT_EQ(call(BPF_FUNC_ringbuf_query, map.get(), BPF_RB_RING_SIZE), 65536);
}

TEST_F(Helpers, PerfEventOutputChecksItsFlags) {
    const auto map = *create_map(
        {.type = BPF_MAP_TYPE_PERF_EVENT_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 2});
    const auto output = [&](u64 flags) {
        return call(BPF_FUNC_perf_event_output, &packet, map.get(), flags, frame.data(), 8);
    };
    EXPECT_EQ(output(0), -ENOENT);
    EXPECT_EQ(output(BPF_F_CURRENT_CPU), -ENOENT);
    EXPECT_EQ(output(2), -E2BIG);
    EXPECT_EQ(output(u64{1} << 52), -EINVAL);
    EXPECT_EQ(output(u64{60} << 32), -ENOENT);
    EXPECT_EQ(output(u64{61} << 32), -EFAULT) << "the packet has 60 bytes";
}

TEST_F(Helpers, MapHelpersReachTheMap) {
    const auto map =
        *create_map({.type = BPF_MAP_TYPE_HASH, .key_size = 8, .value_size = 8, .max_entries = 1});
    const u64 key = 1;
    const u64 value = 2;
    EXPECT_EQ(call(BPF_FUNC_map_lookup_elem, map.get(), &key), 0);
    EXPECT_EQ(call(BPF_FUNC_map_update_elem, map.get(), &key, &value, BPF_EXIST), -ENOENT);
    EXPECT_EQ(call(BPF_FUNC_map_update_elem, map.get(), &key, &value, BPF_ANY), 0);
    const auto* found = reinterpret_cast<const u64*>(call(BPF_FUNC_map_lookup_elem, map.get(), &key));
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(*found, 2U);
    EXPECT_EQ(call(BPF_FUNC_map_delete_elem, map.get(), &key), 0);
    EXPECT_EQ(call(BPF_FUNC_map_delete_elem, map.get(), &key), -ENOENT);
    EXPECT_EQ(call(BPF_FUNC_map_lookup_percpu_elem, map.get(), &key, 0), 0);
    const auto percpu =
        *create_map({.type = BPF_MAP_TYPE_PERCPU_ARRAY, .key_size = 4, .value_size = 8, .max_entries = 2});
    const u32 index = 1;
    EXPECT_EQ(call(BPF_FUNC_map_lookup_percpu_elem, percpu.get(), &index, 0),
              call(BPF_FUNC_map_lookup_elem, percpu.get(), &index));
    EXPECT_EQ(call(BPF_FUNC_map_lookup_percpu_elem, percpu.get(), &index, num_possible_cpus()), 0);
}

// One value, which user space does not see before a program has asked for it.
TEST_F(Helpers, LocalStorageIsThatOfTheRootCgroup) {
    for (const u32 type : {BPF_MAP_TYPE_CGROUP_STORAGE, BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE}) {
        const auto map = *create_map({.type = type, .key_size = 16, .value_size = 12});
        const MapOps& ops = map->ops();
        const bpf_cgroup_storage_key root{.cgroup_inode_id = 1, .attach_type = BPF_CGROUP_INET_EGRESS};
        const bpf_cgroup_storage_key other{.cgroup_inode_id = 2, .attach_type = BPF_CGROUP_INET_EGRESS};
        bpf_cgroup_storage_key next{};
        std::vector<u64> value(2 * num_possible_cpus(), 7);
        EXPECT_EQ(ops.copy_value(*map, &root, value.data(), 0), -ENOENT);
        EXPECT_EQ(ops.store_value(*map, &root, value.data(), 0), -ENOENT);
        EXPECT_EQ(ops.next_key(*map, nullptr, &next), -ENOENT);

        auto* mine = reinterpret_cast<u64*>(call(BPF_FUNC_get_local_storage, map.get(), 0));
        ASSERT_NE(mine, nullptr);
        EXPECT_EQ(mine[0], 0U);
        mine[0] = 99;
        EXPECT_EQ(call(BPF_FUNC_get_local_storage, map.get(), 0), reinterpret_cast<i64>(mine));
        EXPECT_EQ(ops.copy_value(*map, &root, value.data(), 0), 0);
        EXPECT_EQ(value[0], 99U);
        EXPECT_EQ(ops.copy_value(*map, &other, value.data(), 0), -ENOENT);
        EXPECT_EQ(ops.next_key(*map, nullptr, &next), 0);
        EXPECT_EQ(next.cgroup_inode_id, 1U);
        EXPECT_EQ(ops.next_key(*map, &root, &next), -ENOENT);
        value[0] = 5;
        EXPECT_EQ(ops.store_value(*map, &root, value.data(), BPF_NOEXIST), -EINVAL);
        EXPECT_EQ(ops.store_value(*map, &root, value.data(), BPF_F_LOCK), -EINVAL);
        EXPECT_EQ(ops.store_value(*map, &root, value.data(), BPF_EXIST), 0);
        EXPECT_EQ(mine[0], 5U);
        EXPECT_EQ(ops.erase(*map, &root), -EINVAL);
    }
}

TEST_F(Helpers, MetadataMovesWithTheHead) {
    ASSERT_EQ(call(BPF_FUNC_xdp_adjust_meta, &packet, -8), 0);
    std::memcpy(packet.data_meta, "metadata", 8);
    ASSERT_EQ(call(BPF_FUNC_xdp_adjust_head, &packet, -20), 0);
    EXPECT_EQ(packet.length(), 80U);
    EXPECT_EQ(packet.data - packet.data_meta, 8);
    EXPECT_EQ(std::memcmp(packet.data_meta, "metadata", 8), 0);
    ASSERT_EQ(call(BPF_FUNC_xdp_adjust_head, &packet, 30), 0);
    EXPECT_EQ(std::memcmp(packet.data_meta, "metadata", 8), 0);
    EXPECT_EQ(packet.data[0], 10);
}

TEST_F(Helpers, WhatTheTailGrowsByIsZero) {
    std::memset(packet.data_end, 0xff, 100);
    ASSERT_EQ(call(BPF_FUNC_xdp_adjust_tail, &packet, 100), 0);
    for (u32 i = 60; i < 160; ++i) EXPECT_EQ(packet.data[i], 0);
    // A frame without room behind the packet cannot grow.
    packet.frame_end = packet.data_end;
    EXPECT_EQ(call(BPF_FUNC_xdp_adjust_tail, &packet, 1), -EINVAL);
}

TEST_F(Helpers, RedirectNotesItsTarget) {
    EXPECT_EQ(call(BPF_FUNC_redirect, 7, 1), kAborted);
    EXPECT_EQ(packet.redirect_ifindex, 0U);
    EXPECT_EQ(call(BPF_FUNC_redirect, 7, 0), kRedirect);
    EXPECT_EQ(packet.redirect_ifindex, 7U);
}

TEST_F(Helpers, SocketFiltersLoadBytesOrZeros) {
    std::array<u8, 8> to{};
    EXPECT_EQ(call(BPF_FUNC_skb_load_bytes, &packet, 52, to.data(), 8), 0);
    EXPECT_EQ(to[0], 52);
    EXPECT_EQ(call(BPF_FUNC_skb_load_bytes, &packet, 53, to.data(), 8), -EFAULT);
    EXPECT_EQ(to, (std::array<u8, 8>{}));
    EXPECT_EQ(call(BPF_FUNC_skb_load_bytes, &packet, -1, to.data(), 8), -EFAULT);
    EXPECT_EQ(call(BPF_FUNC_skb_load_bytes_relative, &packet, 2, to.data(), 8, BPF_HDR_START_NET), 0);
    EXPECT_EQ(to[0], 16);
    EXPECT_EQ(call(BPF_FUNC_skb_load_bytes_relative, &packet, 2, to.data(), 8, BPF_HDR_START_MAC), 0);
    EXPECT_EQ(to[0], 2);
    EXPECT_EQ(call(BPF_FUNC_skb_load_bytes_relative, &packet, 2, to.data(), 8, 2), -EFAULT);
    EXPECT_EQ(call(BPF_FUNC_skb_load_bytes_relative, &packet, 39, to.data(), 8, BPF_HDR_START_NET), -EFAULT);
}

TEST_F(Helpers, TheClockIsTheRuns) {
    t_run.clock = Clock::capture;
    packet.timestamp_ns = 1'234'567'890'123;
    for (const u32 id : {BPF_FUNC_ktime_get_ns, BPF_FUNC_ktime_get_boot_ns, BPF_FUNC_ktime_get_coarse_ns,
                         BPF_FUNC_ktime_get_tai_ns})
        EXPECT_EQ(call(id), 1'234'567'890'123);
    EXPECT_EQ(call(BPF_FUNC_jiffies64), 1'234'567'890'123 / 4'000'000);
    EXPECT_EQ(call(BPF_FUNC_get_numa_node_id), 0);
    t_run.clock = Clock::wall;
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    const i64 before = time.tv_sec * 1'000'000'000 + time.tv_nsec;
    EXPECT_GE(call(BPF_FUNC_ktime_get_ns), before);
    EXPECT_GE(call(BPF_FUNC_ktime_get_boot_ns), before);
}

TEST_F(Helpers, RandomNumbersOfAPacketDependOnSeedIndexAndCallOnly) {
    t_run.random_by_packet = true;
    const auto draw = [&](u64 seed, u64 index) {
        t_run.seed = seed;
        packet.index = index;
        t_run.random_calls = 0;
        return std::array{call(BPF_FUNC_get_prandom_u32), call(BPF_FUNC_get_prandom_u32)};
    };
    std::set<i64> seen;
    for (u64 seed = 0; seed < 20; ++seed)
        for (u64 index = 0; index < 50; ++index) {
            const auto numbers = draw(seed, index);
            EXPECT_EQ(numbers, draw(seed, index));
            for (const i64 number : numbers) {
                EXPECT_LE(number, 0xffffffff);
                seen.insert(number);
            }
        }
    EXPECT_GE(seen.size(), 1990U); // of 2000; about one pair of equal numbers is likely in 2147
    t_run.random_by_packet = false;
    EXPECT_NE(call(BPF_FUNC_get_prandom_u32), call(BPF_FUNC_get_prandom_u32));
}

struct Format {
    std::string format;
    std::array<u64, 3> arguments;
    std::string text; ///< "!" for -EINVAL
};

TEST(Trace, Formats) {
    static const char word[] = "word";
    static const u8 address[16] = {192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255};
    const u64 kWord = reinterpret_cast<u64>(word);
    const u64 kAddress = reinterpret_cast<u64>(address);
    const Format cases[] = {
        {"plain", {}, "plain"},
        {"100%%", {}, "100%"},
        {"%d %u %x", {~u64{0}, ~u64{0}, 0xabc}, "-1 4294967295 abc"},
        {"%ld|%lu|%lX", {~u64{0}, ~u64{0}, 0xabc}, "-1|18446744073709551615|ABC"},
        {"%lld|%llx", {u64{1} << 63, 0}, "-9223372036854775808|0"},
        {"%5d|%-5d|%05d", {42, 42, static_cast<u64>(-42)}, "   42|42   |-0042"},
        {"%+d|% d|%+d", {1, 1, static_cast<u64>(-1)}, "+1| 1|-1"},
        {"%c%3c", {'a', 'b'}, "a  b"},
        {"%p.", {0x1234}, "0000000000001234."},
        {"%d %d %d %d", {}, "!"},
        {"%s|%5s|%-5s|", {kWord, kWord, kWord}, "word| word|word |"},
        {"%pks,%pus.", {kWord, kWord}, "word,."},
        {"[%s] %pI4", {8, 8}, "[] 0.0.0.0"}, // memory that is not there
        {"%pI4 %pi4", {kAddress, kAddress}, "192.0.2.1 192.000.002.001"},
        {"%pI6", {kAddress}, "c000:0201:0000:0000:0000:0000:0000:00ff"},
        {"%pi6", {kAddress}, "c00002010000000000000000000000ff"},
        {"%px %ps", {0x1234, 0x1234}, "0000000000001234 0x1234"},
        {"%pI5", {}, "!"},
        {"%", {}, "!"},
        {"%5", {}, "!"},
        {"%lc", {}, "!"},
        {"%ll", {}, "!"},
        {"%#x", {}, "!"},
        {"%.3d", {}, "!"},
        {"\x01", {}, "!"},
        {"tab\tnewline\n", {}, "tab\tnewline\n"},
    };
    for (const Format& c : cases) {
        SCOPED_TRACE(c.format);
        std::array<char, 64> text{};
        const i64 length = format_text(c.format, c.arguments, text.data(), text.size());
        if (c.text == "!") {
            EXPECT_EQ(length, -EINVAL);
            continue;
        }
        ASSERT_EQ(length, static_cast<i64>(c.text.size()));
        EXPECT_EQ(std::string(text.data(), static_cast<std::size_t>(length)), c.text);
    }
    std::array<char, 4> little{};
    EXPECT_EQ(format_text("%900d", std::array<u64, 1>{1}, little.data(), 4), 900);
    EXPECT_EQ(std::string(little.data(), 4), "    ");
}

TEST_F(Helpers, TracePrintkWritesALineAndLosesWhatDoesNotFit) {
    const auto nothing = [](const TraceLog::Line&) {};
    TraceLog& log = TraceLog::instance();
    (void)log.drain(nothing);
    t_run.clock = Clock::capture;
    packet.timestamp_ns = 99;
    const char format[] = "value %d\n";
    EXPECT_EQ(call(BPF_FUNC_trace_printk, format, sizeof(format), 7), 8);
    EXPECT_EQ(call(BPF_FUNC_trace_printk, format, sizeof(format) - 1, 7), -EINVAL); // no NUL
    std::vector<std::string> lines;
    EXPECT_EQ(log.drain([&](const TraceLog::Line& line) {
        lines.emplace_back(line.text);
        EXPECT_EQ(line.time_ns, 99U);
    }),
              1U);
    EXPECT_EQ(lines, (std::vector<std::string>{"value 7"}));
    // Several times round the ring.
    for (u32 round = 0; round < 3; ++round) {
        const u64 lost = log.lost();
        for (u32 i = 0; i < TraceLog::kRecords + 5; ++i)
            (void)call(BPF_FUNC_trace_printk, format, sizeof(format), i);
        EXPECT_EQ(log.lost(), lost + 5);
        u32 next = 0;
        EXPECT_EQ(log.drain([&](const TraceLog::Line& line) {
            EXPECT_EQ(line.text, "value " + std::to_string(next++));
        }),
                  TraceLog::kRecords);
    }
}

} // namespace
} // namespace xdplane
