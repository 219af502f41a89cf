// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// What programs do with maps through helpers, on every engine.
#include <array>
#include <atomic>
#include <bit>
#include <cstring>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <random>
#include <thread>
#include <utility>

#include "bpf/helpers/helper.h"
#include "bpf/isa/assembler.h"
#include "bpf/maps/map_of_maps.h"
#include "bpf/run/run_context.h"
#include "tests/support/engines.h"
#include "tests/support/line_keys.h"
#include "tests/support/reader.h"
#include "tests/support/unverified_program.h"

namespace xdplane {
namespace {

std::shared_ptr<Map> make(MapSpec spec) {
    auto map = create_map(std::move(spec));
    EXPECT_TRUE(map) << map.error().message;
    return map ? *map : nullptr;
}

/// What the verifier would know: the map of a lookup whose r1 was just loaded.
void tell_maps(std::span<const Insn> insns, std::vector<InsnFacts>& facts, std::vector<FunctionFacts>&) {
    Map* map = nullptr;
    for (std::size_t i = 0; i < insns.size(); ++i) {
        if (facts[i].op == Op::ld_imm64 && insns[i].dst == R1)
            map = facts[i].map;
        else if (facts[i].op == Op::call)
            facts[i].map = std::exchange(map, nullptr);
        else if (insns[i].dst == R1)
            map = nullptr;
    }
}

/// r0 of the program, which each engine runs once in turn.
class Runner {
public:
    Runner(std::string_view text, std::vector<std::shared_ptr<Map>> maps) : maps_(std::move(maps)) {
        auto insns = assemble(text);
        EXPECT_TRUE(insns) << insns.error().message;
        auto program = UnverifiedProgram::make(
            std::move(*insns),
            {.helper = [](u32 id) { return find_helper(id); }, .maps = maps_, .amend = tell_maps});
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

/// A key on the stack that a program copies from the value r9 in pieces of 2, 4 or 8 bytes.
std::string copied_key(u32 data_size, u32 piece, bool length_is_constant) {
    const u32 at = 8 + data_size;
    std::string text = length_is_constant
                           ? fmt::format("*(u32 *)(r10 - {}) = {}\n", at, data_size * 8)
                           : fmt::format("r6 = *(u32 *)(r9 + 0)\n*(u32 *)(r10 - {}) = r6\n", at);
    for (u32 i = 0; i < data_size;) {
        const u32 size = std::min(piece, std::bit_floor(data_size - i));
        text += fmt::format("r6 = *(u{} *)(r9 + {})\n*(u{} *)(r10 - {}) = r6\n", size * 8, 4 + i, size * 8,
                            at - 4 - i);
        i += size;
    }
    return text + fmt::format("r2 = r10\nr2 += -{}\n", at);
}

TEST(MapPrograms, TriesOfAllSizesAreLookedUpByKeysOfAllForms) {
    std::mt19937 random(7);
    u32 found = 0;
    u32 missed = 0;
    for (const u32 data_size : {2U, 3U, 4U, 5U, 6U, 8U, 9U, 12U, 15U, 16U, 20U, 40U})
        for (const u32 entries : {0U, 5U, 100U, 1500U}) {
            const auto trie = make({.type = BPF_MAP_TYPE_LPM_TRIE,
                                    .key_size = 4 + data_size,
                                    .value_size = 8,
                                    .max_entries = 2000,
                                    .flags = BPF_F_NO_PREALLOC});
            const auto keys =
                make({.type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 64, .max_entries = 1});
            std::array<u8, 64> key{};
            const auto draw = [&](u32 shortest) {
                const u32 length = shortest + static_cast<u32>(random()) % (data_size * 8 - shortest + 1);
                std::memcpy(key.data(), &length, 4);
                // Few first bytes, so that prefixes lie below prefixes.
                for (u32 i = 0; i < data_size; ++i)
                    key[4 + i] = static_cast<u8>(random() & (i < 2 ? 0x87 : 0xff));
            };
            for (u32 i = 0; i < entries; ++i) {
                draw(i == 0 ? 0 : 4);
                const u64 value = i;
                ASSERT_EQ(trie->ops().update(*trie, key.data(), &value, BPF_ANY), 0);
            }
            std::vector<Runner> runners;
            const auto add = [&](const std::string& make_key) {
                runners.emplace_back("*(u32 *)(r10 - 4) = 0\nr1 = map[fd:1]\nr2 = r10\nr2 += -4\ncall #1\n"
                                     "if r0 == 0 goto out\nr9 = r0\n" +
                                         make_key + "r1 = map[fd:0]\ncall #1\nout: exit\n",
                                     std::vector{trie, keys});
            };
            add("r2 = r9\n");
            for (const u32 piece : {2U, 4U, 8U}) add(copied_key(data_size, piece, false));
            add(copied_key(data_size, 4, true));
            for (u32 turn = 0; turn < 200; ++turn) {
                draw(0);
                const u32 zero = 0;
                for (std::size_t form = 0; form < runners.size(); ++form) {
                    const u32 whole = data_size * 8;
                    if (form + 1 == runners.size()) std::memcpy(key.data(), &whole, 4);
                    ASSERT_EQ(keys->ops().update(*keys, &zero, key.data(), BPF_ANY), 0);
                    const void* value = trie->ops().lookup(*trie, key.data());
                    ++(value == nullptr ? missed : found);
                    for (std::size_t engine = 0; engine < runners[form].engines(); ++engine)
                        ASSERT_EQ(runners[form].run(engine),
                                  static_cast<u32>(reinterpret_cast<std::uintptr_t>(value)))
                            << data_size << " bytes, " << entries << " entries, form " << form << ", engine "
                            << engine;
                }
            }
        }
    EXPECT_GT(found, 1000U);
    EXPECT_GT(missed, 1000U);
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

/// A program that returns the value of that key, or 0.
Runner lookup_of(u64 key, const std::shared_ptr<Map>& map) {
    return Runner(fmt::format(R"(
        r1 = {} ll
        *(u64 *)(r10 - 8) = r1
        r1 = map[fd:0]
        r2 = r10
        r2 += -8
        call #1
        if r0 == 0 goto +1
        r0 = *(u64 *)(r0 + 0)
        exit
    )",
                              key),
                  {map});
}

// In the slots of the line, in the chain behind it, or not there: whatever the compiled lookup does by
// itself.
TEST(MapPrograms, KeysOfOneLineOfAHash) {
    constexpr u32 kKeys = 6;
    const std::vector<u64> keys = keys_of_one_line(kKeys);
    const auto map = make({.type = BPF_MAP_TYPE_HASH, .key_size = 8, .value_size = 8, .max_entries = kKeys});
    std::vector<Runner> lookups;
    for (const u64 key : keys) lookups.push_back(lookup_of(key, map));
    std::vector<bool> there(kKeys);
    std::mt19937_64 random(3);
    for (u32 step = 0; step < 200; ++step) {
        for (u32 i = 0; i < kKeys; ++i)
            for (std::size_t engine = 0; engine < lookups[i].engines(); ++engine)
                ASSERT_EQ(lookups[i].run(engine), there[i] ? i + 1 : 0) << "step " << step << " key " << i;
        const u32 changed = static_cast<u32>(random() % kKeys);
        const u64 value = changed + 1;
        if (there[changed])
            ASSERT_EQ(map->ops().erase(*map, &keys[changed]), 0);
        else
            ASSERT_EQ(map->ops().update(*map, &keys[changed], &value, BPF_NOEXIST), 0);
        there[changed] = !there[changed];
    }
}

// Updates move keys from slot to slot, into the chain and back; code from the JIT misses none of them.
TEST(MapPrograms, KeysOfOneLineThatMoveAreAlwaysFound) {
    for (const u32 in_use : {1U, 2U, 4U}) {
        const std::vector<u64> keys = keys_of_one_line(in_use);
        const auto map = make({.type = BPF_MAP_TYPE_HASH, .key_size = 8, .value_size = 8, .max_entries = 8});
        const auto put = [&](u32 i) {
            const u64 value = i + 1;
            return map->ops().update(*map, &keys[i], &value, BPF_ANY);
        };
        std::vector<Runner> lookups;
        for (u32 i = 0; i < in_use; ++i) {
            ASSERT_EQ(put(i), 0);
            lookups.push_back(lookup_of(keys[i], map));
        }
        std::atomic<bool> done{false};
        std::thread writer([&] {
            for (u32 i = 0; i < 60'000; ++i) EXPECT_EQ(put(i % in_use), 0);
            done = true;
        });
        const Reader reader;
        u64 wrong = 0;
        while (!done.load(std::memory_order_relaxed)) {
            for (u32 i = 0; i < in_use; ++i)
                for (std::size_t engine = 0; engine < lookups[i].engines(); ++engine)
                    wrong += lookups[i].run(engine) != i + 1;
            reader.quiescent();
        }
        writer.join();
        EXPECT_EQ(wrong, 0U);
    }
}

} // namespace
} // namespace xdplane
