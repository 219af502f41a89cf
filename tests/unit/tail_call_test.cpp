// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <gtest/gtest.h>
#include <linux/bpf.h>

#include "bpf/isa/assembler.h"
#include "bpf/maps/prog_array.h"
#include "tests/support/engines.h"
#include "tests/support/unverified_program.h"

/// Tail calls on every engine, with what the verifier may know about them: map and index each known or not.
namespace xdplane {
namespace {

constexpr u32 kSlots = 4;
/// Where the programs below count: __sk_buff::cb of the packet, r1 being the XdpBuff itself.
const std::string kCount = fmt::format("*(u32 *)(r6 + {})", offsetof(XdpBuff, cb));
const std::string kCountHere = "r6 = r1\nr7 = " + kCount + "\nr7 += 1\n" + kCount + " = r7\n";

/// The stack pointer where the helper's caller calls it: a multiple of 16 by the ABI.
u64 misalignment(u64, u64, u64, u64, u64) noexcept {
    return reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)) % 16;
}

const HelperProto* helpers(u32 id) {
    static const HelperProto kTail = {
        .id = BPF_FUNC_tail_call, .name = "tail_call", .fn = nullptr, .ret = Ret::nothing, .args = {}};
    static const HelperProto kAligned = {.id = BPF_FUNC_get_smp_processor_id,
                                         .name = "misalignment",
                                         .fn = misalignment,
                                         .ret = Ret::integer,
                                         .args = {}};
    return id == kTail.id ? &kTail : id == kAligned.id ? &kAligned : nullptr;
}

/// "tail_call N": r2 and r3 loaded, r1 the context from r6.
std::string tail_call(std::string_view index) {
    return fmt::format("r1 = r6\nr2 = map[fd:0]\nr3 = {}\ncall #12\n", index);
}

struct Mode {
    TestEngine engine;
    bool known_map;
    bool known_index;
};

class TailCall : public testing::TestWithParam<Mode> {
protected:
    TailCall() {
        Result<std::shared_ptr<Map>> map = create_map({.type = BPF_MAP_TYPE_PROG_ARRAY,
                                                       .key_size = 4,
                                                       .value_size = 4,
                                                       .max_entries = kSlots,
                                                       .flags = 0,
                                                       .name = "progs"});
        if (map) progs_ = std::static_pointer_cast<ProgArray>(*map);
    }
    ~TailCall() override { progs_->clear(); }

    /// What a verifier would know: the map, the index where it is loaded just before, and the stack used.
    void amend(std::span<const Insn> insns, std::vector<InsnFacts>& facts,
               std::vector<FunctionFacts>& functions) const {
        for (std::size_t i = 1; i < insns.size(); ++i) {
            if (facts[i].helper == nullptr || facts[i].helper->id != BPF_FUNC_tail_call) continue;
            if (GetParam().known_map) facts[i].map = progs_.get();
            if (GetParam().known_index && facts[i - 1].op == Op::mov64_imm && insns[i - 1].dst == R3)
                facts[i].constant = static_cast<u64>(i64{insns[i - 1].imm});
        }
        for (FunctionFacts& function : functions) {
            function.stack_depth = 0;
            for (u32 i = function.begin; i < function.end; ++i) {
                if (facts[i].op == Op::invalid) continue;
                const OpKind kind = info(facts[i].op).kind;
                const bool stores = (kind == OpKind::st || kind == OpKind::stx) && insns[i].dst == R10;
                const bool loads = kind == OpKind::ldx && insns[i].src == R10;
                if (stores || loads)
                    function.stack_depth = std::max(function.stack_depth, static_cast<u32>(-insns[i].off));
            }
        }
    }

    std::shared_ptr<const Program> load(std::string_view text) {
        Result<std::vector<Insn>> insns = assemble(text);
        if (!insns) return failed(insns.error());
        UnverifiedProgram::Options options{.helper = helpers, .maps = {progs_}};
        options.amend = [this](auto all, auto& facts, auto& functions) { amend(all, facts, functions); };
        Result<VerifiedProgram> verified = UnverifiedProgram::make(std::move(*insns), options);
        if (!verified) return failed(verified.error());
        Result<LoweredProgram> lowered = lower(*verified);
        if (!lowered) return failed(lowered.error());
        Result<std::unique_ptr<Executable>> executable = GetParam().engine.make(std::move(*lowered));
        if (!executable) return failed(executable.error());
        Program::Parts parts;
        parts.type = &UnverifiedProgram::kRawType;
        parts.executable = std::move(*executable);
        return std::make_shared<const Program>(std::move(parts));
    }

    /// Loads a program into a slot.
    void put(u32 slot, std::string_view text) { ASSERT_EQ(progs_->set(slot, load(text)), 0); }

    u32 run(std::string_view text) {
        const std::shared_ptr<const Program> program = load(text);
        return program ? run(*program) : ~0U;
    }
    u32 run(const Program& program) {
        packet_.cb[0] = 0;
        return program.run(packet_);
    }

    XdpBuff packet_{};
    std::shared_ptr<ProgArray> progs_;

private:
    static std::shared_ptr<const Program> failed(const Error& error) {
        ADD_FAILURE() << error.message;
        return nullptr;
    }
};

std::vector<Mode> modes() {
    std::vector<Mode> all;
    for (const TestEngine& engine : test_engines())
        for (const bool known_map : {false, true})
            for (const bool known_index : {false, true}) all.push_back({engine, known_map, known_index});
    return all;
}

INSTANTIATE_TEST_SUITE_P(, TailCall, testing::ValuesIn(modes()), [](const auto& param) {
    return fmt::format("{}Map{}Index{}", param.param.engine.name, param.param.known_map ? "Known" : "Unknown",
                       param.param.known_index ? "Known" : "Unknown");
});

TEST_P(TailCall, TheTargetReturnsForTheCaller) {
    put(0, kCountHere + tail_call("1") + "r0 = 1\nexit");
    put(1, kCountHere + "r0 = 42\nexit");
    EXPECT_EQ(run(kCountHere + tail_call("0") + "r0 = 2\nexit"), 42U);
    EXPECT_EQ(packet_.cb[0], 3U);
}

TEST_P(TailCall, ExactlyThirtyThreeSucceed) {
    // Counts its own runs, and calls itself until that fails.
    put(0, kCountHere + tail_call("0") + "r0 = " + kCount + "\nexit");
    EXPECT_EQ(run(*progs_->get(0)), 1 + kMaxTailCalls);
    EXPECT_EQ(run(*progs_->get(0)), 1 + kMaxTailCalls) << "the count outlived a run";
}

TEST_P(TailCall, EachPacketOfABurstHasItsOwnCount) {
    put(0, kCountHere + tail_call("0") + "r0 = " + kCount + "\nexit");
    Burst burst;
    burst.count = 3;
    for (u32 i = 0; i < burst.count; ++i) burst.packets[i] = XdpBuff{};
    progs_->get(0)->run_burst(burst);
    for (u32 i = 0; i < burst.count; ++i) EXPECT_EQ(burst.packets[i].verdict, 1 + kMaxTailCalls);
}

TEST_P(TailCall, AnEmptySlotFallsThroughAndDoesNotCount) {
    EXPECT_EQ(run("r6 = r1\n" + tail_call("2") + "r0 = 5\nexit"), 5U);
    put(0, kCountHere + tail_call("3") + tail_call("0") + "r0 = " + kCount + "\nexit");
    EXPECT_EQ(run(*progs_->get(0)), 1 + kMaxTailCalls);
}

TEST_P(TailCall, AnIndexOutOfRangeFallsThroughAndDoesNotCount) {
    put(0, kCountHere + tail_call("4") + tail_call("-1") + tail_call("0x7fffffff") + tail_call("0") +
               "r0 = " + kCount + "\nexit");
    EXPECT_EQ(run(*progs_->get(0)), 1 + kMaxTailCalls);
}

TEST_P(TailCall, OnlyTheLowHalfOfTheIndexCounts) {
    put(1, "r0 = 9\nexit");
    EXPECT_EQ(run("r6 = r1\n" + tail_call("0x500000001 ll") + "r0 = 5\nexit"), 9U);
    EXPECT_EQ(run("r6 = r1\n" + tail_call("0x100000004 ll") + "r0 = 5\nexit"), 5U);
}

TEST_P(TailCall, SlotsAreReadAtEveryRun) {
    const std::shared_ptr<const Program> caller = load("r6 = r1\n" + tail_call("1") + "r0 = 5\nexit");
    ASSERT_TRUE(caller);
    EXPECT_EQ(run(*caller), 5U);
    put(1, "r0 = 6\nexit");
    EXPECT_EQ(run(*caller), 6U);
    put(1, "r0 = 7\nexit");
    EXPECT_EQ(run(*caller), 7U);
    ASSERT_EQ(progs_->erase(1), 0);
    EXPECT_EQ(run(*caller), 5U);
}

TEST_P(TailCall, AFailureKeepsTheOtherRegistersAndTheStack) {
    EXPECT_EQ(run("r6 = r1\nr0 = 1\nr7 = 2\nr8 = 4\nr9 = 8\n*(u64 *)(r10 -16) = 16\n" + tail_call("3") +
                  "r1 = *(u64 *)(r10 -16)\nr0 += r7\nr0 += r8\nr0 += r9\nr0 += r1\nexit"),
              31U);
}

TEST_P(TailCall, TheTargetSeesTheContext) {
    put(0, fmt::format("r0 = *(u32 *)(r1 + {})\nexit", offsetof(XdpBuff, mark)));
    packet_.mark = 77;
    EXPECT_EQ(run("r6 = r1\n" + tail_call("0") + "r0 = 5\nexit"), 77U);
}

/// Fills `bytes` of stack, calls the helper that wants an aligned stack, and checks the stack afterwards.
std::string stack_user(u32 bytes, std::string_view then) {
    std::string text = "r6 = r1\n";
    for (u32 at = 8; at <= bytes; at += 8) text += fmt::format("*(u64 *)(r10 -{}) = {}\n", at, at);
    text += "call #8\nif r0 != 0 goto bad\n";
    for (u32 at = 8; at <= bytes; at += 8)
        text += fmt::format("r1 = *(u64 *)(r10 -{})\nif r1 != {} goto bad\n", at, at);
    return fmt::format("{}{}exit\nbad:\nr0 = 99\nexit", text, then);
}

TEST_P(TailCall, StacksOfAnyDepthFollowEachOther) {
    for (const u32 first : {0U, 8U, 16U, 24U, 512U}) {
        for (const u32 second : {0U, 8U, 16U, 24U, 512U}) {
            put(0, stack_user(second, tail_call("1") + "r0 = 98\n"));
            put(1, stack_user(first, "r0 = 7\n"));
            EXPECT_EQ(run(stack_user(first, tail_call("0") + "r0 = 97\n")), 7U) << first << ' ' << second;
        }
    }
}

// --- tail calls in sub-programs ---

/// A program that overwrites every register it may, and some stack.
constexpr const char* kClobber = R"(
    *(u64 *)(r10 -8) = -1
    *(u64 *)(r10 -64) = -1
    r6 = -1
    r7 = -1
    r8 = -1
    r9 = -1
    r0 = 100
    exit)";

TEST_P(TailCall, ASubProgramsTargetReturnsToItsCallerWithRegistersKept) {
    put(0, kClobber);
    const std::string text = R"(
        r6 = r1
        r7 = 2
        r8 = 4
        r9 = 8
        *(u64 *)(r10 -8) = 16
        r1 = r6
        call f
        r0 += r7
        r0 += r8
        r0 += r9
        r1 = *(u64 *)(r10 -8)
        r0 += r1
        r6 = )" + fmt::format("*(u32 *)(r6 + {})", offsetof(XdpBuff, mark)) +
                             R"(
        r0 += r6
        exit
    f:
        *(u64 *)(r10 -24) = 3
        r6 = r1
        )" + tail_call("0") + R"(
        r0 = 200
        exit)";
    packet_.mark = 1000;
    EXPECT_EQ(run(text), 100U + 2 + 4 + 8 + 16 + 1000);
    ASSERT_EQ(progs_->erase(0), 0);
    EXPECT_EQ(run(text), 200U + 2 + 4 + 8 + 16 + 1000) << "after a failure the sub-program goes on";
}

TEST_P(TailCall, ProgramsNestThroughSubProgramsUpToTheLimit) {
    // Each run adds 1 to what the run that its sub-program tail-calls returns.
    put(0, kCountHere + "r1 = r6\ncall f\nr0 += 1\nexit\nf:\nr6 = r1\n" + tail_call("0") + "r0 = 0\nexit");
    EXPECT_EQ(run(*progs_->get(0)), 1 + kMaxTailCalls);
    EXPECT_EQ(packet_.cb[0], 1 + kMaxTailCalls);
}

TEST_P(TailCall, StacksUnderSubProgramsAreAligned) {
    for (const u32 depth : {0U, 8U, 16U, 40U}) {
        put(0, stack_user(depth, "r0 = 7\n"));
        // The sub-program saves different numbers of registers.
        for (const char* uses : {"", "r7 = 1\n", "r7 = 1\nr8 = 1\n", "r7 = 1\nr8 = 1\nr9 = 1\n"}) {
            EXPECT_EQ(
                run(fmt::format("{}exit\nf:\n{}r6 = r1\n{}{}", "call f\n", uses,
                                "call #8\nif r0 != 0 goto bad\n", tail_call("0") + "bad:\nr0 = 96\nexit")),
                7U)
                << depth << ' ' << uses;
        }
    }
}

} // namespace
} // namespace xdplane
