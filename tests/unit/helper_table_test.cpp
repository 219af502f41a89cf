// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <set>
#include <string>

#include "bpf/helpers/helper.h"

namespace xdplane {
namespace {

TEST(HelperTable, RowsAreOrderedUniqueAndComplete) {
    u32 last = 0;
    std::set<std::string> names;
    for (const HelperProto& row : helper_table()) {
        ASSERT_NE(row.name, nullptr);
        SCOPED_TRACE(row.name);
        EXPECT_GT(row.id, last);
        last = row.id;
        EXPECT_TRUE(names.insert(row.name).second);
        EXPECT_EQ(find_helper(row.id), &row);
        EXPECT_TRUE(row.fn != nullptr || row.id == BPF_FUNC_tail_call);
        EXPECT_NE(row.use, 0U);
    }
    EXPECT_EQ(find_helper(BPF_FUNC_unspec), nullptr);
    EXPECT_EQ(find_helper(BPF_FUNC_override_return), nullptr);
    EXPECT_EQ(find_helper(~0U), nullptr);
}

// What verifier and lowering take for granted of the rows.
TEST(HelperTable, ArgumentsAreConsistent) {
    for (const HelperProto& row : helper_table()) {
        SCOPED_TRACE(row.name);
        bool ended = false;
        Arg before = Arg::none;
        for (const Arg& arg : row.args) {
            EXPECT_FALSE(ended && arg != Arg::none);
            ended |= arg == Arg::none;
            const bool needs_size = before == Arg::mem || before == Arg::mem_or_null ||
                                    before == Arg::uninit_mem || before == Arg::inout_mem ||
                                    before == Arg::inout_mem_or_null;
            EXPECT_EQ(needs_size, arg == Arg::size || arg == Arg::size_or_zero);
            if (arg == Arg::map_key || arg == Arg::map_value || arg == Arg::uninit_map_value ||
                arg == Arg::map_value_or_null) {
                EXPECT_EQ(row.args[0], Arg::const_map);
            }
            const u32 fixed = row.fixed_sizes[static_cast<std::size_t>(&arg - row.args.data())];
            EXPECT_EQ(fixed != 0,
                      arg == Arg::fixed_mem || arg == Arg::uninit_fixed_mem || arg == Arg::inout_fixed_mem);
            before = arg;
        }
        if (row.ret == Ret::map_value_or_null) {
            EXPECT_EQ(row.args[0], Arg::const_map);
        }
        if (row.reads_clock || row.reads_random) {
            EXPECT_TRUE(row.needs_context);
        }
        if (row.moves_packet) {
            EXPECT_TRUE(row.writes_packet);
        }
    }
}

} // namespace
} // namespace xdplane
