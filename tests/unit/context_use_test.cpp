// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/run/context_use.h"

#include <gtest/gtest.h>
#include <linux/bpf.h>

#include "bpf/isa/assembler.h"
#include "bpf/lower/lowered.h"
#include "tests/support/unverified_program.h"

/// What lowering says of a program's use of its context.
namespace xdplane {
namespace {

u16 words_of(std::initializer_list<std::size_t> offsets) {
    ContextUse use = ContextUse::none();
    for (const std::size_t offset : offsets) use.read(static_cast<u32>(offset), 1);
    return use.reads;
}

TEST(ContextUse, CoversWhatIsReadAndNothingElse) {
    EXPECT_EQ(ContextUse::none().reads, 0);
    ContextUse use = ContextUse::none();
    use.read(14, 4);
    EXPECT_EQ(use.reads, 0b110);
    EXPECT_TRUE(use.may_read(8));
    EXPECT_TRUE(use.may_read(23));
    EXPECT_FALSE(use.may_read(24));
    EXPECT_FALSE(use.changes);
    // What is behind the first two lines is filled in by those who want it.
    use.read(offsetof(XdpBuff, skb) - 4, 8);
    EXPECT_TRUE(use.changes);
    EXPECT_EQ(use.reads, 0xffff);
}

struct Case {
    const char* what;
    u32 type;
    const char* text; ///< r1 is the context
    bool changes;
    u16 reads = 0xffff;
};

const Case kCases[] = {
    {"nothing", BPF_PROG_TYPE_XDP, "r0 = 1", false, 0},
    {"bounds", BPF_PROG_TYPE_XDP, "r2 = *(u32 *)(r1 +0)\nr3 = *(u32 *)(r1 +4)\nr0 = *(u8 *)(r2 +0)", false,
     words_of({offsetof(XdpBuff, data), offsetof(XdpBuff, data_end)})},
    {"number of the interface", BPF_PROG_TYPE_XDP, "r0 = *(u32 *)(r1 +12)", false,
     words_of({offsetof(XdpBuff, ingress_ifindex)})},
    {"length", BPF_PROG_TYPE_SOCKET_FILTER, "r0 = *(u32 *)(r1 +0)", false,
     words_of({offsetof(XdpBuff, data), offsetof(XdpBuff, data_end)})},
    {"protocol", BPF_PROG_TYPE_SOCKET_FILTER, "r0 = *(u32 *)(r1 +16)", false,
     words_of({offsetof(XdpBuff, protocol)})},
    {"a store to the context", BPF_PROG_TYPE_SOCKET_FILTER, "*(u32 *)(r1 +48) = r0", true},
    {"a store to the stack", BPF_PROG_TYPE_XDP, "*(u64 *)(r10 -8) = r1\nr0 = 1", false, 0},
    {"a sub-program", BPF_PROG_TYPE_XDP, "call f\nexit\nf:\nr0 = *(u32 *)(r1 +12)", false,
     words_of({offsetof(XdpBuff, ingress_ifindex)})},
    {"a helper", BPF_PROG_TYPE_XDP, "call #7\nr0 = 1", true},
    {"a tail call", BPF_PROG_TYPE_XDP, "call #12\nr0 = 1", true},
    {"a load of the packet by number", BPF_PROG_TYPE_SOCKET_FILTER, "r6 = r1\nr0 = *(u16 *)skb[12]", false,
     static_cast<u16>(words_of({offsetof(XdpBuff, data), offsetof(XdpBuff, data_end),
                                offsetof(XdpBuff, hard_start), offsetof(XdpBuff, redirect_ifindex) + 4}))},
};

const HelperProto* helper(u32 id) {
    static const HelperProto kRandom = {.id = BPF_FUNC_get_prandom_u32,
                                        .name = "get_prandom_u32",
                                        .fn = [](u64, u64, u64, u64, u64) noexcept { return u64{0}; },
                                        .ret = Ret::scalar,
                                        .args = {}};
    static const HelperProto kTailCall = {
        .id = BPF_FUNC_tail_call, .name = "tail_call", .fn = nullptr, .ret = Ret::scalar, .args = {}};
    return id == BPF_FUNC_tail_call ? &kTailCall : &kRandom;
}

TEST(ContextUse, IsWhatTheProgramDoes) {
    for (const Case& c : kCases) {
        SCOPED_TRACE(c.what);
        const ProgramType& type = *find_program_type(c.type);
        Result<std::vector<Insn>> insns = assemble(std::string(c.text) + "\nexit");
        ASSERT_TRUE(insns) << insns.error().message;
        const auto amend = [&](std::span<const Insn> all, std::vector<InsnFacts>& facts,
                               std::vector<FunctionFacts>&) {
            for (std::size_t i = 0; i < all.size(); ++i) {
                const OpKind kind = facts[i].op == Op::invalid ? OpKind::exit : info(facts[i].op).kind;
                const bool stores = kind == OpKind::stx;
                if (stores && all[i].dst == R10) facts[i].base = PtrKind::stack;
                if (!(kind == OpKind::ldx && all[i].src == R1) && !(stores && all[i].dst == R1)) continue;
                facts[i].base = PtrKind::ctx;
                facts[i].field = type.find_field(all[i].off, info(facts[i].op).width / 8U, stores);
                ASSERT_NE(facts[i].field, nullptr);
            }
        };
        const Result<VerifiedProgram> program =
            UnverifiedProgram::make(std::move(*insns), {.type = &type, .helper = helper, .amend = amend});
        ASSERT_TRUE(program) << program.error().message;
        const Result<LoweredProgram> lowered = lower(*program);
        ASSERT_TRUE(lowered) << lowered.error().message;
        EXPECT_EQ(lowered->context_use().changes, c.changes);
        EXPECT_EQ(lowered->context_use().reads, c.reads);
    }
}

} // namespace
} // namespace xdplane
