// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Sequences of helper calls, run as a program by the kernel and called directly here: the same result of
// every call and the same packet.
#include <array>
#include <cstring>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <random>
#include <string>
#include <vector>

#include "bpf/helpers/helper.h"
#include "bpf/isa/insn.h"
#include "bpf/run/run_context.h"
#include "tests/support/kernel_oracle.h"

namespace xdplane {
namespace {

constexpr u32 kBuffer = 256; ///< bytes of stack that the helpers work on
constexpr u32 kPacket = 80;

struct Call {
    u32 helper;
    /// After the context, where it takes one: constants, or kBufferArgument for the address of the buffer.
    std::vector<i64> arguments;
    bool ctx = true;
};
constexpr i64 kBufferArgument = i64{1} << 40;

std::string describe(const std::vector<Call>& calls) {
    std::string text;
    for (const Call& call : calls) {
        text += fmt::format("{}(", find_helper(call.helper)->name);
        for (const i64 argument : call.arguments)
            text += argument == kBufferArgument ? "buffer " : fmt::format("{} ", argument);
        text += ") ";
    }
    return text;
}

struct Outcome {
    u32 digest; ///< of every return value and of the buffer
    std::vector<u8> packet;
};

std::vector<Insn> assemble(const std::vector<Call>& calls, const std::array<u64, kBuffer / 8>& buffer) {
    std::vector<Insn> insns;
    const auto add = [&](u8 opcode, u8 dst, u8 src, i32 off, i64 imm) {
        insns.push_back({opcode, dst, src, static_cast<i16>(off), static_cast<i32>(imm)});
    };
    add(0xbf, R6, R1, 0, 0); // r6 = ctx
    add(0xb7, R9, 0, 0, 0);  // r9 = digest
    for (u32 i = 0; i < buffer.size(); ++i) {
        add(0x18, R0, 0, 0, static_cast<i64>(buffer[i]));
        add(0, 0, 0, 0, static_cast<i64>(buffer[i] >> 32));
        add(0x7b, R10, R0, -static_cast<i32>(kBuffer) + 8 * static_cast<i32>(i), 0);
    }
    for (const Call& call : calls) {
        u8 reg = R1;
        if (call.ctx) add(0xbf, reg++, R6, 0, 0);
        for (const i64 argument : call.arguments) {
            if (argument == kBufferArgument) {
                add(0xbf, reg, R10, 0, 0);
                add(0x07, reg++, 0, 0, -static_cast<i32>(kBuffer));
            } else
                add(0xb7, reg++, 0, 0, argument);
        }
        add(0x85, 0, 0, 0, call.helper);
        add(0x27, R9, 0, 0, 31); // digest = digest * 31 + r0
        add(0x0f, R9, R0, 0, 0);
    }
    for (u32 i = 0; i < buffer.size(); ++i) {
        add(0x79, R0, R10, -static_cast<i32>(kBuffer) + 8 * static_cast<i32>(i), 0);
        add(0x27, R9, 0, 0, 31);
        add(0x0f, R9, R0, 0, 0);
    }
    add(0xbf, R0, R9, 0, 0);
    add(0x95, 0, 0, 0, 0);
    return insns;
}

Outcome run_here(const std::vector<Call>& calls, std::array<u64, kBuffer / 8> buffer,
                 const std::array<u8, kPacket>& bytes) {
    std::vector<u8> frame(kFrameSize);
    XdpBuff packet{};
    packet.hard_start = frame.data();
    packet.data = packet.data_meta = frame.data() + kHeadroom;
    packet.data_end = packet.data + bytes.size();
    packet.frame_end = frame.data() + kFrameSize - kFrameTail;
    std::memcpy(packet.data, bytes.data(), bytes.size());
    u64 digest = 0;
    for (const Call& call : calls) {
        std::array<u64, 6> r{};
        std::size_t reg = 0;
        if (call.ctx) r[reg++] = reinterpret_cast<u64>(&packet);
        for (const i64 argument : call.arguments)
            r[reg++] = argument == kBufferArgument ? reinterpret_cast<u64>(buffer.data())
                                                   : static_cast<u64>(argument);
        digest = digest * 31 + find_helper(call.helper)->fn(r[0], r[1], r[2], r[3], r[4]);
    }
    for (const u64 word : buffer) digest = digest * 31 + word;
    // What PROG_TEST_RUN hands back begins with the metadata.
    return {static_cast<u32>(digest), {packet.data_meta, packet.data_end}};
}

class HelpersKernel : public ::testing::Test {
protected:
    void SetUp() override {
        if (const std::string why = kernel::why_unavailable(); !why.empty()) GTEST_SKIP() << why;
        for (u8& byte : packet_) byte = static_cast<u8>(random_());
        for (u64& word : buffer_) word = u64{random_()} << 32 | random_();
    }

    void compare(const std::vector<Call>& calls) {
        SCOPED_TRACE(describe(calls));
        const auto program = kernel::load(BPF_PROG_TYPE_XDP, assemble(calls, buffer_));
        ASSERT_TRUE(program) << program.error().message;
        const auto run = kernel::run(program->get(), packet_);
        ASSERT_TRUE(run) << run.error().message;
        const Outcome ours = run_here(calls, buffer_, packet_);
        EXPECT_EQ(ours.digest, run->result);
        EXPECT_EQ(ours.packet, run->packet);
    }

    [[nodiscard]] i64 between(i64 low, i64 high) {
        return low + static_cast<i64>(random_() % static_cast<u64>(high - low + 1));
    }
    /// One of `edges`, or one off.
    [[nodiscard]] i64 near(std::initializer_list<i64> edges) {
        return *(edges.begin() + random_() % edges.size()) + between(-1, 1);
    }

    std::mt19937 random_{20'26};
    std::array<u8, kPacket> packet_{};
    std::array<u64, kBuffer / 8> buffer_{};
};

constexpr i32 kMin = -0x7fffffff - 1;
constexpr i32 kMax = 0x7fffffff;

TEST_F(HelpersKernel, EdgesOfAdjust) {
    for (i64 delta = -260; delta <= 100; ++delta) {
        compare({{BPF_FUNC_xdp_adjust_head, {delta}}});
        compare({{BPF_FUNC_xdp_adjust_meta, {delta}}});
        compare({{BPF_FUNC_xdp_adjust_tail, {delta}}});
    }
    for (const i64 delta : {3438, 3439, 3440, 3441, 3442, 4096, 65536, kMin, kMax, kMin + 1})
        for (const u32 helper :
             {BPF_FUNC_xdp_adjust_head, BPF_FUNC_xdp_adjust_meta, BPF_FUNC_xdp_adjust_tail})
            compare({{helper, {delta}}});
    // A packet moved forward leaves more room for metadata than a length of metadata can say.
    for (i64 metadata = -268; metadata <= -248; ++metadata)
        compare({{BPF_FUNC_xdp_adjust_head, {60}}, {BPF_FUNC_xdp_adjust_meta, {metadata}}});
}

TEST_F(HelpersKernel, RandomSequencesOnThePacket) {
    for (u32 round = 0; round < 600 && !HasFailure(); ++round) {
        std::vector<Call> calls;
        for (i64 left = between(2, 6); left > 0; --left) {
            switch (random_() % 7) {
            case 0:
                calls.push_back({BPF_FUNC_xdp_adjust_head, {near({-216, -40, -8, 4, 14, 40, 66})}});
                break;
            case 1: calls.push_back({BPF_FUNC_xdp_adjust_meta, {between(-20, 12) * 4}}); break;
            case 2: calls.push_back({BPF_FUNC_xdp_adjust_meta, {between(-80, 40)}}); break;
            case 3: calls.push_back({BPF_FUNC_xdp_adjust_tail, {near({-66, -30, 0, 20, 500, 3440})}}); break;
            case 4:
                calls.push_back({BPF_FUNC_xdp_load_bytes,
                                 {near({0, 1, 40, 80, 100, 0xffff}), kBufferArgument, between(1, kBuffer)}});
                break;
            case 5:
                calls.push_back({BPF_FUNC_xdp_store_bytes,
                                 {near({0, 1, 40, 80, 100, 0xffff}), kBufferArgument, between(1, kBuffer)}});
                break;
            default: calls.push_back({BPF_FUNC_xdp_get_buff_len, {}}); break;
            }
        }
        compare(calls);
    }
}

TEST_F(HelpersKernel, ChecksumDifferences) {
    constexpr u32 csum = BPF_FUNC_csum_diff;
    for (u32 round = 0; round < 400 && !HasFailure(); ++round) {
        // Often little or nothing to sum: zero has two forms in ones' complement.
        if (round % 3 == 0) buffer_.fill(round % 2 == 0 ? 0 : ~u64{0});
        const i64 from = round % 4 == 1 ? 0 : between(0, kBuffer);
        const i64 to = round % 4 == 2 ? 0 : between(0, kBuffer);
        const i64 seed = round % 5 == 0 ? near({0}) : between(kMin, kMax);
        compare({{csum, {kBufferArgument, from, kBufferArgument, to, seed}, false}});
        compare({{csum, {0, 0, kBufferArgument, to, seed}, false}});
        compare({{csum, {kBufferArgument, from, 0, 0, seed}, false}});
        SetUp();
    }
    compare({{csum, {0, 0, 0, 0, 0x12345678}, false}});
}

TEST_F(HelpersKernel, RedirectRefusesFlags) {
    compare({{BPF_FUNC_redirect, {5, 0}, false}});
    compare({{BPF_FUNC_redirect, {5, 1}, false}});
}

TEST_F(HelpersKernel, FormatsOfTracePrintk) {
    const std::string formats[] = {
        "xdplane %d", "%d %u %i", "%x%X",   "%ld %lu %lx", "%lld",   "%5d|%-7u|%08x", "%+d % d", "%c",
        "%%",         "%d%%%d",   "%",      "%5",          "%ll",    "%lc",           "%#x",     "%.3d",
        "%d%d%d%d",   "%q",       "%-",     "\x01",        "a\tb\n", "%20d",          "%3c",     "%s|",
        "%9s|",       "%-9s|",    "%pks|",  "%pus|",       "%px",    "%30px",         "%pI4",    "%pi4",
        "%pI6",       "%pi6",     "%pI5",   "%pB",         "%ps",    "%pS",           "%pZ",     "%ls",
        "%pIx",       "%20pI4",   "%20pB|", "%20ps|"};
    for (const std::string& format : formats) {
        SCOPED_TRACE(format);
        buffer_.fill(0);
        std::memcpy(buffer_.data(), format.data(), format.size());
        for (const i64 argument : {0, 42, -42, kMin})
            compare({{BPF_FUNC_trace_printk,
                      {kBufferArgument, static_cast<i64>(format.size()) + 1, argument, 'x', argument},
                      false}});
        compare(
            {{BPF_FUNC_trace_printk, {kBufferArgument, static_cast<i64>(format.size()), 1, 2, 3}, false}});
    }
}

} // namespace
} // namespace xdplane
