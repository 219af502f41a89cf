// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// What programs do with maps through helpers, on every engine.
#include <gtest/gtest.h>
#include <linux/bpf.h>

#include "bpf/helpers/helper.h"
#include "bpf/isa/assembler.h"
#include "bpf/maps/map_of_maps.h"
#include "bpf/run/run_context.h"
#include "tests/support/engines.h"
#include "tests/support/unverified_program.h"

namespace xdplane {
namespace {

std::shared_ptr<Map> make(MapSpec spec) {
    auto map = create_map(std::move(spec));
    EXPECT_TRUE(map) << map.error().message;
    return map ? *map : nullptr;
}

/// r0 of the program, which each engine runs once in turn.
class Runner {
public:
    Runner(std::string_view text, std::vector<std::shared_ptr<Map>> maps) : maps_(std::move(maps)) {
        auto insns = assemble(text);
        EXPECT_TRUE(insns) << insns.error().message;
        auto program = UnverifiedProgram::make(
            std::move(*insns), {.helper = [](u32 id) { return find_helper(id); }, .maps = maps_});
        EXPECT_TRUE(program) << program.error().message;
        for (const TestEngine& engine : test_engines()) {
            auto lowered = lower(*program);
            EXPECT_TRUE(lowered) << lowered.error().message;
            auto executable = engine.make(std::move(*lowered));
            EXPECT_TRUE(executable) << engine.name;
            executables_.push_back(std::move(*executable));
        }
    }
    [[nodiscard]] std::size_t engines() const { return executables_.size(); }
    u32 run(std::size_t engine) {
        const Entry& entry = executables_[engine]->entry;
        XdpBuff packet{};
        t_run.packet = &packet;
        return entry.run(&entry, &packet, &t_run);
    }

private:
    std::vector<std::shared_ptr<Map>> maps_; // code has their addresses
    std::vector<std::unique_ptr<Executable>> executables_;
};

TEST(MapPrograms, QueuesArePushedPeekedAndPopped) {
    // Pushes 5 and 6; (peek << 8) + (pop << 4) + code of a pop too many.
    Runner runner(R"(
        *(u64 *)(r10 - 8) = 5
        r1 = map[fd:0]
        r2 = r10
        r2 += -8
        r3 = 0
        call #87
        *(u64 *)(r10 - 8) = 6
        r1 = map[fd:0]
        r2 = r10
        r2 += -8
        r3 = 0
        call #87
        r1 = map[fd:0]
        r2 = r10
        r2 += -8
        call #89
        r6 = *(u64 *)(r10 - 8)
        r6 <<= 8
        r1 = map[fd:0]
        r2 = r10
        r2 += -8
        call #88
        r1 = map[fd:0]
        r2 = r10
        r2 += -8
        call #88
        r7 = *(u64 *)(r10 - 8)
        r7 <<= 4
        r6 += r7
        r1 = map[fd:0]
        r2 = r10
        r2 += -8
        call #88
        r0 = -r0
        r0 += r6
        exit
    )",
                  {make({.type = BPF_MAP_TYPE_QUEUE, .value_size = 8, .max_entries = 4})});
    for (std::size_t engine = 0; engine < runner.engines(); ++engine)
        EXPECT_EQ(runner.run(engine), 0x500U + 0x60U + 2U);
}

TEST(MapPrograms, TriesAndLruHashesAreLookedUp) {
    const auto trie = make({.type = BPF_MAP_TYPE_LPM_TRIE,
                            .key_size = 8,
                            .value_size = 8,
                            .max_entries = 4,
                            .flags = BPF_F_NO_PREALLOC});
    const auto lru = make({.type = BPF_MAP_TYPE_LRU_HASH, .key_size = 8, .value_size = 8, .max_entries = 64});
    const u32 prefix[2] = {8, 10};
    const u64 value = 7;
    ASSERT_EQ(trie->ops().update(*trie, prefix, &value, BPF_ANY), 0);
    const u32 key[2] = {32, 0x0102030a};
    const u64 other = 30;
    ASSERT_EQ(lru->ops().update(*lru, key, &other, BPF_ANY), 0);
    Runner runner(R"(
        *(u32 *)(r10 - 8) = 32
        *(u32 *)(r10 - 4) = 0x0102030a
        r1 = map[fd:0]
        r2 = r10
        r2 += -8
        call #1
        if r0 == 0 goto out
        r6 = *(u64 *)(r0 + 0)
        r1 = map[fd:1]
        r2 = r10
        r2 += -8
        call #1
        if r0 == 0 goto out
        r0 = *(u64 *)(r0 + 0)
        r0 += r6
        out:
        exit
    )",
                  {trie, lru});
    for (std::size_t engine = 0; engine < runner.engines(); ++engine) EXPECT_EQ(runner.run(engine), 37U);
}

TEST(MapPrograms, InnerMapsAreLookedUpInTheirTurn) {
    for (const u32 type : {BPF_MAP_TYPE_ARRAY_OF_MAPS, BPF_MAP_TYPE_HASH_OF_MAPS}) {
        const auto inner =
            make({.type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 8, .max_entries = 2});
        const auto outer =
            make({.type = type, .key_size = 4, .value_size = 4, .max_entries = 2, .inner = inner});
        Runner runner(R"(
            *(u32 *)(r10 - 4) = 1
            r1 = map[fd:0]
            r2 = r10
            r2 += -4
            call #1
            if r0 == 0 goto out
            r1 = r0
            r2 = r10
            r2 += -4
            call #1
            if r0 == 0 goto out
            r1 = *(u64 *)(r0 + 0)
            r1 += 1
            *(u64 *)(r0 + 0) = r1
            r0 = r1
            out:
            exit
        )",
                      {outer});
        const u32 key = 1;
        for (std::size_t engine = 0; engine < runner.engines(); ++engine) EXPECT_EQ(runner.run(engine), 0U);
        ASSERT_EQ(set_inner_map(*outer, &key, inner, BPF_ANY), 0);
        for (std::size_t engine = 0; engine < runner.engines(); ++engine)
            EXPECT_EQ(runner.run(engine), engine + 1);
    }
}

} // namespace
} // namespace xdplane
