// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// Lowering of calls, tail calls and addresses.
#include <gtest/gtest.h>

#include "tests/unit/lower_support.h"

namespace xdplane::test {
namespace {

TEST(LowerCalls, HelpersAreAddressesAndSayIfTheyNeedTheContext) {
    const Result<LoweredProgram> plain = lower_text("call #1\nexit", {.helper = helpers});
    EXPECT_EQ(listing(plain), "call bpf_map_lookup_elem#1; exit");
    ASSERT_TRUE(plain);
    EXPECT_EQ(plain->insns()[0].imm, static_cast<i64>(reinterpret_cast<std::uintptr_t>(&some_helper)));
    EXPECT_FALSE(plain->needs_context());
    const Result<LoweredProgram> random = lower_text("call #7\nexit", {.helper = helpers});
    ASSERT_TRUE(random);
    EXPECT_TRUE(random->needs_context());
    EXPECT_EQ(listing(lower_text("call #23\nexit", {.helper = helpers})),
              "error: lower: insn 0: helper redirect has no implementation");
}

TEST(LowerCalls, LookupsKnowTheirMapWhereItWasProved) {
    const std::shared_ptr<Map> other = make_map(BPF_MAP_TYPE_ARRAY, 4);
    const std::shared_ptr<Map> hash = make_map(BPF_MAP_TYPE_HASH, 8);
    UnverifiedProgram::Options options{.helper = helpers, .maps = {other, hash}};
    EXPECT_EQ(listing(lower_text("call #1\nexit", options)), "call bpf_map_lookup_elem#1; exit");
    options.amend = fact(0, [&](InsnFacts& facts) { facts.map = hash.get(); });
    const Result<LoweredProgram> known = lower_text("call #1\nexit", options);
    EXPECT_EQ(listing(known), "r0 = lookup in m; exit");
    ASSERT_TRUE(known);
    EXPECT_EQ(known->insns()[0].target, 1);
    EXPECT_EQ(known->insns()[0].imm, static_cast<i64>(reinterpret_cast<std::uintptr_t>(hash.get())));
    // A map that is not among the program's, as an inner one may be.
    options.maps = {other};
    EXPECT_EQ(listing(lower_text("call #1\nexit", options)), "call bpf_map_lookup_elem#1; exit");
}

TEST(LowerCalls, AddressesOfMapsThatLookupsKnowGo) {
    const std::shared_ptr<Map> map = make_map(BPF_MAP_TYPE_ARRAY, 4);
    UnverifiedProgram::Options options{.helper = helpers, .maps = {map}};
    options.amend = [&](std::span<const Insn>, std::vector<InsnFacts>& facts, std::vector<FunctionFacts>&) {
        for (InsnFacts& each : facts)
            if (each.op == Op::call) each.map = map.get();
    };
    const auto lowered = [&](std::string_view text) { return listing(lower_text(text, options)); };
    EXPECT_EQ(lowered("r1 = map[fd:0]\nr2 = r10\nr2 += -4\ncall #1\nexit"),
              "r2 = r10; r2 += -4; r0 = lookup in m; exit");
    // Somebody reads it, or may.
    for (const char* text :
         {"r1 = map[fd:0]\nr3 = r1\ncall #1\nexit", "r1 = map[fd:0]\n*(u64 *)(r10 -8) = r1\ncall #1\nexit",
          "r1 = map[fd:0]\nif r2 == 0 goto out\ncall #1\nout:\nexit",
          "r1 = map[fd:0]\nagain:\ncall #1\nif r0 != 0 goto again\nexit", "r1 = map[fd:0]\nexit",
          "r6 = map[fd:0]\ncall #1\nexit", "r1 = map[fd:0]\ncall #7\nexit"})
        EXPECT_NE(lowered(text).find(" = 0x"), std::string::npos) << text << "\n" << lowered(text);
}

TEST(LowerCalls, SubProgramsHaveFunctions) {
    const Result<LoweredProgram> program = lower_text("call f\nexit\nf:\nr0 = 1\nexit");
    EXPECT_EQ(listing(program), "call 2; exit; r0 = 1; exit");
    ASSERT_TRUE(program);
    ASSERT_EQ(program->functions().size(), 2U);
    EXPECT_EQ(program->functions()[1].begin, 2U);
    EXPECT_EQ(program->functions()[1].end, 4U);
    EXPECT_FALSE(program->tail_calls());
}

TEST(LowerAddresses, MapsAndTheirValues) {
    const std::shared_ptr<Map> array = make_map(BPF_MAP_TYPE_ARRAY, 64, 1);
    const Result<LoweredProgram> program =
        lower_text("r1 = map[fd:0]\nr2 = map[fd:0][0]+24\nexit", {.maps = {array}});
    ASSERT_TRUE(program) << program.error().message;
    ASSERT_EQ(program->insns().size(), 3U);
    EXPECT_EQ(program->insns()[0].imm, static_cast<i64>(reinterpret_cast<std::uintptr_t>(array.get())));
    EXPECT_EQ(program->insns()[1].imm,
              static_cast<i64>(reinterpret_cast<std::uintptr_t>(array->ops().direct_value(*array) + 24)));
    EXPECT_EQ(program->maps(), std::vector{array});
    // No value of these has an address of its own.
    for (const u32 type : {BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_ARRAY})
        EXPECT_FALSE(lower_text("r2 = map[fd:0][0]+24\nexit", {.maps = {make_map(type, 64)}})) << type;
}

TEST(LowerAddresses, SubProgramsForCallbacks) {
    const Result<LoweredProgram> program = lower_text("r1 = subprog[f]\nexit\nf:\nr0 = 1\nexit");
    EXPECT_EQ(listing(program), "r1 = code 2; exit; r0 = 1; exit");
}

TEST(LowerTailCalls, KnowTheirMapAndIndexWhereTheyWereProved) {
    const std::shared_ptr<Map> other = make_map(BPF_MAP_TYPE_ARRAY, 4);
    const std::shared_ptr<Map> progs = make_map(BPF_MAP_TYPE_PROG_ARRAY, 4);
    UnverifiedProgram::Options options{.helper = helpers, .maps = {other, progs}};
    const char* text = "call #12\nr0 = 0\nexit";
    const Result<LoweredProgram> unknown = lower_text(text, options);
    EXPECT_EQ(listing(unknown), "tail call map ? index ?; r0 = 0; exit");
    options.amend = fact(0, [&](InsnFacts& facts) {
        facts.map = progs.get();
        facts.constant = 3;
    });
    const Result<LoweredProgram> known = lower_text(text, options);
    EXPECT_EQ(listing(known), "tail call map 1 index 3; r0 = 0; exit");
    ASSERT_TRUE(known);
    EXPECT_TRUE(known->tail_calls());
    EXPECT_TRUE(known->needs_context());
    EXPECT_TRUE(known->functions()[0].tail_calls);
}

} // namespace
} // namespace xdplane::test
