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

} // namespace
} // namespace xdplane::test
