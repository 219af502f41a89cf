// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <thread>

#include "bpf/helpers/helper.h"
#include "bpf/isa/assembler.h"
#include "bpf/maps/prog_array.h"
#include "tests/support/engines.h"
#include "tests/support/reader.h"
#include "tests/support/unverified_program.h"

/// Tail calls and frames on every engine: what a target sees, where it returns to, and when a call fails.
namespace xdplane {
namespace {

class TailCalls : public testing::TestWithParam<TestEngine> {
protected:
    TailCalls() {
        MapSpec spec;
        spec.type = BPF_MAP_TYPE_PROG_ARRAY;
        spec.key_size = 4;
        spec.value_size = 4;
        spec.max_entries = 4;
        map_ = create_map(spec).value();
    }
    // Programs hold the map and the map programs; the cycle ends here.
    ~TailCalls() override { programs().clear(); }

    ProgArray& programs() { return static_cast<ProgArray&>(*map_); }

    /// "map[fd:0]" in the text is the prog array.
    std::shared_ptr<Program> program(const std::string& text) {
        const auto insns = assemble(text);
        EXPECT_TRUE(insns) << insns.error().message;
        UnverifiedOptions options;
        options.maps = {map_};
        options.helper = find_helper;
        const auto verified = UnverifiedProgram::make(*insns, options);
        EXPECT_TRUE(verified) << verified.error().message;
        Result<LoweredProgram> lowered = lower(*verified);
        EXPECT_TRUE(lowered) << lowered.error().message;
        auto executable = GetParam().make(std::move(*lowered));
        EXPECT_TRUE(executable) << executable.error().message;
        Program::Parts parts;
        parts.type = &verified->type();
        parts.maps = {map_};
        parts.executable = std::move(*executable);
        return std::make_shared<Program>(std::move(parts));
    }
    void put(u32 index, const std::string& text) { ASSERT_EQ(programs().set(index, program(text)), 0); }

    /// Through both entries; r1 is the packet.
    u32 run(const Program& p) {
        Burst burst;
        burst.count = 3;
        for (u32 i = 0; i < burst.count; ++i) {
            burst.packets[i] = {};
            burst.packets[i].mark = 100;
        }
        XdpBuff packet = burst.packets[0];
        const u32 result = p.run(packet);
        p.run_burst(burst);
        for (u32 i = 0; i < burst.count; ++i) {
            EXPECT_EQ(burst.packets[i].verdict, result) << "packet " << i << " of a burst";
            EXPECT_EQ(burst.packets[i].mark, packet.mark);
        }
        mark_ = packet.mark;
        return result;
    }

    u32 mark_ = 0; ///< of the packet after run(): what programs leave there
    static constexpr u32 kMark = offsetof(XdpBuff, mark);

    static std::string call(const std::string& index) {
        return "r2 = map[fd:0]\nr3 = " + index + "\ncall bpf_tail_call#12\n";
    }
    static std::string add_to_mark(u32 amount) {
        return fmt::format("r9 = *(u32 *)(r1 +{0})\nr9 += {1}\n*(u32 *)(r1 +{0}) = r9\n", kMark, amount);
    }

private:
    std::shared_ptr<Map> map_;
};

TEST_P(TailCalls, TargetTakesOver) {
    put(1, add_to_mark(5) + "r0 = 2\nexit");
    EXPECT_EQ(run(*program(call("1") + "r0 = 9\nexit")), 2U);
    EXPECT_EQ(mark_, 105U);
}

TEST_P(TailCalls, EmptySlotGoesOn) {
    EXPECT_EQ(run(*program("r6 = r1\nr7 = 7\n" + call("2") + "r0 = 9\nr0 += r7\nexit")), 16U);
}

TEST_P(TailCalls, IndexOutOfRangeGoesOn) {
    put(0, "r0 = 1\nexit");
    for (const char* index : {"4", "-1", "0x7fffffff"})
        EXPECT_EQ(run(*program(call(index) + "r0 = 9\nexit")), 9U);
}

TEST_P(TailCalls, LowHalfOfTheIndexCounts) {
    put(1, "r0 = 1\nexit");
    EXPECT_EQ(run(*program(call("0x500000001 ll") + "r0 = 9\nexit")), 1U);
}

TEST_P(TailCalls, FailureKeepsResultAndSavedRegisters) {
    EXPECT_EQ(run(*program("r0 = 3\nr6 = 10\nr7 = 20\nr8 = 30\nr9 = 40\n" + call("2") +
                           "r0 += r6\nr0 += r7\nr0 += r8\nr0 += r9\nexit")),
              103U);
}

TEST_P(TailCalls, ThirtyThreeInARow) {
    put(0, "r6 = r1\n" + add_to_mark(1) + call("0") + "r0 = 5\nexit");
    EXPECT_EQ(run(*program(call("0") + "r0 = 9\nexit")), 5U);
    EXPECT_EQ(mark_, 100U + kMaxTailCalls);
}

TEST_P(TailCalls, OnlySuccessIsCounted) {
    put(0, "r6 = r1\n" + add_to_mark(1) + call("3") + "r1 = r6\n" + call("0") + "r0 = 5\nexit");
    EXPECT_EQ(run(*program(call("0") + "r0 = 9\nexit")), 5U);
    EXPECT_EQ(mark_, 100U + kMaxTailCalls);
}

TEST_P(TailCalls, FromASubProgramReturnsToItsCaller) {
    put(1, "r0 = 40\nr6 = 1\nr7 = 1\nr8 = 1\nr9 = 1\n*(u64 *)(r10 -8) = 1\nexit");
    const auto p = program("r6 = 2\nr7 = 3\nr8 = 4\nr9 = 5\n*(u64 *)(r10 -8) = 6\ncall f\n"
                           "r0 += r6\nr0 += r7\nr0 += r8\nr0 += r9\nr1 = *(u64 *)(r10 -8)\nr0 += r1\nexit\n"
                           "f:\n" +
                           call("1") + "r0 = 1000\nexit");
    EXPECT_EQ(run(*p), 60U);
    ASSERT_EQ(programs().erase(1), 0);
    EXPECT_EQ(run(*p), 1020U);
}

TEST_P(TailCalls, TargetHasSubProgramsAndAWholeStack) {
    put(1, R"(
        *(u64 *)(r10 -512) = 7
        r6 = r10
        r1 = 5
        call f
        r1 = *(u64 *)(r10 -512)
        r0 += r1
        r6 -= r10
        r0 += r6
        exit
      f:
        *(u64 *)(r10 -512) = 100
        r0 = *(u64 *)(r10 -512)
        r0 += r1
        exit)");
    EXPECT_EQ(run(*program("*(u64 *)(r10 -8) = 1\n" + call("1") + "r0 = 9\nexit")), 112U);
}

/// As deep as it goes: every target calls 7 frames down and tail-calls from the last of them.
TEST_P(TailCalls, DeepestStack) {
    std::string chain = "call f1\nr0 += 1\nexit\n";
    for (u32 i = 1; i < kMaxCallFrames - 1; ++i)
        chain += fmt::format("f{}:\n*(u64 *)(r10 -512) = {}\ncall f{}\nr1 = *(u64 *)(r10 -512)\nr0 += 1\n"
                             "if r1 == {} goto ok{}\nr0 = -100000\nok{}: exit\n",
                             i, i, i + 1, i, i, i);
    chain += fmt::format("f{}:\n", kMaxCallFrames - 1) + call("0") + "r0 = 0\nexit\n";
    put(0, chain);
    // The first program and 33 tail-called ones, of 7 frames each that add 1.
    EXPECT_EQ(run(*program(chain)), (kMaxTailCalls + 1) * (kMaxCallFrames - 1));
}

TEST_P(TailCalls, ReplacedWhileInUse) {
    put(1, "r0 = 1\nexit");
    const auto p = program(call("1") + "r0 = 9\nexit");
    EXPECT_EQ(run(*p), 1U);
    put(1, "r0 = 2\nexit");
    EXPECT_EQ(run(*p), 2U);
    ASSERT_EQ(programs().erase(1), 0);
    EXPECT_EQ(run(*p), 9U);
}

/// Frames of every size on both sides of a call: each has room for the next one, and gives it back.
TEST_P(TailCalls, FramesOfAllSizes) {
    const auto with_stack = [](u32 bytes, const std::string& rest) {
        if (bytes == 0) return rest;
        return fmt::format("*(u64 *)(r10 -{0}) = 3\nr6 = *(u64 *)(r10 -{0})\n", bytes) + rest;
    };
    const auto sub = [](const std::string& rest) {
        return rest + "f:\n*(u64 *)(r10 -72) = 5\nr0 = *(u64 *)(r10 -72)\nexit\n";
    };
    for (const u32 below : {0U, 8U, 16U, 512U}) {
        for (const u32 above : {0U, 8U, 16U, 24U, 512U}) {
            put(2, sub(with_stack(below, "call f\nr0 += 2\nexit\n")));
            put(1, with_stack(512 - below, call("2") + "exit\n"));
            // 1 is entered behind its prologue, 2 in front of it.
            EXPECT_EQ(run(*program(with_stack(above, call("1") + "r0 = 9\nexit"))), 7U) << above << below;
            EXPECT_EQ(run(*program("call g\nr0 += 1\nexit\ng:\n" +
                                   with_stack(std::min(above, 256U), call("1") + "r0 = 9\nexit"))),
                      8U)
                << above << below;
        }
    }
}

/// Workers meet the old program, the new one or none, and nothing else.
TEST_P(TailCalls, SwappedWhileWorkersRun) {
    constexpr u32 kSwaps = 20000;
    put(1, "r0 = 1\nexit");
    put(2, call("1") + "r0 = 9\nexit");
    const std::shared_ptr<Program> constant = program(call("2") + "r0 = 7\nexit");
    const std::shared_ptr<Program> variable =
        program(fmt::format("r3 = *(u32 *)(r1 +{})\n", kMark) + call("r3") + "r0 = 7\nexit");
    const std::shared_ptr<Program> next[] = {
        program("r0 = 1\nexit"), program("*(u64 *)(r10 -512) = 2\nr0 = *(u64 *)(r10 -512)\nexit"), nullptr};
    std::atomic<bool> stop{false};
    std::array<std::atomic<u64>, 10> seen{};
    const auto work = [&](const Program& p) {
        const Reader reader;
        Burst burst;
        burst.count = kBurst;
        while (!stop.load(std::memory_order_relaxed)) {
            for (XdpBuff& packet : burst.packets) packet.mark = 2;
            p.run_burst(burst);
            for (const XdpBuff& packet : burst.packets)
                seen[std::min(packet.verdict, 9U)].fetch_add(1, std::memory_order_relaxed);
            reader.quiescent();
        }
    };
    std::thread first(work, std::cref(*constant));
    std::thread second(work, std::cref(*variable));
    for (u32 i = 0; i < kSwaps || seen[1] == 0 || seen[2] == 0; ++i) {
        const auto& chosen = next[i % 3];
        if (chosen)
            EXPECT_EQ(programs().set(1, chosen), 0);
        else
            EXPECT_EQ(programs().erase(1), 0);
    }
    stop = true;
    first.join();
    second.join();
    u64 others = 0;
    // 9: slot 1 was empty. Slot 2 never is.
    for (const u32 verdict : {0, 3, 4, 5, 6, 7, 8}) others += seen[verdict];
    EXPECT_EQ(others, 0U);
}

TEST_P(TailCalls, LegacyLoadFailureEndsTheFunction) {
    // In a sub-program it is the sub-program that returns 0.
    const auto p = program("r6 = r1\ncall f\nr0 += 5\nexit\nf:\nr6 = r1\nr0 = *(u8 *)skb[0]\nr0 = 7\nexit");
    EXPECT_EQ(run(*p), 5U);
}

INSTANTIATE_TEST_SUITE_P(Engines, TailCalls, testing::ValuesIn(test_engines().begin(), test_engines().end()),
                         [](const auto& engine) { return std::string(engine.param.name); });

} // namespace
} // namespace xdplane
