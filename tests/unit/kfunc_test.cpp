// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <array>
#include <cerrno>
#include <cstring>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <set>
#include <vector>

#include "bpf/helpers/dynptr.h"
#include "bpf/helpers/kfunc_table.h"

namespace xdplane {
namespace {

template<class... Args>
i64 call(HelperFn fn, Args... args) {
    std::array<u64, 5> all{};
    std::size_t i = 0;
    ((all[i++] = (u64)args), ...);
    return static_cast<i64>(fn(all[0], all[1], all[2], all[3], all[4]));
}
template<class... Args>
i64 call(const char* name, Args... args) {
    return call(find_kfunc(name)->fn, args...);
}

TEST(KfuncTable, RowsAreUniqueAndComplete) {
    std::set<std::string> names;
    u32 id = 0;
    for (const HelperProto& row : kfunc_table()) {
        ASSERT_NE(row.name, nullptr);
        SCOPED_TRACE(row.name);
        EXPECT_EQ(row.id, id++);
        EXPECT_TRUE(names.insert(row.name).second);
        EXPECT_TRUE(std::string_view(row.name).starts_with("bpf_"));
        EXPECT_EQ(find_kfunc(row.name), &row);
        EXPECT_TRUE(row.is_kfunc);
        EXPECT_FALSE(row.unprivileged);
        EXPECT_NE(row.fn, nullptr);
        EXPECT_NE(row.use, 0U);
    }
    EXPECT_EQ(find_kfunc("bpf_map_lookup_elem"), nullptr);
    EXPECT_EQ(find_kfunc(""), nullptr);
}

// What verifier and lowering take for granted of the rows.
TEST(KfuncTable, ArgumentsAreConsistent) {
    for (const HelperProto& row : kfunc_table()) {
        SCOPED_TRACE(row.name);
        bool ended = false;
        u32 iterators = 0;
        for (std::size_t i = 0; i < row.args.size(); ++i) {
            const Arg arg = row.args[i];
            EXPECT_FALSE(ended && arg != Arg::none);
            ended |= arg == Arg::none;
            iterators += arg == Arg::iterator ? 1 : 0;
            const bool fixed =
                arg == Arg::fixed_mem || arg == Arg::inout_fixed_mem || arg == Arg::uninit_fixed_mem;
            EXPECT_EQ(fixed, row.fixed_sizes[i] != 0);
            if (arg == Arg::buffer_or_null) {
                EXPECT_EQ(row.args[i + 1], Arg::const_alloc_size);
            }
        }
        EXPECT_EQ(iterators, row.iterator == IteratorUse::none ? 0U : 1U);
        EXPECT_EQ(row.iterator == IteratorUse::none, row.iterator_size == 0);
        EXPECT_EQ(row.ret == Ret::iterator_value_or_null, row.value_size != 0);
        EXPECT_EQ(row.ret == Ret::iterator_value_or_null, row.iterator == IteratorUse::next);
        EXPECT_TRUE(row.section == Section::none || row.args[0] == Arg::none);
    }
}

/// struct bpf_dynptr_kern of Linux: size in bits 0-23, kind from bit 28, read-only in bit 31.
TEST(Dynptr, IsLaidOutAsOnLinux) {
    std::array<u8, 32> memory{};
    Dynptr dynptr = Dynptr::make(memory.data(), Dynptr::Kind::local, Dynptr::kMaxSize);
    EXPECT_EQ(dynptr.size_and_kind, 0x10ffffffU);
    EXPECT_EQ(Dynptr::make(nullptr, Dynptr::Kind::ringbuf, 5).size_and_kind, 0x20000005U);
    EXPECT_EQ(Dynptr::make(nullptr, Dynptr::Kind::skb, 5).size_and_kind, 0x30000005U);
    EXPECT_EQ(Dynptr::make(nullptr, Dynptr::Kind::xdp, 5).size_and_kind, 0x40000005U);
    dynptr.set_read_only();
    EXPECT_EQ(dynptr.size_and_kind, 0x90ffffffU);
    EXPECT_EQ(dynptr.kind(), Dynptr::Kind::local);
    dynptr.set_size(7);
    EXPECT_EQ(dynptr.size(), 7U);
    EXPECT_TRUE(dynptr.read_only());
    EXPECT_EQ(offsetof(Dynptr, offset), 12U);
}

TEST(Dynptr, FromMemoryHasALimit) {
    std::array<u8, 8> memory{};
    Dynptr dynptr{};
    const HelperFn from_mem = find_helper(BPF_FUNC_dynptr_from_mem)->fn;
    EXPECT_EQ(call(from_mem, memory.data(), Dynptr::kMaxSize, 0, &dynptr), 0);
    EXPECT_EQ(dynptr.size(), Dynptr::kMaxSize);
    EXPECT_EQ(call(from_mem, memory.data(), Dynptr::kMaxSize + 1, 0, &dynptr), -E2BIG);
    EXPECT_EQ(dynptr.data, nullptr);
}

class PacketDynptr : public testing::Test {
protected:
    PacketDynptr() {
        packet.data = packet.data_meta = packet.hard_start = bytes.data();
        packet.data_end = packet.frame_end = bytes.data() + bytes.size();
    }
    Dynptr dynptr(const char* function) {
        Dynptr made{};
        EXPECT_EQ(call(function, &packet, 0, &made), 0);
        return made;
    }

    std::vector<u8> bytes = std::vector<u8>(100, 0x11);
    XdpBuff packet{};
};

/// The size of a dynptr is that of the packet when it was made.
TEST_F(PacketDynptr, ShrunkenPackets) {
    u64 to = ~u64{0};
    const Dynptr skb = dynptr("bpf_dynptr_from_skb");
    const Dynptr xdp = dynptr("bpf_dynptr_from_xdp");
    packet.data_end -= 50;
    EXPECT_EQ(dynptr_read(&to, 8, xdp, 60, 0), -EINVAL);
    EXPECT_EQ(to, ~u64{0});
    EXPECT_EQ(dynptr_read(&to, 8, skb, 60, 0), -EFAULT);
    EXPECT_EQ(to, 0U);
    EXPECT_EQ(dynptr_write(xdp, 60, &to, 8, 0), -EINVAL);
    EXPECT_EQ(dynptr_write(skb, 60, &to, 8, 0), -EFAULT);
    EXPECT_EQ(call("bpf_dynptr_slice", &xdp, 60, 0, 8), 0);
    EXPECT_EQ(call("bpf_dynptr_slice_rdwr", &skb, 43, 0, 8), 0);
    EXPECT_EQ(call("bpf_dynptr_memset", &skb, 43, 8, 1), -E2BIG);
    EXPECT_EQ(reinterpret_cast<u8*>(call("bpf_dynptr_slice", &xdp, 42, 0, 8)), packet.data + 42);
}

TEST_F(PacketDynptr, LargePackets) {
    bytes.resize(100'000);
    packet.data = packet.data_meta = packet.hard_start = bytes.data();
    packet.data_end = packet.frame_end = bytes.data() + bytes.size();
    u64 to = 0;
    // XDP's functions know offsets of 16 bits, skbs' others.
    EXPECT_EQ(dynptr_read(&to, 8, dynptr("bpf_dynptr_from_xdp"), 0x10000, 0), -EFAULT);
    EXPECT_EQ(dynptr_read(&to, 8, dynptr("bpf_dynptr_from_xdp"), 0xffff, 0), 0);
    EXPECT_EQ(dynptr_read(&to, 8, dynptr("bpf_dynptr_from_skb"), 0x10000, 0), 0);
}

TEST_F(PacketDynptr, CopiesOverlap) {
    for (u32 i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<u8>(i);
    const Dynptr xdp = dynptr("bpf_dynptr_from_xdp");
    EXPECT_EQ(call("bpf_dynptr_copy", &xdp, 2, &xdp, 0, 50), 0);
    for (u32 i = 0; i < 50; ++i) ASSERT_EQ(bytes[i + 2], i);
}

TEST_F(PacketDynptr, ReadOnlyOnes) {
    Dynptr made{};
    EXPECT_EQ(call(find_kfunc("bpf_dynptr_from_skb")->fn_read_only, &packet, 0, &made), 0);
    EXPECT_TRUE(made.read_only());
    EXPECT_EQ(dynptr_write(made, 0, bytes.data(), 1, 0), -EINVAL);
    EXPECT_EQ(call("bpf_dynptr_slice_rdwr", &made, 0, 0, 1), 0);
    EXPECT_NE(call("bpf_dynptr_slice", &made, 0, 0, 1), 0);
    EXPECT_EQ(call("bpf_dynptr_memset", &made, 0, 1, 0), -EINVAL);
    EXPECT_EQ(call(find_kfunc("bpf_dynptr_from_skb")->fn_read_only, &packet, 1, &made), -EINVAL);
    EXPECT_EQ(made.data, nullptr);
    EXPECT_FALSE(made.read_only());
}

TEST(XdpMetadata, IsWhatThePortKnows) {
    XdpBuff packet{};
    u64 time = 1;
    u32 hash = 2;
    u32 type = 3;
    u16 protocol = 4;
    u16 tci = 5;
    EXPECT_EQ(call("bpf_xdp_metadata_rx_timestamp", &packet, &time), -ENODATA);
    EXPECT_EQ(call("bpf_xdp_metadata_rx_hash", &packet, &hash, &type), -ENODATA);
    EXPECT_EQ(call("bpf_xdp_metadata_rx_vlan_tag", &packet, &protocol, &tci), -ENODATA);
    EXPECT_EQ(time + hash + type + protocol + tci, 15U);
    packet.timestamp_ns = 77;
    packet.hash = 88;
    packet.vlan_present = 1;
    packet.vlan_proto = 0x0081;
    packet.vlan_tci = 99;
    EXPECT_EQ(call("bpf_xdp_metadata_rx_timestamp", &packet, &time), 0);
    EXPECT_EQ(call("bpf_xdp_metadata_rx_hash", &packet, &hash, &type), 0);
    EXPECT_EQ(call("bpf_xdp_metadata_rx_vlan_tag", &packet, &protocol, &tci), 0);
    EXPECT_EQ(time, 77U);
    EXPECT_EQ(hash, 88U);
    EXPECT_EQ(type, 0U);
    EXPECT_EQ(protocol, 0x0081);
    EXPECT_EQ(tci, 99);
}

TEST(Timers, AreRefusedWhenTheyAreAskedFor) {
    std::array<u64, 2> timer{1, 2};
    for (const u32 id :
         {BPF_FUNC_timer_init, BPF_FUNC_timer_set_callback, BPF_FUNC_timer_start, BPF_FUNC_timer_cancel})
        EXPECT_EQ(call(find_helper(id)->fn, timer.data(), 0, 0), -EOPNOTSUPP) << id;
    EXPECT_EQ(timer, (std::array<u64, 2>{1, 2}));
}

} // namespace
} // namespace xdplane
