// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <cstdlib>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <random>

#include "bpf/isa/disassembler.h"
#include "tests/support/kernel_oracle.h"
#include "tests/support/verifier_cases.h"
#include "tests/support/verifier_text.h"

/// Arithmetic on pointers of every kind, legal or not: this verifier and the running kernel's must come to
/// the same verdict for the same reason, and know the same of every register on the way.
///
///   XDPLANE_RANDOM_PROGRAMS=N   how many (default 2000)
///   XDPLANE_RANDOM_SEED=S       of the first; the next have S+1, S+2, ... A failure prints its own.
namespace xdplane::test {
namespace {

constexpr u64 kDefaultSeed = 20260701;
constexpr u64 kPrograms = 2000;

u64 from_environment(const char* name, u64 otherwise) {
    const char* text = std::getenv(name);
    return text != nullptr ? std::strtoull(text, nullptr, 0) : otherwise;
}

/// r0 to r2 are numbers, r3 to r9 pointers: stack, map, packet end, context, map value, map value or null,
/// packet.
constexpr Op kUsual[] = {Op::add64_reg, Op::add64_reg, Op::add64_reg, Op::add64_imm,
                         Op::add64_imm, Op::sub64_reg, Op::sub64_imm};
constexpr Op kUnusual[] = {Op::add32_reg,  Op::add32_imm, Op::sub32_reg,  Op::sub32_imm,  Op::mul64_reg,
                           Op::and64_imm,  Op::or64_reg,  Op::xor64_reg,  Op::lsh64_imm,  Op::rsh64_reg,
                           Op::arsh64_imm, Op::mod64_imm, Op::div64_reg,  Op::sdiv64_imm, Op::smod64_imm,
                           Op::neg64,      Op::neg32,     Op::be16,       Op::le64,       Op::bswap32,
                           Op::mov32_reg,  Op::movsx8_64, Op::movsx16_32, Op::movsx32_64, Op::mov64_reg,
                           Op::mov64_reg,  Op::mov64_reg};
constexpr Op kBounds[] = {Op::and64_imm, Op::and64_imm, Op::rsh64_imm, Op::arsh64_imm, Op::lsh64_imm,
                          Op::mov64_imm, Op::ldx8,      Op::ldx16,     Op::ldxs8,      Op::mul64_imm};

class PointerProgram {
public:
    PointerProgram(u64 seed, int array, int hash) : random_(seed) {
        start(array, hash);
        for (u64 n = 2 + below(8); n > 0; --n) step();
        emit(Op::mov64_imm, R0, 0, 0);
        emit(Op::exit, 0, 0, 0);
    }
    [[nodiscard]] const std::vector<Insn>& insns() const { return insns_; }

private:
    u64 below(u64 limit) { return random_() % limit; }
    void emit(Op op, u8 dst, u8 src, i32 imm, i16 off = 0) {
        insns_.push_back({info(op).opcode, static_cast<u8>(dst & 15), static_cast<u8>(src & 15), off, imm});
    }
    void emit_map(u8 dst, u8 kind, int fd) {
        emit(Op::ld_imm64, dst, kind, fd);
        insns_.push_back({0, 0, 0, 0, 0});
    }

    void start(int array, int hash) {
        emit(Op::mov64_reg, R6, R1, 0);
        emit(Op::st64, R10, 0, 0, -8);
        emit_map(R1, kMapFd, hash);
        emit(Op::mov64_reg, R2, R10, 0);
        emit(Op::add64_imm, R2, 0, -8);
        emit(Op::call, 0, 0, 1);
        emit(Op::mov64_reg, R8, R0, 0);
        emit_map(R7, kMapValue, array);
        emit(Op::ldx32, R9, R6, 0, 0);
        emit(Op::ldx32, R5, R6, 0, 4);
        emit_map(R4, kMapFd, hash);
        emit(Op::mov64_reg, R3, R10, 0);
        for (const u8 reg : {R0, R1, R2}) {
            emit(Op::ldx64, reg, R7, 0, static_cast<i16>(reg * 8));
            if (below(4) != 0) emit(Op::and64_imm, reg, 0, static_cast<i32>(random_() >> (33 + below(31))));
            if (below(4) == 0) emit(Op::mul64_imm, reg, 0, below(2) == 0 ? -1 : 4);
        }
    }

    i32 number() {
        switch (below(6)) {
        case 0: return static_cast<i32>(below(64)) - 32;
        case 1: return 0;
        case 2: return static_cast<i32>(below(4096));
        case 3: return static_cast<i32>(u32{1} << (26 + below(6)));
        case 4: return -static_cast<i32>(u32{1} << (26 + below(5)));
        default: return static_cast<i32>(random_());
        }
    }

    void step() {
        const u64 kind = below(10);
        if (kind < 4)
            bound(static_cast<u8>(below(3)));
        else
            arithmetic(kind < 9 ? kUsual[below(std::size(kUsual))] : kUnusual[below(std::size(kUnusual))]);
    }

    void bound(u8 reg) {
        const OpcodeInfo& row = info(kBounds[below(std::size(kBounds))]);
        if (row.kind == OpKind::ldx)
            emit(row.op, reg, R10, 0, -8);
        else if (row.code == Code::and_)
            emit(row.op, reg, 0, static_cast<i32>(random_() >> (33 + below(31))));
        else if (row.code == Code::mov)
            emit(row.op, reg, 0, number());
        else if (row.code == Code::mul)
            emit(row.op, reg, 0, -1);
        else
            emit(row.op, reg, 0, static_cast<i32>(below(64)));
    }

    void arithmetic(Op op) {
        const OpcodeInfo& row = info(op);
        // Seldom those that may not be moved at all.
        constexpr u8 kTargets[] = {R3, R3, R3, R6, R6, R6, R7, R7, R7, R7, R9, R9, R9, R9, R9, R4, R5, R8};
        const u8 dst = static_cast<u8>(below(8) == 0 ? below(3) : kTargets[below(std::size(kTargets))]);
        u8 src = 0;
        i32 imm = 0;
        i16 off = 0;
        if (row.operand == Operand::reg)
            src = static_cast<u8>(dst < 3 || below(12) == 0 ? below(10) : below(3));
        if (row.operand == Operand::imm) imm = row.code == Code::lsh || row.code == Code::arsh ? 3 : number();
        if (row.operand == Operand::imm && imm == 0 && row.off != Rule::zero) imm = 1;
        if (row.code == Code::mod && imm == 0) imm = 1;
        if (row.kind == OpKind::endian) imm = row.width;
        if (row.off == Rule::one) off = 1;
        if (row.code == Code::movsx8) off = 8;
        if (row.code == Code::movsx16) off = 16;
        if (row.code == Code::movsx32) off = 32;
        emit(op, dst, src, imm, off);
    }

    std::mt19937_64 random_;
    std::vector<Insn> insns_;
};

struct Maps {
    int array;
    int hash;
};

std::string our_log(const std::vector<Insn>& insns, const Maps& fds) {
    static const std::shared_ptr<Map> kArray = *make_map({"array", 4, 64, 1});
    static const std::shared_ptr<Map> kHash = *make_map({"hash", 4, 64, 1});
    VerifyRequest request;
    request.type = find_program_type(BPF_PROG_TYPE_XDP);
    request.insns = insns;
    request.gpl_compatible = true;
    request.map_by_fd = [&](i32 fd) -> Result<std::shared_ptr<Map>> {
        return fd == fds.array ? kArray : kHash;
    };
    VerifierLog log;
    log.level = kLogVerbose;
    (void)verify(std::move(request), log);
    return log.text;
}

/// The line above "processed ...": why the program was refused, or the last insn.
std::string last_words(const std::string& log) {
    const auto end = log.find("\nprocessed ");
    if (end == std::string::npos) return "no log: " + log;
    const auto begin = log.rfind('\n', end - 1);
    const std::string line = log.substr(begin + 1, end - begin - 1);
    return line.starts_with('(') ? "95) exit" : line; // what the kernel says of the stack behind an exit
}

bool accepted(const std::string& words) { return words.find("95) exit") != std::string::npos; }

std::string difference(const std::string& kernel, const std::string& ours, u64& compared) {
    const auto k = read_verifier_log(kernel);
    auto o = read_verifier_log(ours);
    if (!o.empty() && o.front().kind == LogStep::Kind::insn) o.insert(o.begin(), LogStep());
    for (std::size_t i = 1; i < std::min(k.size(), o.size()); ++i)
        for (const auto& [name, text] : o[i].state) {
            const auto it = k[i].state.find(name);
            if (it == k[i].state.end()) continue;
            ++compared;
            if (it->second != text)
                return fmt::format("insn {}:\nkernel: {}={}\nours:   {}={}", k[i].insn, name, it->second,
                                   name, text);
        }
    const std::string why = last_words(kernel);
    const std::string ours_why = last_words(ours);
    if (why == ours_why || (accepted(why) && accepted(ours_why))) return {};
    return fmt::format("kernel: {}\nours:   {}", why, ours_why);
}

TEST(VerifierPointers, ArithmeticIsTheKernels) {
    if (const std::string why = kernel::why_unavailable(); !why.empty()) GTEST_SKIP() << why;
    auto array = kernel::create_array(64, "array");
    auto hash = kernel::create_hash(4, 64, "hash");
    ASSERT_TRUE(array && hash);
    const Maps maps{array->get(), hash->get()};
    const u64 seed = from_environment("XDPLANE_RANDOM_SEED", kDefaultSeed);
    const u64 count = from_environment("XDPLANE_RANDOM_PROGRAMS", kPrograms);
    u32 failures = 0;
    u64 refused = 0;
    u64 compared = 0;
    for (u64 i = 0; i < count && failures < 5; ++i) {
        const PointerProgram program(seed + i, maps.array, maps.hash);
        const std::string kernel = kernel::verifier_log(BPF_PROG_TYPE_XDP, program.insns());
        const std::string ours = our_log(program.insns(), maps);
        refused += accepted(last_words(kernel)) ? 0 : 1;
        const std::string what = difference(kernel, ours, compared);
        if (what.empty()) continue;
        ++failures;
        ADD_FAILURE() << "seed " << seed + i << "\n" << what << "\n" << kernel << "ours:\n" << ours;
    }
    EXPECT_GT(compared, count * 10);
    // Both verdicts, in numbers.
    EXPECT_GT(refused, count / 10);
    EXPECT_LT(refused, count * 9 / 10);
}

} // namespace
} // namespace xdplane::test
