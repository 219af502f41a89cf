// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/isa/opcodes.h"

#include <gtest/gtest.h>
#include <set>

namespace xdplane {
namespace {

TEST(Opcodes, NamesAreUniqueAndRowsInOrder) {
    std::set<std::string_view> names;
    for (u32 i = 0; i < kOps; ++i) {
        EXPECT_EQ(static_cast<u32>(kOpcodes[i].op), i);
        EXPECT_TRUE(names.insert(kOpcodes[i].name).second) << kOpcodes[i].name;
    }
}

TEST(Opcodes, EveryEncodedRowDecodesToItself) {
    for (const OpcodeInfo& row : kOpcodes) {
        if (row.version == 0) continue;
        EXPECT_EQ(decode(encode(row.op, 0, 0, 0, 0)), row.op) << row.name;
    }
}

TEST(Opcodes, AtomicsCarryTheirCode) {
    EXPECT_EQ(encode(Op::atomic_fetch_add64, 1, 2, -8, 0).imm, 1);
    EXPECT_EQ(encode(Op::atomic_cmpxchg32, 1, 2, -8, 0).imm, 0xf1);
    EXPECT_EQ(decode({0xdb, 1, 2, -8, 0x02}), Op::invalid);
}

TEST(Opcodes, FieldsThatMustBeZeroAreChecked) {
    EXPECT_EQ(decode({0x0f, 1, 2, 0, 0}), Op::add64_reg);
    EXPECT_EQ(decode({0x0f, 1, 2, 0, 5}), Op::invalid);
    EXPECT_EQ(decode({0x0f, 1, 2, 1, 0}), Op::invalid);
    EXPECT_EQ(decode({0x07, 1, 2, 0, 5}), Op::invalid);
    EXPECT_EQ(decode({0x95, 0, 0, 0, 1}), Op::invalid);
    EXPECT_EQ(decode({0x3f, 1, 2, 1, 0}), Op::sdiv64_reg);
    EXPECT_EQ(decode({0x3f, 1, 2, 2, 0}), Op::invalid);
    EXPECT_EQ(decode({0xbf, 1, 2, 24, 0}), Op::invalid);
    EXPECT_EQ(decode({0xd7, 1, 0, 0, 16}), Op::bswap16);
    EXPECT_EQ(decode({0xff, 0, 0, 0, 0}), Op::invalid);
    EXPECT_EQ(decode({0x00, 0, 0, 0, 0}), Op::invalid);
}

} // namespace
} // namespace xdplane
