// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Workers run bursts while control threads update, delete and replace what they look up and swap what they
// jump to. Whatever a lookup finds is whole and was never freed under it (reclaimed elements are poisoned
// where there is AddressSanitizer), no entry that a worker alone owns is lost, and every packet is counted
// once on its way and once by its verdict.
//
// Two seconds in the suite; XDPLANE_STRESS_SECONDS asks for more.
#include <array>
#include <atomic>
#include <bpf/bpf.h>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "bpf/base/reclaimer.h"
#include "bpf/libbpf/object.h"
#include "bpf/maps/run_ahead.h"
#include "bpf/prog/program.h"
#include "bpf/run/packet.h"
#include "bpf/run/run_context.h"
#include "tests/support/eventually.h"
#include "tests/support/reader.h"

using namespace xdplane;

namespace {

std::string g_object;

// As in objects/stress.bpf.c.
constexpr u32 kEntries = 4096;
enum Count : u32 { kEntered, kStageA, kStageB, kMissed, kBroken, kLost, kReused, kCounts };
struct Proven {
    u64 key;
    u64 proof;
};
Proven proven(u64 key) { return {key, key * 0x9e3779b97f4a7c15ULL + 1}; }
struct Prefix {
    u32 length;
    u32 bytes;
};

double seconds() {
    const char* text = std::getenv("XDPLANE_STRESS_SECONDS");
    return text == nullptr ? 2 : std::atof(text);
}

class Stress : public testing::Test {
protected:
    void SetUp() override {
        auto opened = Object::open(g_object);
        ASSERT_TRUE(opened) << opened.error().message;
        object_ = std::move(*opened);
        const auto loaded = object_->load();
        ASSERT_TRUE(loaded) << loaded.error().message;
        entry_ = object_->program("entry");
        ASSERT_NE(entry_, nullptr);
    }
    void TearDown() override { set_run_ahead(RunAhead::automatic); }

    [[nodiscard]] int fd(const char* map) const { return object_->map_fd(map); }

    /// libbpf is entered by one thread at a time, the maps by all: through what bpf(2) calls.
    [[nodiscard]] Map& map(const char* name) const { return *object_->map(name); }

    void work(u32 cpu, u32 seed);
    void change(u32 seed);
    void swap_stages(u32 seed);

    std::unique_ptr<Object> object_;
    std::shared_ptr<const Program> entry_;
    std::atomic<bool> stop_{false};
    std::atomic<u64> changes_{0};
    std::atomic<u64> swaps_{0};
    std::mutex sums_lock_;
    std::array<u64, 5> verdicts_{}; ///< by enum xdp_action
    u64 packets_ = 0;
};

/// A worker: bursts of random keys, most of them among those that come and go.
void Stress::work(u32 cpu, u32 seed) {
    const Reader reader;
    t_run = RunContext{};
    t_run.cpu = cpu;
    std::mt19937 random(seed);
    std::array<std::array<u32, 2>, kBurst> bytes{};
    std::array<u64, 5> verdicts{};
    u64 packets = 0;
    Burst burst;
    while (!stop_.load(std::memory_order_relaxed)) {
        burst.count = 1 + random() % kBurst;
        for (u32 i = 0; i < burst.count; ++i) {
            bytes[i] = {static_cast<u32>(random() % (2 * kEntries)), static_cast<u32>(random() % 5)};
            XdpBuff& packet = burst.packets[i];
            packet = {};
            packet.data = packet.data_meta = packet.hard_start = reinterpret_cast<u8*>(&bytes[i]);
            packet.data_end = packet.frame_end = packet.data + sizeof bytes[i];
        }
        entry_->run_burst(burst);
        for (u32 i = 0; i < burst.count; ++i) ++verdicts[std::min(burst.packets[i].verdict, 4U)];
        packets += burst.count;
        reader.quiescent();
    }
    const std::lock_guard guard(sums_lock_);
    packets_ += packets;
    for (u32 i = 0; i < verdicts.size(); ++i) verdicts_[i] += verdicts[i];
}

/// A control thread: entries come, are replaced, and go.
void Stress::change(u32 seed) {
    std::mt19937 random(seed);
    Map& table = map("table");
    Map& routes = map("routes");
    Map& recent = map("recent");
    while (!stop_.load(std::memory_order_relaxed)) {
        const u32 key = static_cast<u32>(random() % (2 * kEntries));
        const Prefix prefix{static_cast<u32>(random() % 33), key};
        const Proven value = proven(random());
        const bool erases = random() % 3 == 0;
        if (erases) {
            (void)table.ops().erase(table, &key);
            (void)routes.ops().erase(routes, &prefix);
            (void)recent.ops().erase(recent, &key);
        } else {
            (void)table.ops().store_value(table, &key, &value, BPF_ANY); // full at times
            (void)routes.ops().store_value(routes, &prefix, &value, BPF_ANY);
            (void)recent.ops().store_value(recent, &key, &value, BPF_ANY);
        }
        // Maps hold what was replaced until no worker can look at it, as long as their spare elements last:
        // no faster than that, or values are overwritten early, as they are on Linux.
        if (changes_.fetch_add(1, std::memory_order_relaxed) % 64 == 0) {
            const u64 stamp = Reclaimer::instance().stamp();
            while (!Reclaimer::instance().passed(stamp) && !stop_.load(std::memory_order_relaxed))
                std::this_thread::yield();
        }
    }
}

/// Another control thread, the one that may enter libbpf.
void Stress::swap_stages(u32 seed) {
    std::mt19937 random(seed);
    const int stages = fd("stages");
    const std::array<int, 2> programs{object_->program_fd("stage_a"), object_->program_fd("stage_b")};
    while (!stop_.load(std::memory_order_relaxed)) {
        const u32 slot = static_cast<u32>(random() % 4);
        if (random() % 4 == 0)
            (void)bpf_map_delete_elem(stages, &slot);
        else
            EXPECT_EQ(bpf_map_update_elem(stages, &slot, &programs[random() % 2], BPF_ANY), 0);
        swaps_.fetch_add(1, std::memory_order_relaxed);
        if (swaps_.load(std::memory_order_relaxed) % 64 == 0) std::this_thread::yield();
    }
}

TEST_F(Stress, NothingIsLostAndNothingIsStale) {
    const u32 workers = std::min(2U, num_possible_cpus());
    for (const RunAhead mode : {RunAhead::on, RunAhead::off, RunAhead::automatic}) {
        set_run_ahead(mode);
        stop_ = false;
        std::vector<std::thread> threads;
        for (u32 i = 0; i < workers; ++i) threads.emplace_back([this, i] { work(i, i + 1); });
        threads.emplace_back([this] { change(11); });
        threads.emplace_back([this] { change(12); });
        threads.emplace_back([this] { swap_stages(13); });
        std::this_thread::sleep_for(std::chrono::duration<double>(seconds() / 3));
        // Everybody has had a turn, however slow the machine.
        (void)eventually([&] { return swaps_ >= 100 && changes_ >= 1000; });
        stop_ = true;
        for (std::thread& thread : threads) thread.join();
        if (HasFailure()) return;
    }
    std::array<u64, kCounts> counts{};
    std::vector<u64> values(num_possible_cpus());
    for (u32 i = 0; i < kCounts; ++i) {
        ASSERT_EQ(bpf_map_lookup_elem(fd("counts"), &i, values.data()), 0);
        for (const u64 value : values) counts[i] += value;
    }
    EXPECT_GT(packets_, 0U);
    EXPECT_EQ(counts[kBroken], 0U) << "values that are not whole";
    EXPECT_EQ(map("table").reused_early() + map("routes").reused_early(), 0U);
    // An LRU map overwrites what a worker may still be looking at if it has to, and says so.
    if (counts[kReused] != 0) {
        EXPECT_GT(map("recent").reused_early(), 0U) << "values that are not whole";
    }
    EXPECT_EQ(counts[kLost], 0U) << "entries of one worker alone that were lost";
    EXPECT_EQ(counts[kEntered], packets_);
    EXPECT_EQ(counts[kStageA], verdicts_[XDP_PASS]);
    EXPECT_EQ(counts[kStageB], verdicts_[XDP_TX]);
    EXPECT_EQ(counts[kMissed], verdicts_[XDP_DROP]);
    EXPECT_EQ(counts[kStageA] + counts[kStageB] + counts[kMissed], packets_);
    EXPECT_EQ(verdicts_[XDP_ABORTED], 0U);
    std::printf("%llu packets, %llu changes, %llu swaps; %llu elements reused early, %llu of them seen\n",
                static_cast<unsigned long long>(packets_), static_cast<unsigned long long>(changes_.load()),
                static_cast<unsigned long long>(swaps_.load()),
                static_cast<unsigned long long>(map("recent").reused_early()),
                static_cast<unsigned long long>(counts[kReused]));
    // What is left is whole, too.
    for (const char* name : {"table", "recent"}) {
        std::vector<u8> key(4);
        Proven value{};
        for (int rc = map(name).ops().next_key(map(name), nullptr, key.data()); rc == 0;
             rc = map(name).ops().next_key(map(name), key.data(), key.data()))
            if (map(name).ops().copy_value(map(name), key.data(), &value, 0) == 0) {
                EXPECT_EQ(value.proof, proven(value.key).proof);
            }
    }
}

} // namespace

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    if (argc < 2) {
        std::fprintf(stderr, "usage: %s OBJECT\n", argv[0]);
        return 2;
    }
    g_object = argv[1];
    return RUN_ALL_TESTS();
}
