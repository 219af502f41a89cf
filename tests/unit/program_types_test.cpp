// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/prog/program_type.h"

#include <bit>
#include <gtest/gtest.h>
#include <linux/bpf.h>

#include "bpf/run/packet.h"

namespace xdplane {
namespace {

TEST(ProgramTypes, RowsAreOrderedUniqueAndComplete) {
    u32 uses = 0;
    u32 types = 0;
    const ProgramType* last = nullptr;
    for (const ProgramType& row : program_types()) {
        SCOPED_TRACE(row.name);
        EXPECT_FALSE(row.name.empty());
        // A row for one attach type follows that of the others.
        EXPECT_TRUE(last == nullptr || last->type < row.type || (row.attach_type && last->type == row.type));
        EXPECT_EQ(find_program_type(row.type, row.attach_type.value_or(0)), &row);
        EXPECT_TRUE(std::has_single_bit(row.use_bit));
        if (row.use_bit != kUseProbe && (last == nullptr || last->type != row.type)) {
            EXPECT_EQ(uses & row.use_bit, 0U);
            ++types;
        }
        uses |= row.use_bit;
        last = &row;
        EXPECT_LE(row.return_min, row.return_max);
    }
    EXPECT_EQ(types, 5U);
    EXPECT_EQ(find_program_type(BPF_PROG_TYPE_UNSPEC), nullptr);
    EXPECT_EQ(find_program_type(9999), nullptr);
}

TEST(ProgramTypes, FieldsAreOrderedAndWithinBothContexts) {
    for (const ProgramType& row : program_types()) {
        u32 end = 0;
        for (const CtxField& field : row.ctx) {
            SCOPED_TRACE(field.name);
            EXPECT_GE(field.begin, end);
            EXPECT_LT(field.begin, field.end);
            end = field.end;
            EXPECT_TRUE(field.width == 8 || field.width == 16 || field.width == 32 || field.width == 64);
            EXPECT_LE(field.offset + field.width / 8U, sizeof(XdpBuff));
            // Sockets, of which there are none, read as null.
            if (field.value != CtxValue::sock_common_or_null) {
                EXPECT_EQ(field.access == CtxAccess::pointer, field.value != CtxValue::scalar);
            }
        }
        EXPECT_LE(end, row.ctx_size);
    }
}

struct Access {
    u32 type;
    std::size_t offset;
    u32 size;
    bool write;
    std::string_view field; ///< empty: refused
};

// As the running kernel answers.
TEST(ProgramTypes, AccessRulesAreLinuxs) {
    constexpr u32 xdp = BPF_PROG_TYPE_XDP;
    constexpr u32 skb = BPF_PROG_TYPE_SOCKET_FILTER;
    const Access cases[] = {
        {xdp, offsetof(xdp_md, data), 4, false, "data"},
        {xdp, offsetof(xdp_md, data), 8, false, ""},
        {xdp, offsetof(xdp_md, data), 2, false, ""},
        {xdp, offsetof(xdp_md, data), 4, true, ""},
        {xdp, offsetof(xdp_md, data_end), 4, false, "data_end"},
        {xdp, offsetof(xdp_md, data_meta), 4, false, "data_meta"},
        {xdp, offsetof(xdp_md, rx_queue_index), 4, false, "rx_queue_index"},
        {xdp, offsetof(xdp_md, rx_queue_index), 1, false, ""},
        {xdp, offsetof(xdp_md, rx_queue_index), 4, true, ""},
        {xdp, offsetof(xdp_md, egress_ifindex), 4, false, ""},
        {xdp, 2, 4, false, ""},
        {xdp, sizeof(xdp_md), 4, false, ""},
        {skb, offsetof(__sk_buff, len), 4, false, "len"},
        {skb, offsetof(__sk_buff, len), 8, false, ""},
        {skb, offsetof(__sk_buff, len) + 1, 1, false, "len"},
        {skb, offsetof(__sk_buff, len) + 2, 2, false, "len"},
        {skb, offsetof(__sk_buff, len) + 1, 2, false, ""},
        {skb, offsetof(__sk_buff, len), 4, true, ""},
        {skb, offsetof(__sk_buff, mark), 4, true, ""},
        {skb, offsetof(__sk_buff, cb), 4, true, "cb"},
        {skb, offsetof(__sk_buff, cb), 8, true, "cb"},
        {skb, offsetof(__sk_buff, cb) + 8, 8, false, "cb"},
        {skb, offsetof(__sk_buff, cb) + 16, 8, false, ""},
        {skb, offsetof(__sk_buff, cb) + 19, 1, true, "cb"},
        {skb, offsetof(__sk_buff, data), 4, false, ""},
        {skb, offsetof(__sk_buff, data_end), 4, false, ""},
        {skb, offsetof(__sk_buff, tc_classid), 4, false, ""},
        {skb, offsetof(__sk_buff, family), 4, false, ""},
        {skb, offsetof(__sk_buff, tstamp), 8, false, ""},
        {skb, offsetof(__sk_buff, wire_len), 4, false, ""},
        {skb, offsetof(__sk_buff, gso_size), 4, false, "gso_size"},
        {skb, offsetof(__sk_buff, hwtstamp), 8, false, ""},
    };
    for (const Access& c : cases) {
        const CtxField* field =
            find_program_type(c.type)->find_field(static_cast<i64>(c.offset), c.size, c.write);
        EXPECT_EQ(field ? field->name : std::string_view(), c.field)
            << "type " << c.type << " offset " << c.offset << " size " << c.size << " write " << c.write;
    }
}

} // namespace
} // namespace xdplane
