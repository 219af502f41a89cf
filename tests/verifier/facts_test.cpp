// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// What the verifier says about programs that it accepts, where lowering, engines or replay rely on it.
#include <gtest/gtest.h>

#include "tests/support/verifier_cases.h"

namespace xdplane::test {
namespace {

struct PacketWrites {
    const char* name;
    const char* type;
    const char* program;
    bool writes;
};

class WritesPacket : public testing::TestWithParam<PacketWrites> {};

TEST_P(WritesPacket, IsSaidOfEveryProgramThatMay) {
    VerifierCase one;
    one.name = GetParam().name;
    one.type = GetParam().type;
    one.program = GetParam().program;
    one.maps.push_back({.kind = "prog_array", .key_size = 4, .value_size = 4, .entries = 2});
    one.maps.push_back({.kind = "array", .key_size = 4, .value_size = 16, .entries = 1});
    auto request = make_request(one);
    ASSERT_TRUE(request) << request.error().message;
    VerifierLog log;
    const auto program = verify(std::move(*request), log);
    ASSERT_TRUE(program) << log.reason;
    EXPECT_EQ(program->writes_packet(), GetParam().writes);
}

constexpr const char* kTailCall = "r1 = r1\nr2 = map[fd:1]\nr3 = 0\ncall bpf_tail_call#12\nr0 = 2\nexit";

INSTANTIATE_TEST_SUITE_P(
    Table, WritesPacket,
    testing::Values(
        PacketWrites{"nothing", "xdp", "r0 = 2\nexit", false},
        PacketWrites{"load", "xdp",
                     "r2 = *(u32 *)(r1 + 0)\nr3 = *(u32 *)(r1 + 4)\nr4 = r2\nr4 += 1\nr0 = 1\n"
                     "if r4 > r3 goto out\nr0 = *(u8 *)(r2 + 0)\nout:\nexit",
                     false},
        PacketWrites{"store", "xdp",
                     "r2 = *(u32 *)(r1 + 0)\nr3 = *(u32 *)(r1 + 4)\nr4 = r2\nr4 += 1\nr0 = 1\n"
                     "if r4 > r3 goto out\n*(u8 *)(r2 + 0) = 1\nout:\nexit",
                     true},
        PacketWrites{"store_to_metadata", "xdp",
                     "r2 = *(u32 *)(r1 + 8)\nr3 = *(u32 *)(r1 + 0)\nr4 = r2\nr4 += 1\nr0 = 1\n"
                     "if r4 > r3 goto out\n*(u8 *)(r2 + 0) = 1\nout:\nexit",
                     true},
        PacketWrites{"store_to_map", "xdp", "r1 = map[fd:2][0]+0\n*(u8 *)(r1 + 0) = 1\nr0 = 2\nexit", false},
        PacketWrites{"adjust_head", "xdp", "r2 = 4\ncall bpf_xdp_adjust_head#44\nr0 = 2\nexit", true},
        PacketWrites{"load_bytes", "xdp",
                     "r2 = 0\nr3 = r10\nr3 += -8\nr4 = 8\ncall bpf_xdp_load_bytes#189\nr0 = 2\nexit", false},
        PacketWrites{"store_bytes", "xdp",
                     "*(u64 *)(r10 - 8) = 0\nr2 = 0\nr3 = r10\nr3 += -8\nr4 = 8\n"
                     "call bpf_xdp_store_bytes#190\nr0 = 2\nexit",
                     true},
        // The program that a prog array will hold may do all of this.
        PacketWrites{"tail_call", "xdp", kTailCall, true},
        PacketWrites{"tail_call_of_socket_filter", "socket_filter", kTailCall, false}),
    [](const auto& row) { return row.param.name; });

struct ProvedJump {
    const char* name;
    const char* program; ///< behind: r2 = data, r3 = data_end, and 20 bytes proved; r4 = r2 + 20
    const char* outcome; ///< of the last jump in front of the label "end"
};

class ProvedJumps : public testing::TestWithParam<ProvedJump> {};

TEST_P(ProvedJumps, AreDecidedWhereEveryPathHasTheBytes) {
    VerifierCase one;
    one.type = "xdp";
    one.program = std::string("r6 = *(u32 *)(r1 + 12)\nr2 = *(u32 *)(r1 + 0)\nr3 = *(u32 *)(r1 + 4)\nr0 = 1\n"
                              "r4 = r2\nr4 += 20\nif r4 > r3 goto end\n") +
                  GetParam().program + "\nr0 = 2\nend:\nexit";
    auto request = make_request(one);
    ASSERT_TRUE(request) << request.error().message;
    VerifierLog log;
    const auto program = verify(std::move(*request), log);
    ASSERT_TRUE(program) << log.reason;
    const InsnFacts& jump = program->facts()[program->insns().size() - 3];
    ASSERT_EQ(info(jump.op).kind, OpKind::jump);
    EXPECT_STREQ(jump.always_taken ? "taken" : jump.never_taken ? "not taken" : "open", GetParam().outcome);
}

INSTANTIATE_TEST_SUITE_P(
    Table, ProvedJumps,
    testing::Values(
        ProvedJump{"same", "if r4 > r3 goto end", "not taken"},
        ProvedJump{"fewer", "r5 = r2\nr5 += 14\nif r5 > r3 goto end", "not taken"},
        ProvedJump{"fewer_mirrored", "r5 = r2\nr5 += 14\nif r3 < r5 goto end", "not taken"},
        ProvedJump{"within", "r5 = r2\nr5 += 14\nif r5 <= r3 goto end", "taken"},
        ProvedJump{"strictly", "r5 = r2\nr5 += 19\nif r5 >= r3 goto end", "not taken"},
        ProvedJump{"strictly_at_the_end", "if r4 >= r3 goto end", "open"},
        ProvedJump{"more", "r4 += 1\nif r4 > r3 goto end", "open"},
        ProvedJump{"data", "if r2 > r3 goto end", "not taken"},
        ProvedJump{"before_data", "r5 = r2\nr5 += -1\nif r5 > r3 goto end", "open"},
        ProvedJump{"moved_by_a_number", "r6 &= 7\nr2 += r6\nif r2 > r3 goto end", "open"},
        ProvedJump{"moved_and_proved",
                   "r6 &= 7\nr2 += r6\nr5 = r2\nr5 += 4\nif r5 > r3 goto end\nif r5 > r3 goto end",
                   "not taken"},
        ProvedJump{"on_one_path_only",
                   "r5 = r2\nr5 += 14\nif r6 == 7 goto join\nr5 += 10\njoin:\nif r5 > r3 goto end", "open"},
        ProvedJump{"other_comparison", "r4 += -1\nif r4 == r3 goto end", "open"}),
    [](const auto& row) { return row.param.name; });

struct ResultBounds {
    const char* name;
    const char* program;
    u32 insn;
    u64 min, max;
    bool dst_upper_zero; ///< before the insn
};

class Values : public testing::TestWithParam<ResultBounds> {};

TEST_P(Values, BoundsHoldOnEveryPath) {
    VerifierCase one;
    one.type = "xdp";
    one.program = GetParam().program;
    one.maps.push_back({.kind = "array", .key_size = 4, .value_size = 16, .entries = 1});
    auto request = make_request(one);
    ASSERT_TRUE(request) << request.error().message;
    VerifierLog log;
    const auto program = verify(std::move(*request), log);
    ASSERT_TRUE(program) << log.reason;
    const NumberBounds bounds = program->values().result(GetParam().insn);
    EXPECT_EQ(bounds.min, GetParam().min);
    EXPECT_EQ(bounds.max, GetParam().max);
    EXPECT_EQ(program->values().dst_upper_zero(GetParam().insn), GetParam().dst_upper_zero);
}

constexpr u64 kAny = ~u64{0};
constexpr const char* kTwoWays =
    "r2 = *(u32 *)(r1 + 12)\nr0 = 3\nif r2 == 7 goto join\nr0 = 9\njoin:\nr0 += 1\nexit";

INSTANTIATE_TEST_SUITE_P(
    Table, Values,
    testing::Values(
        ResultBounds{"constant", "r0 = 5\nr0 += 2\nexit", 1, 7, 7, true},
        ResultBounds{"sign", "r0 = -1\nw0 = w0\nexit", 1, 0xffffffff, 0xffffffff, false},
        ResultBounds{"packet_pointer", "r0 = *(u32 *)(r1 + 0)\nr0 = 0\nexit", 0, 0, kAny, false},
        ResultBounds{"field", "r0 = *(u32 *)(r1 + 12)\nexit", 0, 0, 0xffffffff, false},
        ResultBounds{"join", kTwoWays, 4, 4, 10, true},
        ResultBounds{"branch", "r0 = *(u32 *)(r1 + 12)\nif r0 > 20 goto out\nr0 *= 2\nout:\nexit", 2, 0, 40,
                     true},
        ResultBounds{"loop", "r0 = 0\nagain:\nr0 += 1\nif r0 < 50 goto again\nexit", 1, 1, 256, true},
        ResultBounds{"spill", "r2 = 6\n*(u64 *)(r10 - 8) = r2\nr0 = *(u64 *)(r10 - 8)\nexit", 2, 6, 6, false},
        ResultBounds{"overwritten_spill",
                     "r2 = 6\n*(u64 *)(r10 - 8) = r2\nr3 = r10\nr3 += -8\n*(u8 *)(r3 + 0) = 9\n"
                     "r0 = *(u64 *)(r10 - 8)\nexit",
                     5, 0, kAny, false},
        ResultBounds{"call", "call bpf_ktime_get_ns#5\nexit", 0, 0, kAny, false},
        ResultBounds{"division", "r0 = *(u32 *)(r1 + 12)\nr0 /= 16\nexit", 1, 0, 0xfffffff, true},
        ResultBounds{"modulo", "r0 = *(u64 *)(r10 - 8)\nr0 %= 10\nexit", 1, 0, 9, false}),
    [](const auto& row) { return row.param.name; });

} // namespace
} // namespace xdplane::test
