// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Every access to the context, of every width, at every offset: allowed here if and only if the kernel allows
// it.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <vector>

#include "bpf/isa/insn.h"
#include "bpf/prog/program_type.h"
#include "tests/support/kernel_oracle.h"

namespace xdplane {
namespace {

bool kernel_allows(u32 type, u32 attach_type, i32 offset, u32 size, bool write) {
    const u8 width = size == 1 ? 0x10 : size == 2 ? 0x08 : size == 4 ? 0x00 : 0x18;
    const auto insn = [](u8 opcode, u8 dst, u8 src, i32 off) {
        return Insn{opcode, dst, src, static_cast<i16>(off), 0};
    };
    const std::vector<Insn> program = {
        insn(0xb7, R2, 0, 0),
        write ? insn(0x63 | width, R1, R2, offset) : insn(0x61 | width, R2, R1, offset),
        insn(0xb7, R0, 0, 0),
        insn(0x95, 0, 0, 0),
    };
    return kernel::load(type, program, attach_type).has_value();
}

struct Context {
    const char* name;
    u32 type;
    u32 attach_type;
    i32 size;
};

class CtxKernel : public ::testing::TestWithParam<Context> {};

TEST_P(CtxKernel, AccessesAreAllowedAlike) {
    if (const std::string why = kernel::why_unavailable(); !why.empty()) GTEST_SKIP() << why;
    const Context& context = GetParam();
    const ProgramType& row = *find_program_type(context.type, context.attach_type);
    for (const bool write : {false, true})
        for (const u32 size : {1U, 2U, 4U, 8U})
            for (i32 offset = -8; offset < context.size + 16; ++offset)
                EXPECT_EQ(row.find_field(offset, size, write) != nullptr,
                          kernel_allows(context.type, context.attach_type, offset, size, write))
                    << fmt::format("{}: {} of {} bytes at {}", row.name, write ? "write" : "read", size,
                                   offset);
}

constexpr Context kContexts[] = {
    {"Xdp", BPF_PROG_TYPE_XDP, 0, sizeof(xdp_md)},
    {"XdpOfDevmap", BPF_PROG_TYPE_XDP, BPF_XDP_DEVMAP, sizeof(xdp_md)},
    {"XdpOfCpumap", BPF_PROG_TYPE_XDP, BPF_XDP_CPUMAP, sizeof(xdp_md)},
    {"SocketFilter", BPF_PROG_TYPE_SOCKET_FILTER, 0, sizeof(__sk_buff)},
    {"SchedCls", BPF_PROG_TYPE_SCHED_CLS, 0, sizeof(__sk_buff)},
    {"SchedAct", BPF_PROG_TYPE_SCHED_ACT, 0, sizeof(__sk_buff)},
    {"CgroupSkbIngress", BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_INGRESS, sizeof(__sk_buff)},
    {"CgroupSkbEgress", BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS, sizeof(__sk_buff)},
};
INSTANTIATE_TEST_SUITE_P(Types, CtxKernel, ::testing::ValuesIn(kContexts),
                         [](const auto& test) { return test.param.name; });

// Which expected_attach_type PROG_LOAD takes, and which results a program may then return.
TEST(AttachTypesKernel, AreTakenAlike) {
    if (const std::string why = kernel::why_unavailable(); !why.empty()) GTEST_SKIP() << why;
    for (const u32 type : {BPF_PROG_TYPE_XDP, BPF_PROG_TYPE_SOCKET_FILTER, BPF_PROG_TYPE_SCHED_CLS,
                           BPF_PROG_TYPE_SCHED_ACT, BPF_PROG_TYPE_CGROUP_SKB})
        for (const u32 attach_type : {0U, 1U, 2U, 5U, u32{BPF_XDP_DEVMAP}, u32{BPF_XDP}, ~0U}) {
            const ProgramType& row = *find_program_type(type, attach_type);
            for (const i32 result : {-2, -1, 0, 1, 2, 3, 4, 5, 0x7fffffff}) {
                SCOPED_TRACE(fmt::format("{} attach type {} result {}", row.name, attach_type, result));
                const Insn program[] = {{0xb7, R0, 0, 0, result}, {0x95, 0, 0, 0, 0}};
                const bool ours = row.allows_attach_type(attach_type) && result >= row.return_min &&
                                  result <= row.return_max;
                EXPECT_EQ(kernel::load(type, program, attach_type).has_value(), ours);
            }
        }
}

} // namespace
} // namespace xdplane
