// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/maps/prog_array.h"

#include <atomic>
#include <cerrno>
#include <gtest/gtest.h>
#include <thread>

#include "bpf/base/reclaimer.h"
#include "bpf/prog/program.h"

namespace xdplane {
namespace {

std::atomic<int> g_alive{0};
constexpr u64 kAlive = 0x600d600d;

/// An executable whose death shows.
struct Marked final : Executable {
    Marked() {
        ++g_alive;
        entry.engine_data = this;
        entry.run = [](const Entry* e, XdpBuff*, RunContext*) noexcept -> u32 {
            return static_cast<const Marked*>(e->engine_data)->mark == kAlive ? 1 : 0;
        };
    }
    ~Marked() override {
        mark = 0;
        --g_alive;
    }
    u64 mark = kAlive;
};

std::shared_ptr<const Program> program() {
    Program::Parts parts;
    parts.executable = std::make_unique<Marked>();
    return std::make_shared<Program>(std::move(parts));
}

std::shared_ptr<ProgArray> make(u32 max_entries) {
    return std::static_pointer_cast<ProgArray>(*create_map(
        {.type = BPF_MAP_TYPE_PROG_ARRAY, .key_size = 4, .value_size = 4, .max_entries = max_entries}));
}

TEST(ProgArray, HoldsProgramsUntilTheyAreReplacedOrErased) {
    const auto array = make(2);
    EXPECT_EQ(array->entry(0), nullptr);
    EXPECT_EQ(array->erase(0), -ENOENT);
    EXPECT_EQ(array->erase(2), -E2BIG);
    EXPECT_EQ(array->set(2, program()), -E2BIG);
    EXPECT_EQ(g_alive, 0);
    const auto first = program();
    EXPECT_EQ(array->set(1, first), 0);
    EXPECT_EQ(array->entry(1), &first->entry());
    EXPECT_EQ(array->door(1), first->entry().tail_entry);
    EXPECT_EQ(array->doors()[1].load(), first->entry().tail_entry);
    EXPECT_EQ(array->get(1), first);
    EXPECT_EQ(array->entry(u64{1} << 32), nullptr);
    EXPECT_EQ(array->door(u64{1} << 32), nullptr);
    EXPECT_EQ(array->set(1, program()), 0);
    EXPECT_EQ(first.use_count(), 1);
    EXPECT_EQ(g_alive, 2);
    EXPECT_EQ(array->erase(1), 0);
    EXPECT_EQ(array->door(1), nullptr);
    EXPECT_EQ(g_alive, 1);
    EXPECT_EQ(array->set(0, program()), 0);
    array->clear();
    EXPECT_EQ(array->get(0), nullptr);
    EXPECT_EQ(g_alive, 1);
}

TEST(ProgArray, ReadersKeepAProgramUntilTheyAreQuiescent) {
    const auto array = make(1);
    ASSERT_EQ(array->set(0, program()), 0);
    Reclaimer& reclaimer = Reclaimer::instance();
    const int slot = reclaimer.online();
    const Entry* entry = array->entry(0);
    ASSERT_EQ(array->erase(0), 0);
    EXPECT_EQ(g_alive, 1);
    EXPECT_EQ(entry->run(entry, nullptr, nullptr), 1U);
    reclaimer.quiescent(slot);
    reclaimer.offline(slot);
    EXPECT_EQ(reclaimer.collect(), 0U);
    EXPECT_EQ(g_alive, 0);
}

TEST(ProgArray, TheFirstProgramDecidesWhoMayJoin) {
    const auto array = make(1);
    EXPECT_TRUE(array->compatible({.prog_type = BPF_PROG_TYPE_XDP, .jited = true}));
    EXPECT_TRUE(array->compatible({.prog_type = BPF_PROG_TYPE_XDP, .jited = true}));
    EXPECT_FALSE(array->compatible({.prog_type = BPF_PROG_TYPE_XDP, .jited = false}));
    EXPECT_FALSE(array->compatible({.prog_type = BPF_PROG_TYPE_SOCKET_FILTER, .jited = true}));
}

TEST(ProgArray, WorkersRunWhatIsSwappedUnderThem) {
    const auto array = make(1);
    std::atomic<bool> stop{false};
    std::atomic<u64> runs{0};
    const auto work = [&] {
        Reclaimer& reclaimer = Reclaimer::instance();
        const int slot = reclaimer.online();
        while (!stop.load(std::memory_order_relaxed)) {
            if (const Entry* entry = array->entry(0)) {
                EXPECT_EQ(entry->run(entry, nullptr, nullptr), 1U);
                runs.fetch_add(1, std::memory_order_relaxed);
            }
            reclaimer.quiescent(slot);
        }
        reclaimer.offline(slot);
    };
    std::thread first(work);
    std::thread second(work);
    for (u32 i = 0; i < 3000 || runs.load() < 1000; ++i) {
        if (i % 5 == 4)
            (void)array->erase(0);
        else
            ASSERT_EQ(array->set(0, program()), 0);
        if (i % 50 == 0) std::this_thread::yield();
    }
    stop = true;
    first.join();
    second.join();
    array->clear();
    Reclaimer::instance().drain();
    EXPECT_EQ(g_alive, 0);
}

} // namespace
} // namespace xdplane
