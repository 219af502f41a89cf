// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Helpers of socket buffers: the same programs, packets and contexts here, on both engines, and in the
// kernel's PROG_TEST_RUN. The same result of every call, the same fields afterwards, the same packet and
// context.
#include <algorithm>
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <random>

#include "tests/support/both_sides.h"
#include "tests/support/call_program.h"
#include "tests/support/kernel_oracle.h"

namespace xdplane {
namespace {

constexpr u32 kCsumComplete = 1U << 2; // BPF_F_TEST_SKB_CHECKSUM_COMPLETE

constexpr CtxRead word(std::size_t offset) { return {static_cast<u32>(offset), 4}; }
/// Everything of a packet that a sched_cls program can read and that is no pointer, hash or device.
const std::vector<CtxRead> kFields = {
    word(offsetof(__sk_buff, len)),        word(offsetof(__sk_buff, pkt_type)),
    word(offsetof(__sk_buff, mark)),       word(offsetof(__sk_buff, queue_mapping)),
    word(offsetof(__sk_buff, protocol)),   word(offsetof(__sk_buff, vlan_present)),
    word(offsetof(__sk_buff, vlan_tci)),   word(offsetof(__sk_buff, vlan_proto)),
    word(offsetof(__sk_buff, priority)),   word(offsetof(__sk_buff, ingress_ifindex)),
    word(offsetof(__sk_buff, ifindex)),    word(offsetof(__sk_buff, tc_index)),
    word(offsetof(__sk_buff, cb)),         word(offsetof(__sk_buff, cb) + 16),
    word(offsetof(__sk_buff, tc_classid)), {offsetof(__sk_buff, tstamp), 8},
    word(offsetof(__sk_buff, wire_len)),   word(offsetof(__sk_buff, gso_segs)),
    word(offsetof(__sk_buff, gso_size)),   {offsetof(__sk_buff, tstamp_type), 1},
    {offsetof(__sk_buff, hwtstamp), 8},    word(offsetof(__sk_buff, napi_id)),
};

using Packet = std::vector<u8>;

/// `headers` and random bytes behind them.
Packet packet_of(std::initializer_list<u8> headers, std::size_t size, std::mt19937& random) {
    constexpr std::size_t kAddresses = 12;
    Packet packet(kAddresses + headers.size());
    std::copy(headers.begin(), headers.end(), packet.begin() + kAddresses);
    while (packet.size() < size) packet.push_back(static_cast<u8>(random()));
    packet.resize(size);
    return packet;
}

class SkbKernel : public ::testing::Test {
protected:
    void SetUp() override {
        if (const std::string why = kernel::why_unavailable(); !why.empty()) GTEST_SKIP() << why;
        for (u64& w : buffer_) w = u64{random_()} << 32 | random_();
        packets_ = {
            packet_of({8, 0, 0x45, 0}, 34, random_),
            packet_of({8, 0, 0x45, 1}, 90, random_),
            packet_of({8, 0, 0x46, 2}, 700, random_),
            packet_of({0x86, 0xdd, 0x60, 0x10}, 54, random_),
            packet_of({0x86, 0xdd, 0x60, 0x20}, 200, random_),
            packet_of({8, 6}, 60, random_),
            packet_of({8, 6}, 14, random_),
            packet_of({0x81, 0, 0x20, 5, 8, 0, 0x45, 1}, 64, random_),
            packet_of({0x88, 0xa8, 0x20, 5, 0x81, 0, 0, 6, 0x86, 0xdd, 0x60, 0x20}, 80, random_),
            packet_of({0x81, 0, 0x20, 5, 0x81, 0, 1, 5, 0x81, 0, 2, 5, 8, 0, 0x45, 3}, 61, random_),
            packet_of({0, 40, 0xff, 0xff}, 60, random_),
            packet_of({0x81, 0, 0, 7, 0, 9, 0xff, 0xff}, 60, random_),
            packet_of({0x81, 0, 0, 7}, 17, random_),
        };
        packets_[1][0] = 0xff;
        packets_[2][0] = 2;
    }

    void compare(both::Request request) {
        const both::Answer expected = both::ask_kernel(request);
        for (const both::Side& side : both::engines()) {
            const both::Answer answer = side.ask(request);
            if (answer.log.find("not supported yet") != std::string::npos)
                GTEST_SKIP() << "the verifier does not know an argument of these helpers yet";
            EXPECT_TRUE(answer == expected)
                << side.name << ": " << both::describe(answer) << "\nkernel: " << both::describe(expected);
        }
    }

    void compare(const std::vector<HelperCall>& calls, const Packet& packet, u32 flags = 0, Packet ctx = {},
                 u32 type = BPF_PROG_TYPE_SCHED_CLS) {
        SCOPED_TRACE(describe(calls));
        compare({.type = type,
                 .insns = CallProgram::make(calls, buffer_, kFields),
                 .packet = packet,
                 .ctx = std::move(ctx),
                 .flags = flags});
    }

    [[nodiscard]] i64 between(i64 low, i64 high) {
        return low + static_cast<i64>(random_() % static_cast<u64>(high - low + 1));
    }
    [[nodiscard]] i64 one_of(std::initializer_list<i64> values) {
        return *(values.begin() + random_() % values.size());
    }
    [[nodiscard]] i64 near(std::initializer_list<i64> edges) { return one_of(edges) + between(-1, 1); }
    [[nodiscard]] const Packet& any_packet() { return packets_[random_() % packets_.size()]; }

    [[nodiscard]] HelperCall any_bytes();
    [[nodiscard]] HelperCall any_room();
    [[nodiscard]] HelperCall any_header();
    [[nodiscard]] u64 room_flags();
    [[nodiscard]] Packet any_ctx(const Packet& packet);

    std::mt19937 random_{6'18};
    CallProgram::Buffer buffer_{};
    std::vector<Packet> packets_;
};

HelperCall SkbKernel::any_bytes() {
    const i64 offset = near({0, 1, 12, 14, 20, 34, 54, 60, 64, 0xffff, 0x7fffffff});
    switch (random_() % 8) {
    case 0:
        return {BPF_FUNC_skb_store_bytes,
                {offset, HelperCall::buffer(), between(1, 40), one_of({0, 1, 2, 3, 3, 1, 4})}};
    case 1: return {BPF_FUNC_skb_load_bytes, {offset, HelperCall::buffer(), between(1, 80)}};
    case 2:
        return {BPF_FUNC_skb_load_bytes_relative,
                {near({0, 6, 20, 40, 60}), HelperCall::buffer(), between(1, 80), between(0, 2)}};
    case 3: return {BPF_FUNC_skb_pull_data, {near({0, 14, 34, 60, 64, 90, 0xffff})}};
    case 4:
        return {BPF_FUNC_l3_csum_replace,
                {near({15, 25, 33, 53, 0xffff}), one_of({0, 0, between(0, 0xffffffff), 0xffff}),
                 between(0, 0xffffffff), one_of({0, 2, 4, 4, 1, 16})}};
    case 5:
    case 6:
        return {BPF_FUNC_l4_csum_replace,
                {near({15, 25, 33, 53, 0xffff}), one_of({0, 0, between(0, 0xffffffff), 0xffff, -1}),
                 between(0, 0xffffffff),
                 one_of({0, 2, 4, 4, 1}) | one_of({0, 16, 32, 48, 96, 144, 128, 112, 256})}};
    default: return {BPF_FUNC_csum_update, {between(0, 0xffffffff)}};
    }
}

u64 SkbKernel::room_flags() {
    u64 flags = 0;
    if (random_() % 3 == 0) return flags;
    for (u32 bit = 0; bit <= 9; ++bit)
        if (random_() % (bit == 9 ? 40 : 5) == 0) flags |= u64{1} << bit;
    if (random_() % 4 == 0) flags |= static_cast<u64>(one_of({13, 14, 18, 255})) << 56;
    return flags;
}

HelperCall SkbKernel::any_room() {
    switch (random_() % 6) {
    case 0:
        return {BPF_FUNC_skb_change_proto,
                {htons(static_cast<u16>(one_of({ETH_P_IP, ETH_P_IPV6, ETH_P_ARP}))), one_of({0, 0, 0, 1})}};
    case 1:
        return {BPF_FUNC_skb_change_head,
                {one_of({0, 1, 14, 40, 300, 15984, 16000, -1, 0x7fffffff}), one_of({0, 0, 0, 1})}};
    case 2:
        // No IP header is cut: Linux then shows again what it had cut off, where a header would be moved.
        return {BPF_FUNC_skb_change_tail,
                {near({0, 60, 90, 200, 1500, 3000, 16064, 0x7fffffff, -1}), one_of({0, 0, 0, 1})}};
    default:
        return {BPF_FUNC_skb_adjust_room,
                {one_of({-4096, -4095, -60, -40, -20, -8, -1, 0, 1, 8, 20, 28, 40, 60, 4095, 4096}),
                 one_of({0, 1, 1, 0, 2}), static_cast<i64>(room_flags())}};
    }
}

HelperCall SkbKernel::any_header() {
    switch (random_() % 8) {
    case 0:
    case 1:
        return {BPF_FUNC_skb_vlan_push,
                {htons(static_cast<u16>(one_of({ETH_P_8021Q, ETH_P_8021AD, ETH_P_IP}))), between(0, 0xffff)}};
    case 2:
    case 3: return {BPF_FUNC_skb_vlan_pop, {}};
    case 4: return {BPF_FUNC_skb_ecn_set_ce, {}};
    case 5: return {BPF_FUNC_csum_level, {between(0, 4)}};
    case 6: return {BPF_FUNC_skb_change_type, {between(0, 5)}};
    default: return {BPF_FUNC_skb_set_tstamp, {one_of({0, 1, 77777777777}), between(0, 3)}};
    }
}

Packet SkbKernel::any_ctx(const Packet& packet) {
    __sk_buff ctx{};
    ctx.mark = static_cast<u32>(random_());
    ctx.priority = static_cast<u32>(random_());
    ctx.ingress_ifindex = static_cast<u32>(between(0, 3));
    ctx.ifindex = static_cast<u32>(between(0, 1));
    for (u32& w : ctx.cb) w = static_cast<u32>(random_());
    ctx.tstamp = random_();
    ctx.wire_len = static_cast<u32>(one_of({0, static_cast<i64>(packet.size()), 2000, 70000, 20}));
    ctx.gso_segs = static_cast<u32>(one_of({0, 3, 65535, 65536}));
    ctx.gso_size = static_cast<u32>(one_of({0, 0, 500}));
    ctx.hwtstamp = u64{random_()} << 8;
    const u8* bytes = reinterpret_cast<const u8*>(&ctx);
    return {bytes, bytes + sizeof ctx};
}

TEST_F(SkbKernel, Bytes) {
    for (u32 round = 0; round < 200 && !HasFailure(); ++round) {
        std::vector<HelperCall> calls;
        for (i64 left = between(1, 5); left > 0; --left) calls.push_back(any_bytes());
        compare(calls, any_packet(), round % 3 == 0 ? kCsumComplete : 0);
    }
}

TEST_F(SkbKernel, Room) {
    for (u32 round = 0; round < 300 && !HasFailure(); ++round) {
        std::vector<HelperCall> calls;
        for (i64 left = between(1, 3); left > 0; --left) calls.push_back(any_room());
        if (round % 2 == 0) calls.push_back(any_bytes());
        compare(calls, any_packet(), round % 3 == 0 ? kCsumComplete : 0);
    }
}

TEST_F(SkbKernel, Headers) {
    for (u32 round = 0; round < 200 && !HasFailure(); ++round) {
        std::vector<HelperCall> calls;
        for (i64 left = between(1, 5); left > 0; --left) calls.push_back(any_header());
        if (round % 2 == 0) calls.push_back(any_bytes());
        compare(calls, any_packet(), round % 3 == 0 ? kCsumComplete : 0);
    }
}

TEST_F(SkbKernel, EverythingTogether) {
    for (u32 round = 0; round < 300 && !HasFailure(); ++round) {
        std::vector<HelperCall> calls;
        for (i64 left = between(2, 6); left > 0; --left)
            calls.push_back(random_() % 3 == 0   ? any_bytes()
                            : random_() % 2 == 0 ? any_room()
                                                 : any_header());
        const Packet& packet = any_packet();
        compare(calls, packet, round % 4 == 0 ? kCsumComplete : 0,
                round % 2 == 0 ? any_ctx(packet) : Packet(),
                round % 5 == 0 ? BPF_PROG_TYPE_SCHED_ACT : BPF_PROG_TYPE_SCHED_CLS);
    }
}

TEST_F(SkbKernel, Redirects) {
    for (const i64 flags : {0, 1, 2, 3, 8, 1 << 30}) {
        compare({{BPF_FUNC_redirect, {1, flags}, false}}, packets_[1]);
        compare({{BPF_FUNC_redirect_peer, {1, flags}, false}}, packets_[1]);
        for (const i64 size : {0, 1, 19, 20, 21, 64})
            compare({{BPF_FUNC_redirect_neigh, {1, HelperCall::buffer(), size, flags}, false}}, packets_[1]);
        compare({{BPF_FUNC_clone_redirect, {0x7ffffff0, flags}}}, packets_[1]);
    }
}

// Tunnels, routes and the like where there are none, and what is no argument of theirs.
TEST_F(SkbKernel, AnswersWhereNothingIsThere) {
    const i64 to = HelperCall::buffer();
    for (const i64 flags : {0, 1, 2, 16, 64}) {
        for (const i64 size : {1, 4, 8, 20, 24, 28, 44, 64}) {
            compare({{BPF_FUNC_skb_get_tunnel_key, {to, size, flags}}}, packets_[1]);
            compare({{BPF_FUNC_skb_get_tunnel_opt, {to, size}}}, packets_[1]);
            compare({{BPF_FUNC_skb_set_tunnel_opt, {to, size}}}, packets_[1]);
            compare({{BPF_FUNC_skb_get_xfrm_state, {0, to, size, flags}}}, packets_[1]);
        }
        compare({{BPF_FUNC_get_route_realm, {}}}, packets_[1]);
        compare({{BPF_FUNC_skb_cgroup_classid, {}}}, packets_[1]);
    }
    for (const i64 size : {1, 5, 7, 9, 19, 21, 27, 29, 43, 45})
        compare({{BPF_FUNC_skb_set_tunnel_key, {to, size, 0}}}, packets_[1]);
    compare({{BPF_FUNC_skb_set_tunnel_key, {to, 44, 32}}}, packets_[1]);
    for (const i64 size : {1, 63, 64, 65, 256})
        for (const i64 flags : {0, 1, 32, 64, 1 << 20}) {
            buffer_[0] = 77; // no family
            compare({{BPF_FUNC_fib_lookup, {to, size, flags}}}, packets_[1]);
        }
}

TEST_F(SkbKernel, SizesThatDevicesSend) {
    for (const u32 length : {0U, 1U, 1500U, 65535U, 65536U, 65537U, 0x7fffffffU, 0xffffffffU})
        for (const i64 difference : {0, 1, -1, 65472, 65490, 65537, -70000, 0x7fffffff})
            for (const i64 flags : {0, 1, 2}) {
                buffer_[0] = length;
                compare({{BPF_FUNC_check_mtu, {0, HelperCall::buffer(), difference, flags}}}, packets_[1]);
            }
}

TEST_F(SkbKernel, HashesThatAreSet) {
    for (const i64 hash : {0, 1, 0x7fffffff}) {
        compare({{BPF_FUNC_set_hash, {hash}}, {BPF_FUNC_get_hash_recalc, {}}}, packets_[1]);
        compare({{BPF_FUNC_set_hash, {5}},
                 {BPF_FUNC_skb_store_bytes, {20, HelperCall::buffer(), 4, 0}},
                 {BPF_FUNC_get_hash_recalc, {}}},
                packets_[1]);
    }
}

TEST_F(SkbKernel, NumbersInStrings) {
    const std::string texts[] = {"0",
                                 "7",
                                 "-7",
                                 "  42",
                                 "\t\n-42x",
                                 "+5",
                                 "- 5",
                                 "",
                                 " ",
                                 "-",
                                 "0x",
                                 "0x1f",
                                 "0X1F",
                                 "0xg",
                                 "010",
                                 "08",
                                 "00x1",
                                 "ffff",
                                 "1f",
                                 "9223372036854775807",
                                 "9223372036854775808",
                                 "-9223372036854775808",
                                 "-9223372036854775809",
                                 "18446744073709551615",
                                 "18446744073709551616",
                                 "99999999999999999999999",
                                 "0x7fffffffffffffff",
                                 "0xffffffffffffffff",
                                 "-0",
                                 "-0x8000000000000000",
                                 "-0x8000000000000001",
                                 "00000000000000000000000000000000000000000000000000000000000000000000000001",
                                 "1 2",
                                 "\xa0"
                                 "3",
                                 "12_"};
    for (const std::string& text : texts)
        for (const i64 flags : {0, 8, 10, 16, 2, 32, 48}) {
            SCOPED_TRACE(text);
            buffer_.fill(0);
            std::memcpy(buffer_.data(), text.data(), text.size());
            const i64 size = static_cast<i64>(text.size());
            std::vector<HelperCall> calls;
            for (const u32 helper : {BPF_FUNC_strtol, BPF_FUNC_strtoul})
                for (const i64 length : {std::max<i64>(size, 1), size + 1, std::max<i64>(size - 1, 1)})
                    calls.push_back(
                        {helper, {HelperCall::buffer(), length, flags, HelperCall::buffer(200)}, false});
            compare(calls, packets_[1]);
        }
}

} // namespace
} // namespace xdplane
