// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/run/context_use.h"

#include <gtest/gtest.h>
#include <linux/bpf.h>

#include "tests/unit/lower_support.h"

/// What lowering says of a program's use of its context.
namespace xdplane::test {
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
    {"length on the wire", BPF_PROG_TYPE_SOCKET_FILTER, "r0 = *(u32 *)(r1 +0)", false,
     words_of({offsetof(XdpBuff, wire_len)})},
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

TEST(ContextUse, IsWhatTheProgramDoes) {
    for (const Case& c : kCases) {
        SCOPED_TRACE(c.what);
        const ProgramType& type = *find_program_type(c.type);
        const Result<LoweredProgram> lowered = lower_text(
            std::string(c.text) + "\nexit", {.type = &type, .helper = helpers, .amend = context_in_r1(type)});
        ASSERT_TRUE(lowered) << lowered.error().message;
        EXPECT_EQ(lowered->context_use().changes, c.changes);
        EXPECT_EQ(lowered->context_use().reads, c.reads);
    }
}

} // namespace
} // namespace xdplane::test
