// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <cerrno>
#include <gtest/gtest.h>
#include <linux/bpf.h>

#include "bpf/helpers/helper.h"
#include "bpf/isa/assembler.h"
#include "bpf/maps/prog_array.h"
#include "bpf/run/run_context.h"
#include "tests/support/call_case.h"
#include "tests/support/engines.h"
#include "tests/support/unverified_program.h"

/// Helpers that call back, on every engine and on the running kernel.
namespace xdplane {
namespace {

const CallCase kCases[] = {
    {"LoopRunsOnTheCallersStack", R"(
        *(u64 *)(r10 -8) = 0
        r1 = 10
        r2 = subprog[add]
        r3 = r10
        r3 += -8
        r4 = 0
        call #181
        r0 *= 1000
        r1 = *(u64 *)(r10 -8)
        r0 += r1
        exit
      add:
        r3 = *(u64 *)(r2 +0)
        r3 += r1
        r3 += 1
        *(u64 *)(r2 +0) = r3
        r0 = 0
        exit)",
     10055},
    {"LoopOfNone", R"(
        r1 = 0
        r2 = subprog[f]
        r3 = 0
        r4 = 0
        call #181
        exit
      f:
        r0 = 0
        exit)",
     0},
    {"LoopStops", R"(
        r1 = 100
        r2 = subprog[f]
        r3 = 0
        r4 = 0
        call #181
        exit
      f:
        r0 = 0
        if r1 != 7 goto out
        r0 = 1
      out:
        exit)",
     8},
    {"LoopWithFlags", R"(
        r1 = 1
        r2 = subprog[f]
        r3 = 0
        r4 = 1
        call #181
        exit
      f:
        r0 = 0
        exit)",
     static_cast<u32>(-EINVAL)},
    {"LoopTooLong", R"(
        r1 = 8388609
        r2 = subprog[f]
        r3 = 0
        r4 = 0
        call #181
        exit
      f:
        r0 = 1
        exit)",
     static_cast<u32>(-E2BIG)},
    {"LoopOfTheMost", R"(
        r1 = 8388608
        r2 = subprog[f]
        r3 = 0
        r4 = 0
        call #181
        exit
      f:
        r0 = 1
        exit)",
     1},
    {"CountHas64Bits", R"(
        r1 = 0x500000003 ll
        r2 = subprog[f]
        r3 = 0
        r4 = 0
        call #181
        exit
      f:
        r0 = 0
        exit)",
     static_cast<u32>(-E2BIG)},
    {"CallbacksKeepSavedRegisters", R"(
        r6 = 1
        r7 = 2
        r8 = 4
        r9 = 8
        r1 = 3
        r2 = subprog[f]
        r3 = 0
        r4 = 0
        call #181
        r0 += r6
        r0 += r7
        r0 += r8
        r0 += r9
        exit
      f:
        r6 = 100
        r7 = 100
        r8 = 100
        r9 = 100
        *(u64 *)(r10 -8) = 100
        r0 = 0
        exit)",
     18},
    {"NestedLoops", R"(
        *(u64 *)(r10 -8) = 0
        r1 = 5
        r2 = subprog[outer]
        r3 = r10
        r3 += -8
        r4 = 0
        call #181
        r0 = *(u64 *)(r10 -8)
        exit
      outer:
        *(u64 *)(r10 -16) = r2
        r1 = 7
        r2 = subprog[inner]
        r3 = r10
        r3 += -16
        r4 = 0
        call #181
        r0 = 0
        exit
      inner:
        r1 = *(u64 *)(r2 +0)
        r3 = *(u64 *)(r1 +0)
        r3 += 1
        *(u64 *)(r1 +0) = r3
        r0 = 0
        exit)",
     35},
    {"CallbackCallsASubProgram", R"(
        *(u64 *)(r10 -8) = 0
        r1 = 4
        r2 = subprog[f]
        r3 = r10
        r3 += -8
        r4 = 0
        call #181
        r0 = *(u64 *)(r10 -8)
        exit
      f:
        r6 = r2
        call square
        r3 = *(u64 *)(r6 +0)
        r3 += r0
        *(u64 *)(r6 +0) = r3
        r0 = 0
        exit
      square:
        r0 = r1
        r0 *= r1
        exit)",
     14},
    {"LoopInASubProgram", R"(
        r6 = 5
        call f
        r0 += r6
        exit
      f:
        *(u64 *)(r10 -8) = 0
        r1 = 4
        r2 = subprog[add]
        r3 = r10
        r3 += -8
        r4 = 0
        call #181
        r0 = *(u64 *)(r10 -8)
        exit
      add:
        r3 = *(u64 *)(r2 +0)
        r3 += r1
        *(u64 *)(r2 +0) = r3
        r0 = 0
        exit)",
     11},
    {"ArrayElements", R"(
        *(u64 *)(r10 -8) = 0
        r1 = map[fd:0]
        r2 = subprog[sum]
        r3 = r10
        r3 += -8
        r4 = 0
        call #164
        r0 *= 1000
        r1 = *(u64 *)(r10 -8)
        r0 += r1
        exit
      sum:
        r5 = *(u32 *)(r2 +0)
        r1 = *(u64 *)(r3 +0)
        r1 *= r5
        r3 = *(u64 *)(r4 +0)
        r3 += r1
        *(u64 *)(r4 +0) = r3
        r0 = 0
        exit)",
     4200},
    {"ThisCpusElements", R"(
        *(u64 *)(r10 -8) = 0
        r1 = map[fd:1]
        r2 = subprog[sum]
        r3 = r10
        r3 += -8
        r4 = 0
        call #164
        r0 *= 1000
        r1 = *(u64 *)(r10 -8)
        r0 += r1
        exit
      sum:
        r1 = *(u64 *)(r3 +0)
        r3 = *(u64 *)(r4 +0)
        r3 += r1
        *(u64 *)(r4 +0) = r3
        r0 = 0
        exit)",
     4100},
    {"ElementsUntilOneStops", R"(
        r1 = map[fd:0]
        r2 = subprog[f]
        r3 = 0
        r4 = 0
        call #164
        exit
      f:
        r0 = 0
        r1 = *(u64 *)(r3 +0)
        if r1 != 20 goto out
        r0 = 1
      out:
        exit)",
     2},
    {"ElementsWithFlags", R"(
        r1 = map[fd:0]
        r2 = subprog[f]
        r3 = 0
        r4 = 8
        call #164
        exit
      f:
        r0 = 0
        exit)",
     static_cast<u32>(-EINVAL)},
    {"ElementsAreWritten", R"(
        r1 = map[fd:0]
        r2 = subprog[f]
        r3 = 0
        r4 = 0
        call #164
        *(u32 *)(r10 -4) = 3
        r1 = map[fd:0]
        r2 = r10
        r2 += -4
        call #1
        if r0 == 0 goto out
        r0 = *(u64 *)(r0 +0)
      out:
        exit
      f:
        r1 = *(u64 *)(r3 +0)
        r1 += 2
        *(u64 *)(r3 +0) = r1
        r0 = 0
        exit)",
     42},
    {"TheMapIsTheFirstArgument", R"(
        r1 = map[fd:0]
        r2 = subprog[f]
        r3 = 0
        r4 = 0
        call #164
        r0 = 7
        exit
      f:
        call #1
        if r0 == 0 goto out
        r1 = *(u64 *)(r0 +0)
        r0 = 0
        if r1 != 30 goto out
        r0 = 1
      out:
        exit)",
     7},
    {"LoopInEachElement", R"(
        *(u64 *)(r10 -8) = 0
        r1 = map[fd:0]
        r2 = subprog[element]
        r3 = r10
        r3 += -8
        r4 = 0
        call #164
        r0 = *(u64 *)(r10 -8)
        exit
      element:
        r1 = 3
        r2 = subprog[add]
        r3 = r10
        r3 += -8
        *(u64 *)(r10 -8) = r4
        r4 = 0
        call #181
        r0 = 0
        exit
      add:
        r1 = *(u64 *)(r2 +0)
        r3 = *(u64 *)(r1 +0)
        r3 += 1
        *(u64 *)(r1 +0) = r3
        r0 = 0
        exit)",
     12},
    {"OneCallbackForTwoCalls", R"(
        *(u64 *)(r10 -8) = 0
        r6 = subprog[f]
        r1 = 2
        r2 = r6
        r3 = r10
        r3 += -8
        r4 = 0
        call #181
        r1 = 3
        r2 = r6
        r3 = r10
        r3 += -8
        r4 = 0
        call #181
        r0 = *(u64 *)(r10 -8)
        exit
      f:
        r3 = *(u64 *)(r2 +0)
        r3 += 1
        *(u64 *)(r2 +0) = r3
        r0 = 0
        exit)",
     5},
    {.name = "AllBitsOfTheResultCount",
     .text = R"(
        r1 = 9
        r2 = subprog[f]
        r3 = 0
        r4 = 0
        call #181
        exit
      f:
        r0 = 0x100000000 ll
        exit)",
     .result = 1,
     .kernel_skip = "the result has to be 0 or 1"},
    {"BudgetOfEachCallback", R"(
        r1 = 3
        r2 = subprog[f]
        r3 = 0
        r4 = 0
        call #181
        exit
      f:
        r1 = 0
      again:
        may_goto out
        r1 += 1
        if r1 < 10 goto again
      out:
        r0 = 0
        exit)",
     3},
};

class CallbackCase : public testing::TestWithParam<CallCase> {};

TEST_P(CallbackCase, Engines) { check_engines(GetParam()); }
TEST_P(CallbackCase, Kernel) { check_kernel(GetParam()); }

INSTANTIATE_TEST_SUITE_P(, CallbackCase, testing::ValuesIn(kCases),
                         [](const auto& param) { return param.param.name; });

/// Tail calls out of callbacks: the target returns to the helper, and counts.
TEST(Callbacks, TailCallsReturnToTheHelper) {
    for (const TestEngine& engine : test_engines()) {
        MapSpec spec;
        spec.type = BPF_MAP_TYPE_PROG_ARRAY;
        spec.key_size = 4;
        spec.value_size = 4;
        spec.max_entries = 1;
        const std::shared_ptr<Map> map = create_map(spec).value();
        const auto program = [&](const char* text, bool known = false) {
            UnverifiedOptions options;
            if (known) options.amend = know_callbacks;
            options.maps = {map};
            options.helper = find_helper;
            const auto verified = UnverifiedProgram::make(assemble(text).value(), options);
            EXPECT_TRUE(verified) << verified.error().message;
            Program::Parts parts;
            parts.type = &verified->type();
            parts.executable = engine.make(lower(*verified).value()).value();
            return std::make_shared<Program>(std::move(parts));
        };
        // r1 of the target is the packet: it counts there, in mark, and clobbers what it may.
        const std::string target =
            fmt::format("r2 = *(u32 *)(r1 +{0})\nr2 += 1\n*(u32 *)(r1 +{0}) = r2\nr0 = 0\nr6 = 0\nr7 = 0\n"
                        "r8 = 0\nr9 = 0\n*(u64 *)(r10 -8) = 0\nexit",
                        offsetof(XdpBuff, mark));
        ASSERT_EQ(static_cast<ProgArray&>(*map).set(0, program(target.c_str())), 0);
        const char* const caller = R"(
            r6 = 1
            r7 = 2
            r8 = 4
            r9 = 8
            *(u64 *)(r10 -8) = r1
            r1 = 40
            r2 = subprog[f]
            r3 = r10
            r3 += -8
            r4 = 0
            call #181
            r0 += r6
            r0 += r7
            r0 += r8
            r0 += r9
            exit
          f:
            r1 = *(u64 *)(r2 +0)
            r2 = map[fd:0]
            r3 = 0
            call #12
            r0 = 1
            exit)";
        for (const bool known : {false, true}) {
            Burst burst;
            burst.count = 2;
            burst.packets[0] = burst.packets[1] = {};
            program(caller, known)->run_burst(burst);
            for (u32 i = 0; i < burst.count; ++i) {
                // The 34th fails, and the callback ends the loop.
                EXPECT_EQ(burst.packets[i].verdict, kMaxTailCalls + 1 + 15) << engine.name;
                EXPECT_EQ(burst.packets[i].mark, kMaxTailCalls) << engine.name;
            }
        }
        static_cast<ProgArray&>(*map).clear();
    }
}

} // namespace
} // namespace xdplane
