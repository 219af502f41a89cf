// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <gtest/gtest.h>
#include <linux/bpf.h>

#include "bpf/isa/assembler.h"
#include "bpf/maps/prog_array.h"
#include "tests/support/engines.h"
#include "tests/support/unverified_program.h"

/// What engines make of what a verifier knows of functions: frames that are cleared, functions that are dead,
/// and very long ones.
namespace xdplane {
namespace {

/// Leaves something else than zeros where the next frames will be.
u64 dirty_stack(u64, u64, u64, u64, u64) noexcept {
    volatile u8 bytes[4096];
    for (volatile u8& byte : bytes) byte = 0xa5;
    return bytes[7];
}

const HelperProto kDirty = {.id = 100, .name = "dirty", .fn = dirty_stack, .ret = Ret::integer, .args = {}};

using Amend = decltype(UnverifiedOptions::amend);

class Frames : public testing::TestWithParam<TestEngine> {
protected:
    std::unique_ptr<Executable> load(std::vector<Insn> insns, Amend amend,
                                     std::shared_ptr<Map> map = nullptr) {
        UnverifiedOptions options;
        options.helper = [](u32 id) { return id == kDirty.id ? &kDirty : find_helper(id); };
        options.amend = std::move(amend);
        if (map) options.maps = {map};
        const auto verified = UnverifiedProgram::make(std::move(insns), options);
        if (!verified) return failed(verified.error());
        Result<LoweredProgram> lowered = lower(*verified);
        if (!lowered) return failed(lowered.error());
        listing_ =
            lowered->functions().size() < 10 && lowered->insns().size() < 1000 ? lowered->disassemble() : "";
        auto executable = GetParam().make(std::move(*lowered));
        if (!executable) return failed(executable.error());
        return std::move(*executable);
    }
    std::unique_ptr<Executable> load(std::string_view text, Amend amend, std::shared_ptr<Map> map = nullptr) {
        Result<std::vector<Insn>> insns = assemble(text);
        if (!insns) return failed(insns.error());
        return load(std::move(*insns), std::move(amend), std::move(map));
    }
    /// Through both entries, twice.
    static u32 run(const Executable& executable) {
        const Entry& entry = executable.entry;
        std::vector<XdpBuff> packets(3);
        const u32 result = entry.run(&entry, packets.data(), &t_run);
        entry.run_burst(&entry, packets.data(), 3, &t_run);
        for (const XdpBuff& packet : packets) EXPECT_EQ(packet.verdict, result);
        return result;
    }

    std::string listing_;

private:
    static std::unique_ptr<Executable> failed(const Error& error) {
        ADD_FAILURE() << error.message;
        return nullptr;
    }
};

INSTANTIATE_TEST_SUITE_P(, Frames, testing::ValuesIn(test_engines().begin(), test_engines().end()),
                         [](const auto& param) { return std::string(param.param.name); });

/// Sums up the stack, then fills it.
std::string sum_of_stack(u32 depth) {
    std::string text = "r0 = 0\n";
    for (u32 at = 8; at <= depth; at += 8)
        text += fmt::format("r1 = *(u64 *)(r10 -{0})\nr0 |= r1\n*(u64 *)(r10 -{0}) = -1\n", at);
    return text + "r1 = r0\nr1 >>= 32\nr0 |= r1\nw0 = w0\nexit\n";
}

Amend uninit_stack(u32 depth) {
    return [depth](auto, auto&, std::vector<FunctionFacts>& functions) {
        for (FunctionFacts& function : functions) {
            function.stack_depth = depth;
            function.reads_uninit_stack = true;
        }
    };
}

TEST_P(Frames, OfMainProgramsAreCleared) {
    for (const u32 depth : {0U, 8U, 16U, 24U, 40U, 512U}) {
        const auto executable = load(sum_of_stack(depth), uninit_stack(depth));
        ASSERT_TRUE(executable);
        dirty_stack(0, 0, 0, 0, 0);
        EXPECT_EQ(run(*executable), 0U) << depth;
    }
}

TEST_P(Frames, OfSubProgramsAreClearedAtEveryCall) {
    for (const u32 depth : {8U, 24U, 256U}) {
        const auto executable =
            load("call #100\ncall f\nr6 = r0\ncall #100\ncall f\nr0 |= r6\nexit\nf:\n" + sum_of_stack(depth),
                 uninit_stack(depth));
        ASSERT_TRUE(executable);
        EXPECT_EQ(run(*executable), 0U) << depth;
    }
}

TEST_P(Frames, OfCallbacksAreCleared) {
    const auto executable = load(R"(
        call #100
        r1 = 3
        r2 = subprog[f]
        r3 = 0
        r4 = 0
        call #181
        exit
      f:
        r0 = *(u64 *)(r10 -16)
        *(u64 *)(r10 -16) = 1
        exit)",
                                 uninit_stack(16));
    ASSERT_TRUE(executable);
    EXPECT_EQ(run(*executable), 3U);
}

TEST_P(Frames, AreClearedOnceNotInALoopToTheFirstInsn) {
    const auto executable = load(R"(
        r0 = *(u64 *)(r10 -8)
        r0 += 1
        *(u64 *)(r10 -8) = r0
        if r0 < 5 goto pc-4
        exit)",
                                 uninit_stack(8));
    ASSERT_TRUE(executable);
    EXPECT_EQ(run(*executable), 5U);
}

TEST_P(Frames, OfTailCallTargetsAreCleared) {
    MapSpec spec;
    spec.type = BPF_MAP_TYPE_PROG_ARRAY;
    spec.key_size = 4;
    spec.value_size = 4;
    spec.max_entries = 1;
    const std::shared_ptr<Map> map = create_map(spec).value();
    auto& programs = static_cast<ProgArray&>(*map);
    Program::Parts parts;
    parts.type = &UnverifiedProgram::kRawType;
    parts.executable = load(sum_of_stack(128), uninit_stack(128));
    ASSERT_TRUE(parts.executable);
    ASSERT_EQ(programs.set(0, std::make_shared<Program>(std::move(parts))), 0);
    // Its own stack is where the target's will be.
    std::string fill;
    for (u32 at = 8; at <= 512; at += 8) fill += fmt::format("*(u64 *)(r10 -{}) = -1\n", at);
    const auto caller = load(fill + "r2 = map[fd:0]\nr3 = 0\ncall #12\nr0 = 99\nexit", {}, map);
    ASSERT_TRUE(caller);
    EXPECT_EQ(run(*caller), 0U);
    programs.clear();
}

TEST_P(Frames, BudgetsLieBelowTheStack) {
    // A whole stack, cleared, with a budget of may_goto that must not be counted among it.
    std::string text = sum_of_stack(512);
    text.resize(text.size() - 5); // without the exit
    const auto executable =
        load(text + "again: may_goto out\nr0 += 1\nif r0 < 3 goto again\nout: exit", uninit_stack(512));
    ASSERT_TRUE(executable);
    EXPECT_EQ(run(*executable), 3U);
}

/// Insns [begin, end) are dead.
void kill(std::vector<InsnFacts>& facts, u32 begin, u32 end) {
    for (u32 i = begin; i < end; ++i) facts[i].reached = false;
}

TEST_P(Frames, DeadFunctionsAreLeftOut) {
    const auto executable = load("r0 = 4\nexit\nf:\nr0 = 5\nexit\ng:\nr0 = 6\ncall f\nexit\n",
                                 [](auto, auto& facts, auto& functions) {
                                     functions.front().end = 2;
                                     functions.resize(1);
                                     functions.push_back({.begin = 2, .end = 4});
                                     functions.push_back({.begin = 4, .end = 7});
                                     kill(facts, 2, 7);
                                 });
    ASSERT_TRUE(executable);
    EXPECT_EQ(run(*executable), 4U);
    EXPECT_EQ(listing_.find("function"), std::string::npos) << listing_;
}

TEST_P(Frames, AddressesOfDeadCallbacksAreNull) {
    const auto executable = load("r0 = subprog[f]\nif r0 == 0 goto pc+1\nr0 = 1\nexit\nf:\nr0 = 5\nexit\n",
                                 [](auto, auto& facts, auto&) { kill(facts, 5, 7); });
    ASSERT_TRUE(executable);
    EXPECT_EQ(run(*executable), 0U);
}

TEST_P(Frames, LiveCallbacksBehindDeadFunctions) {
    const auto executable = load(R"(
        r0 = 0
        if r0 == 0 goto live
        call dead
      live:
        r1 = 6
        r2 = subprog[f]
        r3 = 0
        r4 = 0
        call #181
        exit
      dead:
        r0 = 77
        exit
      f:
        r0 = 0
        exit)",
                                 [](auto, auto& facts, auto&) {
                                     facts[1].always_taken = true;
                                     facts[2].reached = false;
                                     kill(facts, 10, 12);
                                 });
    ASSERT_TRUE(executable);
    EXPECT_EQ(run(*executable), 6U);
    EXPECT_NE(listing_.find("callback"), std::string::npos) << listing_;
}

TEST_P(Frames, TheMainProgramIsNoCallback) {
    UnverifiedOptions options;
    const auto verified =
        UnverifiedProgram::make(assemble("r1 = subprog[-1]\nr0 = 0\nexit").value(), options);
    ASSERT_TRUE(verified) << verified.error().message;
    const auto lowered = lower(*verified);
    ASSERT_FALSE(lowered);
    EXPECT_EQ(lowered.error().message, "lower: insn 0: call of the main program");
}

/// As many insns as a program may have, in a straight line.
TEST_P(Frames, AMillionInsns) {
    std::vector<Insn> insns = {encode(Op::mov64_imm, R0, 0, 0, 0)};
    while (insns.size() < kMaxInsns - 1) {
        const u32 i = static_cast<u32>(insns.size());
        insns.push_back(i % 3 == 0   ? encode(Op::add64_imm, R0, 0, 0, 1)
                        : i % 3 == 1 ? encode(Op::jeq64_imm, R0, 0, 0, -1)
                                     : encode(Op::stx64, R10, R0, -8, 0));
    }
    insns.push_back(encode(Op::exit, 0, 0, 0, 0));
    const auto executable = load(std::move(insns), {});
    ASSERT_TRUE(executable);
    EXPECT_EQ(run(*executable), 333'332U);
}

/// A program of nothing but small functions.
TEST_P(Frames, ManyFunctions) {
    constexpr u32 kFunctions = 255; // Linux's limit
    std::vector<Insn> insns;
    for (u32 i = 0; i < kFunctions; ++i) {
        insns.push_back(encode(Op::call, 0, kCallLocal, 0, static_cast<i32>(kFunctions - i + 3 * i)));
    }
    insns.push_back(encode(Op::exit, 0, 0, 0, 0));
    for (u32 i = 0; i < kFunctions; ++i) {
        insns.push_back(encode(Op::add64_imm, R6, 0, 0, 1));
        insns.push_back(encode(Op::mov64_imm, R0, 0, 0, static_cast<i32>(i)));
        insns.push_back(encode(Op::exit, 0, 0, 0, 0));
    }
    // r6 of a callee starts as its caller's, which is never set: it is not looked at.
    const auto executable = load(std::move(insns), {});
    ASSERT_TRUE(executable);
    EXPECT_EQ(run(*executable), kFunctions - 1);
}

} // namespace
} // namespace xdplane
