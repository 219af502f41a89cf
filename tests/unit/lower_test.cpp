// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// Lowering of context accesses and of control flow, and its listing.
#include <gtest/gtest.h>

#include "bpf/lower/draft.h"
#include "tests/unit/lower_support.h"

namespace xdplane::test {
namespace {

std::string lower_ctx(u32 type, std::string_view text) {
    const ProgramType& row = *find_program_type(type);
    return listing(lower_text(std::string(text) + "\nexit", {.type = &row, .amend = context_in_r1(row)}));
}

struct ContextCase {
    u32 type;
    const char* access;
    std::string lowered;
};

std::string load(const char* dst, const char* width, std::size_t offset) {
    return fmt::format("{} = *({} *)(r1 + {}); exit", dst, width, offset);
}

TEST(LowerContext, AccessesBecomeThoseOfXdpBuff) {
    constexpr u32 xdp = BPF_PROG_TYPE_XDP;
    constexpr u32 filter = BPF_PROG_TYPE_SOCKET_FILTER;
    constexpr u32 sched = BPF_PROG_TYPE_SCHED_CLS;
    const std::size_t cb = offsetof(XdpBuff, cb);
    const ContextCase cases[] = {
        {xdp, "r2 = *(u32 *)(r1 + 0)", load("r2", "u64", offsetof(XdpBuff, data))},
        {xdp, "r2 = *(u32 *)(r1 + 4)", load("r2", "u64", offsetof(XdpBuff, data_end))},
        {xdp, "r1 = *(u32 *)(r1 + 8)", load("r1", "u64", offsetof(XdpBuff, data_meta))},
        {xdp, "r0 = *(u32 *)(r1 + 12)", load("r0", "u32", offsetof(XdpBuff, ingress_ifindex))},
        {xdp, "r0 = *(u32 *)(r1 + 16)", load("r0", "u32", offsetof(XdpBuff, rx_queue))},
        // Narrow loads take the byte of the field.
        {filter, "r0 = *(u8 *)(r1 + 10)", load("r0", "u8", offsetof(XdpBuff, mark) + 2)},
        {filter, "r0 = *(u16 *)(r1 + 10)", load("r0", "u16", offsetof(XdpBuff, mark) + 2)},
        // Fields that are narrower in XdpBuff: their upper bytes are 0.
        {filter, "r0 = *(u32 *)(r1 + 16)", load("r0", "u16", offsetof(XdpBuff, protocol))},
        {filter, "r0 = *(u8 *)(r1 + 17)", load("r0", "u8", offsetof(XdpBuff, protocol) + 1)},
        {filter, "r0 = *(u8 *)(r1 + 18)", "w0 = 0; exit"},
        // As in Linux, which narrows only what is wider than what was asked for.
        {filter, "r0 = *(u16 *)(r1 + 18)", load("r0", "u16", offsetof(XdpBuff, protocol))},
        {filter, "r0 = *(u8 *)(r1 + 6)", load("r0", "u8", offsetof(XdpBuff, pkt_type))},
        {filter, "r0 = *(u8 *)(r1 + 22)", "w0 = 0; exit"},
        {filter, "r0 = *(u32 *)(r1 + 4)", load("r0", "u8", offsetof(XdpBuff, pkt_type))},
        // What means nothing here.
        {filter, "r0 = *(u32 *)(r1 + 44)", "w0 = 0; exit"},
        // The control block is bytes.
        {filter, "r0 = *(u64 *)(r1 + 48)", load("r0", "u64", cb)},
        {filter, "r0 = *(u32 *)(r1 + 64)", load("r0", "u32", cb + 16)},
        {filter, "r0 = *(u8 *)(r1 + 67)", load("r0", "u8", cb + 19)},
        {sched, "r0 = *(u64 *)(r1 + 168)", "w0 = 0; exit"},
        {sched, "r0 = *(u64 *)(r1 + 152)", load("r0", "u64", offsetof(XdpBuff, skb.tstamp))},
        {sched, "r0 = *(u8 *)(r1 + 180)", load("r0", "u8", offsetof(XdpBuff, skb.tstamp_type))},
        {sched, "*(u32 *)(r1 + 44) = r3",
         fmt::format("*(u16 *)(r1 + {}) = r3; exit", offsetof(XdpBuff, skb.tc_index))},
        {sched, "*(u32 *)(r1 + 12) = 7",
         fmt::format("*(u16 *)(r1 + {}) = 7; exit", offsetof(XdpBuff, skb.queue_mapping))},
        {sched, "*(u32 *)(r1 + 12) = 65535", "exit"},
        {filter, "*(u32 *)(r1 + 52) = r3", fmt::format("*(u32 *)(r1 + {}) = r3; exit", cb + 4)},
        {filter, "*(u16 *)(r1 + 54) = -2", fmt::format("*(u16 *)(r1 + {}) = -2; exit", cb + 6)},
        {filter, "*(u64 *)(r1 + 56) = r3", fmt::format("*(u64 *)(r1 + {}) = r3; exit", cb + 8)},
    };
    for (const ContextCase& c : cases) EXPECT_EQ(lower_ctx(c.type, c.access), c.lowered) << c.access;
}

TEST(LowerContext, LengthIsOneInsnAndNarrowingItMore) {
    static constexpr CtxField kLength[] = {{.name = "len",
                                            .begin = 0,
                                            .end = 4,
                                            .value = CtxValue::scalar,
                                            .access = CtxAccess::length,
                                            .offset = 0,
                                            .width = 32,
                                            .writable = false,
                                            .narrow_allowed = true}};
    ProgramType type = UnverifiedProgram::kRawType;
    type.ctx = kLength;
    const auto lowered = [&](const char* text) {
        return listing(lower_text(text, {.type = &type, .amend = context_in_r1(type)}));
    };
    EXPECT_EQ(lowered("r1 = *(u32 *)(r1 + 0)\nexit"), "w1 = length(r1); exit");
    EXPECT_EQ(lowered("r0 = *(u16 *)(r1 + 0)\nexit"), "w0 = length(r1); w0 &= 65535; exit");
    EXPECT_EQ(lowered("r0 = *(u8 *)(r1 + 1)\nexit"), "w0 = length(r1); w0 >>= 8; w0 &= 255; exit");
}

TEST(LowerContext, RefusesAnAccessWithoutAField) {
    EXPECT_EQ(lower_ctx(BPF_PROG_TYPE_XDP, "r0 = *(u32 *)(r1 + 20)"),
              "error: lower: insn 0: context access without a field");
}

TEST(LowerContext, OtherAccessesStay) {
    EXPECT_EQ(listing(lower_text("r0 = *(u8 *)(r1 + 3)\n*(u16 *)(r10 -8) = r0\nexit")),
              "r0 = *(u8 *)(r1 + 3); *(u16 *)(r10 - 8) = r0; exit");
}

// --- control flow ---

constexpr const char* kBranch = R"(
    if r1 == 5 goto far
    r0 = 1
    exit
far:
    r0 = 2
    exit
)";

TEST(LowerControl, TargetsAreAbsolute) {
    EXPECT_EQ(listing(lower_text(kBranch)), "if r1 == 5 goto 3; r0 = 1; exit; r0 = 2; exit");
    EXPECT_EQ(listing(lower_text("again:\nr1 -= 1\nif w1 s> w2 goto again\ngotol again")),
              "r1 -= 1; if w1 s> w2 goto 0; goto 0");
    EXPECT_EQ(listing(lower_text("r2 = 0x123456789 ll\nif r2 > r1 goto out\nr2 = 0\nout:\nexit")),
              "r2 = 0x123456789 ll; if r2 > r1 goto 3; r2 = 0; exit");
}

TEST(LowerControl, TargetsMoveWithExpansions) {
    const ProgramType& type = *find_program_type(BPF_PROG_TYPE_SOCKET_FILTER);
    EXPECT_EQ(listing(lower_text("if r2 == 0 goto out\nr3 = *(u32 *)(r1 + 44)\nout:\nexit",
                                 {.type = &type, .amend = context_in_r1(type)})),
              "if r2 == 0 goto 2; w3 = 0; exit");
}

TEST(LowerControl, BranchesThatAlwaysGoOneWayFold) {
    const auto always = [](InsnFacts& facts) { facts.always_taken = true; };
    const auto never = [](InsnFacts& facts) { facts.never_taken = true; };
    EXPECT_EQ(listing(lower_text(kBranch, {.amend = fact(0, always)})), "goto 3; r0 = 1; exit; r0 = 2; exit");
    EXPECT_EQ(listing(lower_text(kBranch, {.amend = fact(0, never)})), "r0 = 1; exit; r0 = 2; exit");
}

TEST(LowerControl, DeadCodeAndJumpsAcrossItGo) {
    const Amend amend = [](std::span<const Insn>, std::vector<InsnFacts>& facts,
                           std::vector<FunctionFacts>&) {
        facts[0].always_taken = true;
        facts[1].reached = false;
        facts[2].reached = false;
    };
    const Result<LoweredProgram> program = lower_text(kBranch, {.amend = amend});
    EXPECT_EQ(listing(program), "r0 = 2; exit");
    ASSERT_TRUE(program);
    EXPECT_EQ(program->origins(), (std::vector<u32>{3, 4}));
    EXPECT_EQ(program->functions().size(), 1U);
}

TEST(LowerControl, APassMayInsertAndDeleteFreely) {
    Result<std::vector<Insn>> insns = assemble("if r1 == 0 goto out\nr0 = 1\ngoto out\nout:\nexit");
    ASSERT_TRUE(insns);
    const Result<VerifiedProgram> program = UnverifiedProgram::make(std::move(*insns));
    ASSERT_TRUE(program);
    Draft draft{*program, {}};
    ASSERT_TRUE(translate(draft));
    ASSERT_EQ(draft.insns.size(), 4U);
    drop_jumps_to_next(draft);
    ASSERT_EQ(draft.insns.size(), 3U);
    EXPECT_EQ(draft.insns[0].insn.target, 3);
    EXPECT_EQ(draft.find(3), 2U);
}

TEST(LowerControl, AProgramNeverRunsOffItsEnd) { EXPECT_EQ(listing(lower_text("r0 = 1")), "r0 = 1; exit"); }

// --- text ---

TEST(LowerDisassembly, ReadsLikeTheProgram) {
    const char* text = R"(
        w1 += 5
        r1 s/= r2
        r1 = (s8)r2
        r1 = -r1
        r1 = be16 r1
        lock *(u64 *)(r10 -8) += r1
        r1 = atomic64_fetch_or((u64 *)(r10 -8), r1)
        r0 = atomic_cmpxchg((u32 *)(r10 -8), r0, r1)
        r0 = *(s8 *)(r2 - 1)
        r0 = *(u16 *)skb[12]
        r0 = *(u8 *)skb[r1 + 23]
        if r1 & 7 goto out
        r0 = 0
    out:
        exit)";
    EXPECT_EQ(listing(lower_text(text)),
              "w1 += 5; r1 s/= r2; r1 = (s8)r2; r1 = -r1; r1 = be16 r1; lock *(u64 *)(r10 - 8) += r1; "
              "r1 = atomic_or(*(u64 *)(r10 - 8), r1); r0 = atomic_cmpxchg(*(u32 *)(r10 - 8), r0, w1); "
              "r0 = *(s8 *)(r2 - 1); r0 = packet u16 at 12; r0 = packet u8 at w1 + 23; "
              "if r1 & 7 goto 13; r0 = 0; exit");
}

} // namespace
} // namespace xdplane::test
