// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// struct __sk_buff as programs and callers of PROG_TEST_RUN see it: every field read and written on both
// engines and by the kernel, and every context, packet length and flag that a caller may give.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>

#include "bpf/isa/insn.h"
#include "bpf/prog/program_type.h"
#include "tests/support/both_sides.h"
#include "tests/support/kernel_oracle.h"

namespace xdplane {
namespace {

struct Type {
    const char* name;
    u32 type;
    u32 attach_type;
};
constexpr Type kTypes[] = {
    {"SocketFilter", BPF_PROG_TYPE_SOCKET_FILTER, 0},
    {"SchedCls", BPF_PROG_TYPE_SCHED_CLS, 0},
    {"SchedAct", BPF_PROG_TYPE_SCHED_ACT, 0},
    {"CgroupSkbIngress", BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_INGRESS},
    {"CgroupSkbEgress", BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS},
};

using Bytes = std::vector<u8>;

Bytes bytes_of(const __sk_buff& ctx) {
    const u8* bytes = reinterpret_cast<const u8*>(&ctx);
    return {bytes, bytes + sizeof ctx};
}

/// An ARP packet: one for which Linux's test run has no addresses of a socket.
Bytes arp_packet(std::size_t size = 60) {
    Bytes packet(size);
    for (std::size_t i = 14; i < size; ++i) packet[i] = static_cast<u8>(i * 7);
    if (size >= 14) packet[0] = 1, packet[12] = 8, packet[13] = 6; // multicast: pkt_type is not 0
    return packet;
}

class SkbContext : public ::testing::TestWithParam<Type> {
protected:
    void SetUp() override {
        if (const std::string why = kernel::why_unavailable(); !why.empty()) GTEST_SKIP() << why;
        ctx_.mark = 0x81828384;
        ctx_.priority = 0x91929394;
        ctx_.ingress_ifindex = 1;
        for (u32 i = 0; i < 5; ++i) ctx_.cb[i] = 0xa1a2a3a0 + i;
        ctx_.tstamp = 0xb1b2b3b4b5b6b7b8;
        ctx_.hwtstamp = 0xc1c2c3c4c5c6c7c8;
        if (filter()) return; // to whom segments do not show
        ctx_.wire_len = 0xd1d2;
        ctx_.gso_segs = 0xe1e2;
        ctx_.gso_size = 0xf1f2;
    }
    [[nodiscard]] static bool filter() { return GetParam().type == BPF_PROG_TYPE_SOCKET_FILTER; }
    [[nodiscard]] static const ProgramType& row() {
        return *find_program_type(GetParam().type, GetParam().attach_type);
    }

    static void compare(std::vector<Insn> insns, Bytes packet, Bytes ctx, u32 flags = 0) {
        const both::Request request{.type = GetParam().type,
                                    .attach_type = GetParam().attach_type,
                                    .insns = std::move(insns),
                                    .packet = std::move(packet),
                                    .ctx = std::move(ctx),
                                    .flags = flags};
        const both::Answer expected = both::ask_kernel(request);
        for (const both::Side& side : both::engines()) {
            const both::Answer answer = side.ask(request);
            EXPECT_TRUE(answer == expected)
                << side.name << ": " << both::describe(answer) << "\nkernel: " << both::describe(expected);
        }
    }

    /// Programs: r6 context, r9 digest, which cb holds at the end.
    void begin() { insns_ = {{0xbf, R6, R1, 0, 0}, {0xb7, R9, 0, 0, 0}}; }
    void add(u32 opcode, u8 dst, u8 src, i64 off, i64 imm) {
        insns_.push_back({static_cast<u8>(opcode), dst, src, static_cast<i16>(off), static_cast<i32>(imm)});
    }
    void digest() {
        add(0x27, R9, 0, 0, 31);
        add(0x0f, R9, R0, 0, 0);
    }
    [[nodiscard]] std::vector<Insn> end() {
        add(0x7b, R6, R9, offsetof(__sk_buff, cb), 0);
        add(0xb7, R0, 0, 0, 1);
        add(0x95, 0, 0, 0, 0);
        return insns_;
    }
    static u32 width(u32 size) { return size == 1 ? 0x10 : size == 2 ? 0x08 : size == 4 ? 0x00 : 0x18; }
    /// Reads of every width at every offset of a field, sign-extending ones too.
    void read(const CtxField& field) {
        for (u32 size : {1U, 2U, 4U, 8U})
            for (i32 off = field.begin; off < field.end; ++off) {
                if (row().find_field(off, size, false) == nullptr) continue;
                add(0x61 | width(size), R0, R6, off, 0);
                digest();
                if (size == 8) continue;
                add(0x81 | width(size), R0, R6, off, 0);
                digest();
            }
    }
    /// Fields whose value the kernel's test run makes itself: pointers, and its socket's.
    [[nodiscard]] static bool comparable(const CtxField& field) { return field.value == CtxValue::scalar; }

    __sk_buff ctx_{};
    std::vector<Insn> insns_;
};

TEST_P(SkbContext, EveryFieldReads) {
    for (const CtxField& field : row().ctx) {
        if (!comparable(field)) continue;
        SCOPED_TRACE(field.name);
        begin();
        read(field);
        compare(end(), arp_packet(), bytes_of(ctx_));
    }
}

TEST_P(SkbContext, EveryFieldIsWritten) {
    constexpr u64 values[] = {0x1122334455667788, 0xffffffffffffffff, 0xffff, 0xfffe, 0};
    for (const CtxField& field : row().ctx) {
        if (!field.writable) continue;
        for (const u64 value : values)
            for (const bool immediate : {false, true}) {
                SCOPED_TRACE(fmt::format("{} = {:#x} {}", field.name, value, immediate));
                begin();
                add(0x18, R2, 0, 0, static_cast<i64>(value));
                add(0, 0, 0, 0, static_cast<i64>(value >> 32));
                for (u32 size : {1U, 2U, 4U, 8U})
                    for (i32 off = field.begin; off < field.end; ++off) {
                        if (row().find_field(off, size, true) == nullptr) continue;
                        if (immediate)
                            add(0x62 | width(size), R6, 0, off, static_cast<i32>(value));
                        else
                            add(0x63 | width(size), R6, R2, off, 0);
                        if (field.bytes) add(0x07, R2, 0, 0, 0x01010101); // another value in every place
                    }
                read(field);
                compare(end(), arp_packet(), bytes_of(ctx_));
            }
    }
}

TEST_P(SkbContext, PacketBytesAreReachedOrNot) {
    for (const u32 opcode : {0x71U, 0x73U}) { // a load, a store
        begin();
        add(0x61, R7, R6, offsetof(__sk_buff, data), 0);
        add(0x61, R8, R6, offsetof(__sk_buff, data_end), 0);
        add(0xbf, R0, R7, 0, 0);
        add(0x07, R0, 0, 0, 20);
        add(0x2d, R0, R8, 4, 0); // if r0 > r8 goto
        if (opcode == 0x71)
            add(opcode, R0, R7, 19, 0);
        else
            add(opcode, R7, R9, 19, 0);
        add(0xb7, R0, 0, 0, opcode == 0x71 ? 1 : 2);
        add(0x27, R9, 0, 0, 31);
        add(0x0f, R9, R0, 0, 0);
        add(0xb7, R0, 0, 0, 0);
        compare(end(), arp_packet(), bytes_of(ctx_));
    }
}

TEST_P(SkbContext, LegacyLoads) {
    for (const i32 offset : {0, 12, 45, 46, 58, -0x100000, -0x100000 + 13, -0x100000 + 44, -0x200000,
                             -0x200000 + 12, -0x200000 + 58, -0x200000 - 1, -0x300000})
        for (const u32 opcode : {0x30U, 0x28U, 0x20U}) {
            SCOPED_TRACE(fmt::format("{:#x} at {:#x}", opcode, offset));
            begin();
            add(0xb7, R0, 0, 0, 1);
            add(opcode, 0, 0, 0, offset);
            digest();
            compare(end(), arp_packet(), bytes_of(ctx_));
        }
}

std::vector<Insn> pass() { return {{0xb7, R0, 0, 0, 1}, {0x95, 0, 0, 0, 0}}; }

TEST_P(SkbContext, ContextsThatMayBeGiven) {
    // A number of a device is taken here as it is, where Linux looks for the device.
    constexpr auto device = offsetof(__sk_buff, ifindex);
    for (std::size_t at = 0; at < sizeof(__sk_buff); ++at) {
        if (at >= device && at < device + 4) continue;
        SCOPED_TRACE(at);
        Bytes ctx(sizeof(__sk_buff));
        ctx[at] = 70;
        compare(pass(), arp_packet(), ctx);
    }
    for (const u32 wire_len : {1U, 45U, 46U, 47U, 59U, 60U, 61U, 65536U, 65537U}) {
        SCOPED_TRACE(wire_len);
        __sk_buff ctx{};
        ctx.wire_len = wire_len;
        compare(pass(), arp_packet(), bytes_of(ctx));
    }
    for (const std::size_t size : {1U, 11U, 12U, 160U, 191U, 193U, 250U, 4096U})
        for (const u8 last : {0, 1}) {
            SCOPED_TRACE(fmt::format("{} bytes, last {}", size, last));
            Bytes ctx(size);
            if (size > sizeof(__sk_buff)) ctx.back() = last;
            compare(pass(), arp_packet(), ctx);
        }
}

TEST_P(SkbContext, PacketsThatMayBeGiven) {
    for (const std::size_t size : {0U, 1U, 13U, 14U, 15U, 3711U, 3712U, 3713U, 5000U}) {
        SCOPED_TRACE(size);
        compare(pass(), arp_packet(size), {});
    }
    for (const u16 type : {u16{ETH_P_IP}, u16{ETH_P_IPV6}, u16{ETH_P_8021Q}, u16{0x20}})
        for (std::size_t size = 14; size < 60; ++size) {
            SCOPED_TRACE(fmt::format("{} bytes of {:#x}", size, type));
            Bytes packet = arp_packet(size);
            packet[12] = static_cast<u8>(type >> 8);
            packet[13] = static_cast<u8>(type);
            compare(pass(), packet, {});
        }
}

TEST_P(SkbContext, FlagsThatMayBeGiven) {
    for (u32 bit = 0; bit < 32; ++bit) {
        SCOPED_TRACE(bit);
        compare(pass(), arp_packet(), {}, 1U << bit);
    }
}

INSTANTIATE_TEST_SUITE_P(Types, SkbContext, ::testing::ValuesIn(kTypes),
                         [](const auto& test) { return test.param.name; });

} // namespace
} // namespace xdplane
