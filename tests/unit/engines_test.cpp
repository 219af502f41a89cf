// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <cstdlib>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <random>

#include "bpf/isa/assembler.h"
#include "bpf/jit/jit.h"
#include "bpf/jit/x86_64.h"
#include "tests/support/engines.h"
#include "tests/support/unverified_program.h"

/// What every engine owes its callers: entries, helpers and sub-programs. And random programs, on which every
/// engine and every way of encoding them must agree.
namespace xdplane {
namespace {

u64 sum_of_digits(u64 a, u64 b, u64 c, u64 d, u64 e) noexcept {
    return a + b * 10 + c * 100 + d * 1000 + e * 10000;
}
/// 1 if this thread's context holds the packet, the stack is aligned and nothing of the last run is left.
u64 check_context(u64 packet, u64, u64, u64, u64) noexcept {
    const bool aligned = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)) % 16 == 0;
    const bool fresh = t_run.random_calls++ == 0;
    return reinterpret_cast<u64>(t_run.packet) == packet && aligned && fresh ? 1 : 0;
}
u64 is_aligned(u64, u64, u64, u64, u64) noexcept {
    return reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)) % 16 == 0 ? 1 : 0;
}

const HelperProto* helpers(u32 id) {
    static const HelperProto kDigits = {
        .id = 100, .name = "digits", .fn = sum_of_digits, .ret = Ret::integer, .args = {}};
    static const HelperProto kContext = {.id = 101,
                                         .name = "context",
                                         .fn = check_context,
                                         .ret = Ret::integer,
                                         .args = {},
                                         .needs_context = true};
    static const HelperProto kAligned = {
        .id = 102, .name = "aligned", .fn = is_aligned, .ret = Ret::integer, .args = {}};
    for (const HelperProto* row : {&kDigits, &kContext, &kAligned})
        if (row->id == id) return row;
    return nullptr;
}

/// Every function uses `stack` bytes.
Result<LoweredProgram> lower_insns(std::vector<Insn> insns, u32 stack) {
    UnverifiedProgram::Options options{.helper = helpers};
    options.amend = [stack](auto, auto&, std::vector<FunctionFacts>& functions) {
        for (FunctionFacts& function : functions) function.stack_depth = stack;
    };
    Result<VerifiedProgram> program = UnverifiedProgram::make(std::move(insns), options);
    if (!program) return fail(program.error());
    return lower(*program);
}

class Engines : public testing::TestWithParam<TestEngine> {
protected:
    std::unique_ptr<Executable> load(std::string_view text, u32 stack = kStackSize) {
        Result<std::vector<Insn>> insns = assemble(text);
        if (!insns) return failed(insns.error());
        Result<LoweredProgram> lowered = lower_insns(std::move(*insns), stack);
        if (!lowered) return failed(lowered.error());
        Result<std::unique_ptr<Executable>> executable = GetParam().make(std::move(*lowered));
        if (!executable) return failed(executable.error());
        return std::move(*executable);
    }
    u32 run(std::string_view text, u32 stack = kStackSize) {
        const std::unique_ptr<Executable> executable = load(text, stack);
        if (!executable) return ~0U;
        XdpBuff packet{};
        const u32 scalar = executable->entry.run(&executable->entry, &packet, &t_run);
        executable->entry.run_burst(&executable->entry, &packet, 1, &t_run);
        EXPECT_EQ(packet.verdict, scalar);
        return scalar;
    }

private:
    static std::unique_ptr<Executable> failed(const Error& error) {
        ADD_FAILURE() << error.message;
        return nullptr;
    }
};

INSTANTIATE_TEST_SUITE_P(, Engines, testing::ValuesIn(test_engines().begin(), test_engines().end()),
                         [](const auto& param) { return std::string(param.param.name); });

TEST_P(Engines, HelpersGetFiveArguments) {
    EXPECT_EQ(run("r1 = 1\nr2 = 2\nr3 = 3\nr4 = 4\nr5 = 5\ncall #100\nexit"), 54321U);
}

TEST_P(Engines, HelpersKeepSavedRegistersAndTheStack) {
    EXPECT_EQ(run(R"(
        r6 = 1
        r7 = 2
        r8 = 4
        r9 = 8
        *(u64 *)(r10 -8) = 16
        r1 = 0
        r2 = 0
        r3 = 0
        r4 = 0
        r5 = 0
        call #100
        r0 += r6
        r0 += r7
        r0 += r8
        r0 += r9
        r1 = *(u64 *)(r10 -8)
        r0 += r1
        exit)"),
              31U);
}

TEST_P(Engines, EachPacketOfABurstHasItsOwnContext) {
    // The loop of the burst entry keeps its place whichever registers the program uses.
    for (const char* uses :
         {"", "r6 = 1\n", "r9 = 1\n", "r7 = 1\nr8 = 1\nr9 = 1\n", "r6 = 1\nr7 = 1\nr8 = 1\nr9 = 1\n"}) {
        const std::unique_ptr<Executable> executable = load(std::string(uses) + "call #101\nexit");
        ASSERT_TRUE(executable);
        std::vector<XdpBuff> packets(kBurst + 1);
        executable->entry.run_burst(&executable->entry, packets.data(), kBurst, &t_run);
        for (u32 i = 0; i < kBurst; ++i) EXPECT_EQ(packets[i].verdict, 1U) << i << ' ' << uses;
        EXPECT_EQ(packets[kBurst].verdict, 0U) << "ran past the burst";
    }
}

TEST_P(Engines, AnEmptyBurstRunsNothing) {
    const std::unique_ptr<Executable> executable = load("r0 = 1\nexit");
    ASSERT_TRUE(executable);
    XdpBuff packet{};
    executable->entry.run_burst(&executable->entry, &packet, 0, &t_run);
    EXPECT_EQ(packet.verdict, 0U);
}

TEST_P(Engines, StacksAreAlignedAtEveryCall) {
    for (const u32 stack : {0U, 8U, 16U, 24U, 512U}) {
        EXPECT_EQ(run("call #102\nexit", stack), 1U) << stack;
        for (const char* uses : {"", "r6 = 1\n", "r6 = 1\nr7 = 1\n", "r6 = 1\nr7 = 1\nr8 = 1\n"})
            EXPECT_EQ(run(fmt::format("call f\nexit\nf:\n{}call #102\nexit", uses), stack), 1U)
                << stack << ' ' << uses;
    }
}

TEST_P(Engines, TheResultIs32Bits) { EXPECT_EQ(run("r0 = 0x1122334455667788 ll\nexit"), 0x55667788U); }

TEST_P(Engines, ManyInsnsRunAsWellAsFew) {
    std::vector<Insn> insns = {encode(Op::mov64_imm, R0, 0, 0, 0), encode(Op::mov64_imm, R1, 0, 0, 3)};
    for (u32 i = 0; i < 100'000; ++i) insns.push_back(encode(Op::add64_reg, R0, R1, 0, 0));
    // A long way back, once.
    insns.push_back(encode(Op::jgt64_imm, R0, 0, 2, 300'000));
    insns.push_back(encode(Op::mov64_imm, R1, 0, 0, 1));
    insns.push_back(encode(Op::ja32, 0, 0, 0, -100'003));
    insns.push_back(encode(Op::exit, 0, 0, 0, 0));
    Result<LoweredProgram> lowered = lower_insns(std::move(insns), 0);
    ASSERT_TRUE(lowered) << lowered.error().message;
    const Result<std::unique_ptr<Executable>> executable = GetParam().make(std::move(*lowered));
    ASSERT_TRUE(executable) << executable.error().message;
    XdpBuff packet{};
    EXPECT_EQ((*executable)->entry.run(&(*executable)->entry, &packet, &t_run), 400'000U);
}

// --- the entries and the machine's calling convention ---

#if defined(__x86_64__)
/// Calls function(a, b, c, d) with a mark in each register that functions preserve; 0 if all of them are
/// still there afterwards and the direction flag is clear.
extern "C" u64 xdplane_test_call_with_marks(const void* function, u64 a, u64 b, u64 c, u64 d);
asm(R"(
    .pushsection .text
    .globl xdplane_test_call_with_marks
    .type xdplane_test_call_with_marks, @function
xdplane_test_call_with_marks:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    subq $8, %rsp
    movq %rdi, %rax
    movq %rsi, %rdi
    movq %rdx, %rsi
    movq %rcx, %rdx
    movq %r8, %rcx
    movq $0x11, %rbx
    movq $0x22, %rbp
    movq $0x33, %r12
    movq $0x44, %r13
    movq $0x55, %r14
    movq $0x66, %r15
    callq *%rax
    xorq $0x11, %rbx
    xorq $0x22, %rbp
    xorq $0x33, %r12
    xorq $0x44, %r13
    xorq $0x55, %r14
    xorq $0x66, %r15
    movq %rbx, %rax
    orq %rbp, %rax
    orq %r12, %rax
    orq %r13, %rax
    orq %r14, %rax
    orq %r15, %rax
    addq $8, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret
    .size xdplane_test_call_with_marks, . - xdplane_test_call_with_marks
    .popsection
)");

TEST_P(Engines, EntriesKeepTheCallersRegisters) {
    const char* programs[] = {
        "r0 = 1\nexit",
        "r6 = 1\nr0 = 1\nexit",
        "r6 = 1\nr7 = 1\nr8 = 1\nr9 = 1\n*(u64 *)(r10 -8) = 1\nr0 = 1\nexit",
        "call #101\nexit",
        "call f\nexit\nf:\nr6 = 1\nr9 = 1\n*(u64 *)(r10 -8) = 1\ncall #102\nexit",
    };
    for (const char* text : programs) {
        const std::unique_ptr<Executable> executable = load(text, 8);
        ASSERT_TRUE(executable);
        const Entry* entry = &executable->entry;
        std::vector<XdpBuff> packets(3);
        const auto bits = [](const void* pointer) { return reinterpret_cast<u64>(pointer); };
        EXPECT_EQ(xdplane_test_call_with_marks(reinterpret_cast<const void*>(entry->run), bits(entry),
                                               bits(packets.data()), bits(&t_run), 0),
                  0U)
            << text;
        EXPECT_EQ(xdplane_test_call_with_marks(reinterpret_cast<const void*>(entry->run_burst), bits(entry),
                                               bits(packets.data()), packets.size(), bits(&t_run)),
                  0U)
            << text;
        for (const XdpBuff& packet : packets) EXPECT_EQ(packet.verdict, 1U) << text;
    }
}
#endif

// --- random programs ---

/// Straight code with forward jumps over all registers and 64 bytes of stack, which it leaves in memory.
class RandomProgram {
public:
    explicit RandomProgram(u64 seed) : random_(seed) {}

    static constexpr u32 kWords = 18; ///< of results: r0-r9, then the stack

    std::vector<Insn> make() {
        add(encode(Op::stx64, R10, R1, kMemoryAt, 0));
        for (i16 word = 1; word <= 8; ++word) {
            load_constant(R0);
            add(encode(Op::stx64, R10, R0, static_cast<i16>(-8 * word), 0));
        }
        for (u8 reg = R0; reg < R10; ++reg) load_constant(reg);
        const u32 body = 10 + below(60);
        for (u32 i = 0; i < body; ++i) random_insn(body - i);
        // Registers first, through the stack: the address needs one of them.
        for (u8 reg = R0; reg < R10; ++reg)
            add(encode(Op::stx64, R10, reg, static_cast<i16>(-168 + 8 * reg), 0));
        add(encode(Op::ldx64, R1, R10, kMemoryAt, 0));
        for (u32 word = 0; word < kWords; ++word) {
            const i16 from = static_cast<i16>(word < 10 ? -168 + 8 * static_cast<i32>(word)
                                                        : -64 + 8 * static_cast<i32>(word - 10));
            add(encode(Op::ldx64, R2, R10, from, 0));
            add(encode(Op::stx64, R1, R2, static_cast<i16>(8 * word), 0));
        }
        add(encode(Op::mov64_imm, R0, 0, 0, 0));
        add(encode(Op::exit, 0, 0, 0, 0));
        return std::move(insns_);
    }

private:
    static constexpr i16 kMemoryAt = -72;

    u32 below(u32 limit) { return static_cast<u32>(random_() % limit); }
    u8 reg() { return static_cast<u8>(below(10)); }
    void add(const Insn& insn) { insns_.push_back(insn); }

    /// Numbers at which operations change their minds, and others.
    u64 number() {
        constexpr u64 kEdges[] = {0,
                                  1,
                                  2,
                                  ~0ULL,
                                  ~1ULL,
                                  31,
                                  32,
                                  63,
                                  64,
                                  0x7fffffff,
                                  0x80000000,
                                  0xffffffff,
                                  0xffffffff80000000,
                                  0x8000000000000000,
                                  0x7fffffffffffffff};
        return below(2) == 0 ? kEdges[below(std::size(kEdges))] : random_();
    }

    void load_constant(u8 dst) {
        const u64 value = number();
        add(encode(Op::ld_imm64, dst, 0, 0, static_cast<i32>(value)));
        add({0, 0, 0, 0, static_cast<i32>(value >> 32)});
    }

    void random_insn(u32 left) {
        for (;;) {
            const OpcodeInfo& row = kOpcodes[below(kOps)];
            const i32 imm = static_cast<i32>(number());
            const u32 bytes = row.width / 8U;
            // Aligned within the stack that is compared.
            const i16 off =
                static_cast<i16>(-64 + static_cast<i32>(bytes > 0 ? below(64 / bytes) * bytes : 0));
            const u8 src = row.operand == Operand::reg || row.operand == Operand::fetch ? reg() : u8{0};
            switch (row.kind) {
            case OpKind::alu:
            case OpKind::endian: add(encode(row.op, reg(), src, 0, imm)); return;
            case OpKind::ldx: add(encode(row.op, reg(), R10, off, 0)); return;
            case OpKind::st:
            case OpKind::stx:
            case OpKind::atomic: add(encode(row.op, R10, src, off, imm)); return;
            case OpKind::jump:
                add(encode(row.op, reg(), src, static_cast<i16>(below(std::min(left, 4U))), imm));
                return;
            default: break; // what only makes sense in its place
            }
        }
    }

    std::mt19937_64 random_;
    std::vector<Insn> insns_;
};

Result<> run_entry(const Entry& entry) {
    XdpBuff packet{};
    (void)entry.run(&entry, &packet, &t_run);
    return {};
}

/// Runs code made for these features.
Result<> run_jit(const LoweredProgram& program, bool bmi2) {
    x86_64::Features features;
    features.bmi2 = bmi2;
    const Result<MachineCode> code = x86_64::compile(program, features);
    if (!code) return fail(code.error());
    const Result<CodeMemory> memory = CodeMemory::seal(*code);
    if (!memory) return fail(memory.error());
    Entry entry;
    u8* const base = const_cast<u8*>(memory->bytes().data()); // function pointers are not const
    entry.run = reinterpret_cast<decltype(entry.run)>(base + code->run_offset);
    return run_entry(entry);
}

TEST(RandomPrograms, EnginesAndEncodingsAgree) {
    const char* const chosen = std::getenv("XDPLANE_SEED");
    const u64 first = chosen != nullptr ? std::strtoull(chosen, nullptr, 0) : 1;
    const u64 count = chosen != nullptr ? 1 : 3000;
    for (u64 seed = first; seed < first + count; ++seed) {
        std::vector<u64> memory(RandomProgram::kWords);
        u64 unused = 0;
        const std::vector<Insn> body = RandomProgram(seed).make();
        const Result<LoweredProgram> program = lower_insns(
            UnverifiedProgram::with_memory(body, memory.data(), 8 * RandomProgram::kWords, &unused),
            kStackSize);
        ASSERT_TRUE(program) << program.error().message;
        const Result<std::unique_ptr<Executable>> reference = test_engines()[0].make(*program);
        ASSERT_TRUE(reference);
        ASSERT_TRUE(run_entry((*reference)->entry));
        const std::vector<u64> expected = memory;
#if defined(__x86_64__)
        for (const bool bmi2 : {false, true}) {
            if (bmi2 && __builtin_cpu_supports("bmi2") == 0) continue;
            std::ranges::fill(memory, 0);
            const Result<> done = run_jit(*program, bmi2);
            ASSERT_TRUE(done) << done.error().message;
            ASSERT_EQ(memory, expected) << "XDPLANE_SEED=" << seed << " bmi2 " << bmi2 << '\n'
                                        << program->disassemble();
        }
#endif
    }
}

} // namespace
} // namespace xdplane
