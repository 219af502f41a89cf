// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <array>
#include <cstring>
#include <functional>
#include <gtest/gtest.h>

#include "bpf/isa/disassembler.h"
#include "tests/support/engines.h"
#include "tests/support/hex.h"
#include "tests/support/unverified_program.h"

/// Every row of the table with every pair of registers, each engine against the first: machines have
/// registers with fixed roles (division, shifts, compare-and-exchange) and encodings that differ by register.
/// All ten registers are looked at afterwards, and the memory.
namespace xdplane {
namespace {

constexpr u32 kWritable = 10; // r10 is read-only

/// What programs read and write, and what they leave in the registers.
struct alignas(16) Memory {
    std::array<u64, 8> bytes;
    std::array<u64, kWritable> registers;
};

constexpr u64 kStart[kWritable] = {
    0xf0e1d2c3b4a59687, 0x0000000000000003, 0xffffffff80000001, 0x123456789abcdef0, 0x0000000100000021,
    0x7fffffffffffffff, 0x8000000000000000, 0x00000000ffffffff, 0xfffffffffffffffe, 0x000000000000003f};

bool is_memory(OpKind kind) {
    return kind == OpKind::ldx || kind == OpKind::st || kind == OpKind::stx || kind == OpKind::atomic ||
           kind == OpKind::load_acquire || kind == OpKind::store_release;
}

void add_wide(std::vector<Insn>& insns, u32 dst, u64 value) {
    insns.push_back(encode(Op::ld_imm64, static_cast<u8>(dst), 0, 0, static_cast<i32>(value)));
    insns.push_back({0, 0, 0, 0, static_cast<i32>(value >> 32)});
}

/// Sets all registers, does the one thing, and keeps all registers.
std::vector<Insn> program_for(const OpcodeInfo& row, u8 dst, u8 src, u64 memory) {
    std::vector<Insn> insns;
    for (u32 reg = 0; reg < kWritable; ++reg) add_wide(insns, reg, kStart[reg]);
    const u32 base = row.kind == OpKind::ldx || row.kind == OpKind::load_acquire ? src : dst;
    if (is_memory(row.kind)) add_wide(insns, base, memory + 32);
    Insn insn = encode(row.op, dst, src, 0, 0x21);
    if (is_memory(row.kind)) insn.off = -16;
    if (row.kind == OpKind::jump) insn.off = 1; // over an insn that changes r0
    insns.push_back(insn);
    if (row.kind == OpKind::jump) insns.push_back(encode(Op::xor64_imm, R0, 0, 0, 0x5555));
    for (u32 reg = 0; reg < kWritable; ++reg)
        insns.push_back(
            encode(Op::stx64, R10, static_cast<u8>(reg), static_cast<i16>(-8 * (1 + i32(reg))), 0));
    add_wide(insns, R1, memory + offsetof(Memory, registers));
    for (u32 reg = 0; reg < kWritable; ++reg) {
        insns.push_back(encode(Op::ldx64, R2, R10, static_cast<i16>(-8 * (1 + i32(reg))), 0));
        insns.push_back(encode(Op::stx64, R1, R2, static_cast<i16>(8 * reg), 0));
    }
    insns.push_back(encode(Op::mov64_imm, R0, 0, 0, 0));
    insns.push_back(encode(Op::exit, 0, 0, 0, 0));
    return insns;
}

Memory start_memory() {
    Memory memory;
    for (u64 i = 0; i < memory.bytes.size(); ++i) memory.bytes[i] = 0x8182838485868788 * (i + 1);
    memory.registers.fill(0);
    return memory;
}

void run(const TestEngine& engine, const std::vector<Insn>& insns, Memory& memory) {
    const Result<VerifiedProgram> program = UnverifiedProgram::make(insns);
    ASSERT_TRUE(program) << program.error().message;
    Result<LoweredProgram> lowered = lower(*program);
    ASSERT_TRUE(lowered) << lowered.error().message;
    const auto executable = engine.make(std::move(*lowered));
    ASSERT_TRUE(executable) << executable.error().message;
    memory = start_memory();
    XdpBuff packet{};
    (*executable)->entry.run(&(*executable)->entry, &packet, &t_run);
}

void check_row(const OpcodeInfo& row) {
    if (test_engines().size() < 2) GTEST_SKIP() << "one engine alone has nothing to be compared with";
    const bool uses_src = row.operand == Operand::reg || row.operand == Operand::fetch;
    Memory memory;
    for (u8 dst = 0; dst < kWritable; ++dst)
        for (u8 src = 0; src < (uses_src ? kWritable : 1); ++src) {
            const std::vector<Insn> insns = program_for(row, dst, src, reinterpret_cast<u64>(&memory));
            run(test_engines().front(), insns, memory);
            const Memory expected = memory;
            for (const TestEngine& engine : test_engines().subspan(1)) {
                run(engine, insns, memory);
                const u32 at = 2 * kWritable + (is_memory(row.kind) ? 2 : 0);
                ASSERT_EQ(memory.registers, expected.registers)
                    << engine.name << ": " << disassemble(insns, at);
                ASSERT_EQ(memory.bytes, expected.bytes) << engine.name << ": " << disassemble(insns, at);
            }
        }
}

class RowTest : public testing::Test {
public:
    explicit RowTest(const OpcodeInfo& row) : row_(row) {}
    void TestBody() override { check_row(row_); }

private:
    const OpcodeInfo& row_;
};

} // namespace
} // namespace xdplane

int main(int argc, char** argv) {
    using namespace xdplane;
    testing::InitGoogleTest(&argc, argv);
    for (const OpcodeInfo& row : kOpcodes) {
        const bool has_registers = row.kind == OpKind::alu || row.kind == OpKind::endian ||
                                   row.kind == OpKind::jump || is_memory(row.kind);
        if (!has_registers) continue;
        testing::RegisterTest("RegisterPairs", std::string(row.name).c_str(), nullptr, nullptr, __FILE__,
                              __LINE__, [&row]() -> testing::Test* { return new RowTest(row); });
    }
    return RUN_ALL_TESTS();
}
