// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Classic programs, translated, verified and run by every engine, against libpcap's own bpf_filter().
#include <cstdlib>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <random>

#include "bpf/interp/interpreter.h"
#include "bpf/jit/jit.h"
#include "bpf/lower/lowered.h"
#include "bpf/prog/classic.h"
#include "bpf/prog/program.h"
#include "bpf/verifier/verifier.h"
#include "tests/support/pcap_oracle.h"

namespace xdplane {
namespace {

std::unique_ptr<Executable> load(const std::vector<Insn>& insns, bool with_jit, std::string& reason) {
    VerifyRequest request;
    request.type = find_program_type(BPF_PROG_TYPE_SOCKET_FILTER);
    request.insns = insns;
    request.gpl_compatible = true;
    VerifierLog log;
    const auto verified = verify(std::move(request), log);
    if (!verified) return reason = verified.error().message, nullptr;
    auto lowered = lower(*verified);
    if (!lowered) return reason = lowered.error().message, nullptr;
    if (!with_jit) return interpret(std::move(*lowered));
    auto compiled = jit(*lowered);
    if (!compiled) return reason = compiled.error().message, nullptr;
    return std::move(*compiled);
}

u32 run(const Executable& executable, std::vector<u8>& packet, u32 wire_len) {
    const auto frame = std::make_unique<u8[]>(kHeadroom + packet.size()); // exact, so that ASan sees overruns
    for (std::size_t i = 0; i < packet.size(); ++i) frame[kHeadroom + i] = packet[i];
    XdpBuff buff{};
    buff.hard_start = frame.get();
    buff.data = buff.data_meta = frame.get() + kHeadroom;
    buff.data_end = buff.data + packet.size();
    buff.frame_end = buff.data_end;
    buff.wire_len = wire_len;
    return executable.entry.run(&executable.entry, &buff, &t_run);
}

constexpr ClassicInsn ret_k(u32 k) { return {0x06, 0, 0, k}; }

/// Random programs that libpcap and Linux accept: forward jumps, scratch memory, loads at edges.
class ProgramMaker {
public:
    explicit ProgramMaker(u32 seed) : random_(seed) {}

    std::vector<ClassicInsn> make() {
        const u32 size = pick(3, 40);
        std::vector<ClassicInsn> program;
        // libpcap leaves scratch memory undefined where Linux has it checked; write before reading.
        for (u32 word = 0; word < 4; ++word) {
            program.push_back({0x00, 0, 0, interesting()});
            program.push_back({0x02, 0, 0, word});
        }
        while (program.size() < size + 8)
            program.push_back(insn(size + 8 - static_cast<u32>(program.size())));
        program.push_back(random_() & 1 ? ret_k(interesting()) : ClassicInsn{0x16, 0, 0, 0});
        return program;
    }

    std::vector<u8> packet() {
        std::vector<u8> bytes(pick(0, 3) == 0 ? pick(0, 20) : pick(1, 120));
        for (u8& byte : bytes) byte = static_cast<u8>(pick(0, 4) == 0 ? pick(0, 3) : random_());
        return bytes;
    }

    u32 pick(u32 low, u32 high) { return low + static_cast<u32>(random_() % (high - low + 1)); }

private:
    u32 interesting() {
        static constexpr u32 kValues[] = {
            0,   1,      2,      4,          14,         31,         32,         33,         60,
            255, 0x7fff, 0xffff, 0x7ffffffe, 0x7fffffff, 0x80000000, 0xfffff000, 0xfffff00c, 0xffffffff};
        return pick(0, 2) == 0 ? static_cast<u32>(random_()) : kValues[pick(0, std::size(kValues) - 1)];
    }
    u32 offset() { return pick(0, 9) == 0 ? interesting() : pick(0, 100); }

    ClassicInsn insn(u32 left) {
        static constexpr u16 kSizes[] = {0x00, 0x08, 0x10};
        static constexpr u16 kAlu[] = {0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x90, 0xa0};
        static constexpr u16 kJumps[] = {0x10, 0x20, 0x30, 0x40};
        const u16 size = kSizes[pick(0, 2)];
        switch (pick(0, 11)) {
        case 0: return {static_cast<u16>(0x20 | size), 0, 0, offset()};
        case 1: return {static_cast<u16>(0x40 | size), 0, 0, offset()};
        case 2: return {0xb1, 0, 0, offset()};
        case 3: return {static_cast<u16>(pick(0, 1) ? 0x80 : 0x81), 0, 0, 0};
        case 4: return {static_cast<u16>(pick(0, 1) ? 0x00 : 0x01), 0, 0, interesting()};
        case 5: return {static_cast<u16>(pick(0, 1) ? 0x60 : 0x61), 0, 0, pick(0, 3)};
        case 6: return {static_cast<u16>(pick(0, 1) ? 0x02 : 0x03), 0, 0, pick(0, 3)};
        case 7: return {static_cast<u16>(pick(0, 1) ? 0x07 : 0x87), 0, 0, 0};
        case 8:
        case 9: {
            const u16 operation = kAlu[pick(0, std::size(kAlu) - 1)];
            if (pick(0, 9) == 0) return {0x84, 0, 0, 0};
            if (pick(0, 1)) return {static_cast<u16>(0x0c | operation), 0, 0, 0};
            u32 k = interesting();
            if (operation == 0x60 || operation == 0x70) k &= 31;
            if ((operation == 0x30 || operation == 0x90) && k == 0) k = 1;
            return {static_cast<u16>(0x04 | operation), 0, 0, k};
        }
        default: {
            const auto target = [&] { return static_cast<u8>(pick(0, std::min(left - 1, 12U))); };
            if (pick(0, 9) == 0) return {0x05, 0, 0, target()};
            const u16 operation = kJumps[pick(0, 3)];
            return {static_cast<u16>(0x05 | operation | (pick(0, 1) ? 8 : 0)), target(), target(),
                    interesting()};
        }
        }
    }

    std::mt19937_64 random_;
};

u32 rounds() {
    const char* wanted = std::getenv("XDPLANE_RANDOM_ROUNDS");
    return wanted == nullptr ? 1500 : static_cast<u32>(std::strtoul(wanted, nullptr, 10));
}

class Classic : public testing::TestWithParam<bool> {};

TEST_P(Classic, RandomProgramsJudgeAsLibpcapDoes) {
    if (GetParam() && host_backend() == nullptr) GTEST_SKIP() << "no JIT for this machine";
    u64 accepted = 0;
    for (u32 seed = 1; seed <= rounds(); ++seed) {
        ProgramMaker maker(seed);
        const auto program = maker.make();
        ASSERT_TRUE(libpcap_accepts(program)) << "seed " << seed;
        const auto insns = translate_classic(program, ClassicDialect::libpcap);
        ASSERT_TRUE(insns.has_value()) << "seed " << seed << ": " << insns.error().message;
        std::string reason;
        const auto executable = load(*insns, GetParam(), reason);
        ASSERT_NE(executable, nullptr) << "seed " << seed << ": " << reason;
        for (u32 i = 0; i < 8; ++i) {
            std::vector<u8> packet = maker.packet();
            const u32 wire_len = static_cast<u32>(packet.size()) + maker.pick(0, 1) * maker.pick(0, 1400);
            const u32 expected = libpcap_run(program, packet, wire_len);
            ASSERT_EQ(run(*executable, packet, wire_len), expected) << "seed " << seed << " packet " << i;
            accepted += expected != 0;
        }
    }
    EXPECT_GT(accepted, rounds()); // the programs are not all constant 0
}

INSTANTIATE_TEST_SUITE_P(Engines, Classic, testing::Values(false, true),
                         [](const auto& engine) { return engine.param ? "jit" : "interpreter"; });

struct Refused {
    const char* name;
    std::vector<ClassicInsn> program;
    ClassicDialect dialect;
    int code;
    const char* reason;
};

class ClassicRefuses : public testing::TestWithParam<Refused> {};

TEST_P(ClassicRefuses, WithTheInstructionAndTheReason) {
    const auto result = translate_classic(GetParam().program, GetParam().dialect);
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().code, GetParam().code);
    EXPECT_NE(result.error().message.find(GetParam().reason), std::string::npos) << result.error().message;
}

constexpr auto kLinux = ClassicDialect::linux_kernel;
INSTANTIATE_TEST_SUITE_P(
    Table, ClassicRefuses,
    testing::Values(
        Refused{"empty", {}, kLinux, EINVAL, "empty"},
        Refused{"too_long", std::vector<ClassicInsn>(4097, ret_k(0)), kLinux, EINVAL, "the limit is 4096"},
        Refused{"no_return", {{0x00, 0, 0, 1}}, kLinux, EINVAL, "falls off its end"},
        Refused{"jump_beyond", {{0x05, 0, 0, 1}, ret_k(0)}, kLinux, EINVAL, "jump out of range"},
        Refused{"jump_wraps", {{0x05, 0, 0, 0xffffffff}, ret_k(0)}, kLinux, EINVAL, "jump out of range"},
        Refused{"branch_beyond", {{0x15, 0, 1, 7}, ret_k(0)}, kLinux, EINVAL, "jump out of range"},
        Refused{"divide_by_zero", {{0x34, 0, 0, 0}, ret_k(0)}, kLinux, EINVAL, "division by the constant 0"},
        Refused{"modulo_zero", {{0x94, 0, 0, 0}, ret_k(0)}, kLinux, EINVAL, "division by the constant 0"},
        Refused{"shift_32", {{0x64, 0, 0, 32}, ret_k(0)}, kLinux, EINVAL, "shift by 32"},
        Refused{"scratch_16", {{0x60, 0, 0, 16}, ret_k(0)}, kLinux, EINVAL, "scratch word 16"},
        Refused{"store_16", {{0x02, 0, 0, 16}, ret_k(0)}, kLinux, EINVAL, "scratch word 16"},
        Refused{"opcode", {{0xff, 0, 0, 0}, ret_k(0)}, kLinux, EINVAL, "unknown opcode"},
        Refused{"opcode_high_byte", {{0x120, 0, 0, 0}, ret_k(0)}, kLinux, EINVAL, "unknown opcode 0x0120"},
        Refused{
            "opcode_unreachable", {ret_k(0), {0xff, 0, 0, 0}, ret_k(0)}, kLinux, EINVAL, "unknown opcode"},
        Refused{"return_x", {{0x0e, 0, 0, 0}}, kLinux, EINVAL, "unknown opcode"},
        Refused{"netlink", {{0x20, 0, 0, 0xfffff00c}, ret_k(0)}, kLinux, EOPNOTSUPP, "SKF_AD_OFF + 12"}),
    [](const auto& row) { return row.param.name; });

} // namespace
} // namespace xdplane
