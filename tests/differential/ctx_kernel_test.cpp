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

bool kernel_allows(u32 type, i32 offset, u32 size, bool write) {
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
    return kernel::load(type, program).has_value();
}

void compare(u32 type, i32 size_of_ctx) {
    if (const std::string why = kernel::why_unavailable(); !why.empty()) GTEST_SKIP() << why;
    const ProgramType& row = *find_program_type(type);
    for (const bool write : {false, true})
        for (const u32 size : {1U, 2U, 4U, 8U})
            for (i32 offset = -8; offset < size_of_ctx + 16; ++offset) {
                // A pointer to a socket, which packets here do not have.
                if (type == BPF_PROG_TYPE_SOCKET_FILTER && offset == offsetof(__sk_buff, sk) && size == 8)
                    continue;
                EXPECT_EQ(row.find_field(offset, size, write) != nullptr,
                          kernel_allows(type, offset, size, write))
                    << fmt::format("{}: {} of {} bytes at {}", row.name, write ? "write" : "read", size,
                                   offset);
            }
}

TEST(CtxKernel, Xdp) { compare(BPF_PROG_TYPE_XDP, sizeof(xdp_md)); }
TEST(CtxKernel, SocketFilter) { compare(BPF_PROG_TYPE_SOCKET_FILTER, sizeof(__sk_buff)); }

} // namespace
} // namespace xdplane
