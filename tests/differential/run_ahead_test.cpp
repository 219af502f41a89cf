// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Random programs over maps that a burst shares, with run-ahead off and on: verdicts, packets and maps are
// the same. Every packet lies between pages that nobody may touch, so a slice that reads outside of one ends
// the test.
//
// XDPLANE_RANDOM_ROUNDS and XDPLANE_RANDOM_SEED ask for more or other programs.
#include <cstdlib>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <random>
#include <thread>

#include "bpf/base/reclaimer.h"
#include "bpf/btf/btf.h"
#include "bpf/isa/assembler.h"
#include "bpf/jit/jit.h"
#include "bpf/maps/prog_array.h"
#include "bpf/maps/run_ahead.h"
#include "bpf/run/skb.h"
#include "bpf/verifier/cfg.h"
#include "bpf/verifier/simulation.h"
#include "tests/fuzz/guarded_frame.h"
#include "tests/support/hex.h"
#include "tests/support/kernel_oracle.h"
#include "tests/support/plausible_program.h"
#include "tests/support/reader.h"

namespace xdplane::test {
namespace {

u64 number_from(const char* variable, u64 otherwise) {
    const char* text = std::getenv(variable);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

constexpr u64 kMostInsns = 20'000;
struct TooSlow {};
constexpr u32 kBursts = 3;

using Maps = std::vector<std::shared_ptr<Map>>;

Maps make_maps() {
    Maps maps;
    for (const PlausibleMap& map : plausible_maps()) {
        MapSpec spec;
        spec.type = map.type;
        spec.key_size = map.key_size;
        spec.value_size = map.value_size;
        spec.max_entries = map.max_entries;
        spec.flags = map.flags;
        maps.push_back(create_map(spec).value());
    }
    return maps;
}

/// Null if the verifier refuses it or takes long.
std::shared_ptr<Program> compile(u32 type, const std::string& text, const Maps& maps, u32& sliced,
                                 u32& split) {
    auto insns = assemble(text);
    if (!insns) return nullptr;
    VerifyRequest request;
    request.type = find_program_type(type);
    request.gpl_compatible = true;
    std::vector<u32> begins;
    if (const auto flow = analyse_control_flow(*insns, {.loops = true, .traits = call_traits}))
        for (const Subprogram& function : flow->functions) begins.push_back(function.begin);
    if (begins.size() > 1) {
        std::vector<u32> ids;
        const std::string blob = kernel::function_btf(static_cast<u32>(begins.size()), ids);
        request.btf = Btf::parse({reinterpret_cast<const u8*>(blob.data()), blob.size()}).value();
        for (std::size_t i = 0; i < begins.size(); ++i) request.functions.push_back({begins[i], ids[i]});
    }
    request.insns = std::move(*insns);
    request.map_by_fd = [&maps](i32 fd) -> Result<std::shared_ptr<Map>> {
        return maps.at(static_cast<u32>(fd - 1));
    };
    u64 simulated = 0;
    request.observer = [&simulated](u32, const State&) {
        if (++simulated > kMostInsns) throw TooSlow();
    };
    try {
        VerifierLog log;
        const auto verified = verify(std::move(request), log);
        if (!verified) return nullptr;
        const auto lowered = lower(*verified);
        if (!lowered) return nullptr;
        sliced += lowered->slice() != nullptr;
        split += lowered->split() != nullptr;
        auto executable = jit(*lowered);
        EXPECT_TRUE(executable) << executable.error().message;
        Program::Parts parts;
        parts.type = &verified->type();
        parts.maps = verified->maps();
        parts.executable = std::move(*executable);
        return std::make_shared<Program>(std::move(parts));
    } catch (const TooSlow&) {
        return nullptr;
    }
}

/// What can be seen of a map, in order.
std::string contents(Map& map) {
    if (map.ops().next_key == nullptr || map.ops().copy_value == nullptr) return {};
    std::vector<std::string> entries;
    std::vector<u8> key(map.spec().key_size);
    std::vector<u8> value(map.syscall_value_size());
    for (int found = map.ops().next_key(map, nullptr, key.data()); found == 0;) {
        if (map.ops().copy_value(map, key.data(), value.data(), 0) == 0)
            entries.push_back(to_hex(key) + "=" + to_hex(value));
        const std::vector<u8> last = key;
        found = map.ops().next_key(map, last.data(), key.data());
    }
    std::ranges::sort(entries);
    std::string all;
    for (const std::string& entry : entries) all += entry + "\n";
    return all;
}

class RunAheadOfRandomPrograms : public testing::Test {
protected:
    /// Everything that the program and its target left; empty if the verifier refused one of them.
    std::string run(u64 seed, RunAhead mode) {
        const PlausibleProgram text(seed);
        const Maps maps = make_maps();
        const auto program = compile(text.type(), text.text(), maps, sliced_, split_);
        if (!program) return {};
        ProgArray& targets = static_cast<ProgArray&>(*maps[6]);
        for (u32 i = 0; i < 2; ++i) {
            const PlausibleProgram target(seed + (u64{i} + 1) * 1'000'000);
            if (target.type() != text.type()) continue;
            if (const auto compiled = compile(target.type(), target.text(), maps, sliced_, split_)) {
                EXPECT_EQ(targets.set(i, compiled), 0);
            }
        }
        set_run_ahead(mode);
        t_run = RunContext{};
        t_run.random_by_packet = true;
        std::mt19937_64 random(seed);
        std::string seen;
        for (u32 i = 0; i < kBursts; ++i) {
            fill(random);
            program->run_burst(burst_);
            describe(seen);
        }
        for (const auto& map : maps) seen += contents(*map);
        targets.clear();
        return seen;
    }

    u32 sliced_ = 0;
    u32 split_ = 0;

private:
    /// Few different packets, so that keys come again within a burst.
    void fill(std::mt19937_64& random) {
        burst_.count = kBurst;
        for (u32 i = 0; i < kBurst; ++i) {
            std::mt19937_64 own(random() % 7);
            std::vector<u8> packet(own() % 8 == 0 ? own() % 34 : 34 + own() % 60);
            for (u8& byte : packet) byte = own() % 3 == 0 ? static_cast<u8>(own()) : own() % 8;
            const auto flush = i % 2 == 0 ? fuzz::GuardedFrame::Flush::end : fuzz::GuardedFrame::Flush::start;
            frames_[i].fill(packet, flush, burst_.packets[i]);
            burst_.packets[i].index = i;
            if (packet.size() >= 14) begin_skb(burst_.packets[i]);
        }
    }
    void describe(std::string& seen) {
        for (u32 i = 0; i < kBurst; ++i) {
            const XdpBuff& packet = burst_.packets[i];
            EXPECT_TRUE(frames_[i].intact());
            seen += fmt::format("{} {} {}\n", packet.verdict, packet.mark,
                                to_hex(std::vector<u8>(packet.data, packet.data_end)));
        }
    }

    std::array<fuzz::GuardedFrame, kBurst> frames_;
    Burst burst_;
};

TEST_F(RunAheadOfRandomPrograms, ChangesNothing) {
    const u64 rounds = number_from("XDPLANE_RANDOM_ROUNDS", 40);
    const u64 first = number_from("XDPLANE_RANDOM_SEED", 1);
    u32 compared = 0;
    for (u64 seed = first; seed < first + rounds && !HasFailure(); ++seed) {
        const std::string off = run(seed, RunAhead::off);
        if (off.empty()) continue;
        ++compared;
        EXPECT_EQ(run(seed, RunAhead::on), off) << "seed " << seed << "\n" << PlausibleProgram(seed).text();
    }
    set_run_ahead(RunAhead::automatic);
    Reclaimer::instance().collect();
    if (rounds < 40) return;
    EXPECT_GT(sliced_, rounds / 10);
    EXPECT_GT(split_, rounds / 10);
    EXPECT_GT(compared, rounds / 10);
}

/// Entries come, go and are replaced by the control thread while bursts run ahead of their lookups.
TEST(RunAheadStress, MapsThatChangeMeanwhile) {
    constexpr u32 kRounds = 20000;
    constexpr u32 kKeys = 12; // of at most 8 entries
    const Maps maps = make_maps();
    std::string text = "r2 = *(u32 *)(r1 + 0)\nr3 = *(u32 *)(r1 + 4)\nr4 = r2\nr4 += 8\nif r4 > r3 goto out\n"
                       "r7 = *(u64 *)(r2 + 0)\n";
    for (const u32 fd : {2, 4, 5, 6}) // hash, per CPU, LRU, trie
        text += fmt::format("*(u64 *)(r10 - 8) = r7\nr2 = r10\nr2 += -8\nr1 = map[fd:{0}]\n"
                            "call bpf_map_lookup_elem#1\nif r0 == 0 goto next{0}\n"
                            "r8 = *(u64 *)(r0 + 24)\nr7 += r8\nnext{0}:\n",
                            fd);
    text += "r0 = 2\nexit\nout:\nr0 = 1\nexit\n";
    u32 sliced = 0;
    u32 split = 0;
    const auto program = compile(BPF_PROG_TYPE_XDP, text, maps, sliced, split);
    ASSERT_TRUE(program);
    ASSERT_EQ(sliced, 1U);
    ASSERT_EQ(split, 1U);
    set_run_ahead(RunAhead::on);

    std::atomic<bool> stop{false};
    std::thread worker([&] {
        const Reader reader;
        t_run = RunContext{};
        std::array<u64, kBurst> bytes{};
        Burst burst;
        burst.count = kBurst;
        for (u32 i = 0; i < kBurst; ++i) {
            bytes[i] = i % kKeys | u64{i % kKeys} << 32;
            burst.packets[i] = {};
            burst.packets[i].data = burst.packets[i].data_meta = reinterpret_cast<u8*>(&bytes[i]);
            burst.packets[i].data_end = burst.packets[i].data + 8;
        }
        while (!stop.load(std::memory_order_relaxed)) {
            program->run_burst(burst);
            for (const XdpBuff& packet : burst.packets) EXPECT_EQ(packet.verdict, 2U);
            reader.quiescent();
        }
    });
    std::mt19937 random(3);
    std::vector<u8> value(maps[3]->syscall_value_size());
    for (u32 i = 0; i < kRounds; ++i) {
        for (const u32 index : {1, 3, 4, 5}) {
            Map& map = *maps[index];
            const u64 key = random() % kKeys | u64{random() % kKeys} << 32;
            if (random() % 3 == 0)
                (void)map.ops().erase(map, &key);
            else
                (void)map.ops().store_value(map, &key, value.data(), BPF_ANY);
        }
    }
    stop = true;
    worker.join();
    set_run_ahead(RunAhead::automatic);
}

} // namespace
} // namespace xdplane::test
