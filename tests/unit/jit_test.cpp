// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/jit/jit.h"

#include <cstring>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>

#include "bpf/isa/assembler.h"
#include "bpf/jit/disassemble.h"
#include "bpf/jit/x86_64.h"
#include "tests/support/unverified_program.h"

/// What the JIT emits and where it puts it. That it computes what the other engines compute is shown by
/// tests/isa and by engines_test.
namespace xdplane {
namespace {

x86_64::Features with_bmi2(bool bmi2) {
    x86_64::Features features;
    features.bmi2 = bmi2;
    return features;
}

LoweredProgram lowered(std::string_view text) {
    Result<std::vector<Insn>> insns = assemble(text);
    if (!insns) throw std::runtime_error(insns.error().message);
    Result<VerifiedProgram> program = UnverifiedProgram::make(std::move(*insns));
    if (!program) throw std::runtime_error(program.error().message);
    Result<LoweredProgram> result = lower(*program);
    if (!result) throw std::runtime_error(result.error().message);
    return std::move(*result);
}

/// Reads every register, so that none is written in vain, nor the stack.
constexpr const char* kReadAll = "\nr0 += r1\nr0 += r2\nr0 += r3\nr0 += r4\nr0 += r5\nr0 += r6\nr0 += r7\n"
                                 "r0 += r8\nr0 += r9\nr0 += r10\nexit";

/// "name operands; name operands": the code of the first lowered insn.
std::string first_insn(std::string_view text, x86_64::Features features) {
    const Result<MachineCode> code = x86_64::compile(lowered(text), features);
    if (!code) return code.error().message;
    const std::span<const u8> bytes(code->bytes);
    const Result<std::string> listing = disassemble_machine_code(
        bytes.subspan(code->offsets[0], code->offsets[1] - code->offsets[0]), code->offsets[0]);
    if (!listing) return listing.error().message;
    std::string out;
    std::istringstream lines(*listing);
    for (std::string line; std::getline(lines, line);) {
        if (!out.empty()) out += "; ";
        // Behind the address and the column of bytes.
        out += line.substr(std::string_view("       0: ").size() + 30);
    }
    return out;
}

// --- golden encodings ---

struct Encoding {
    const char* bpf;
    const char* x86;
    bool bmi2 = true;
};

constexpr Encoding kEncodings[] = {
    {"r1 += r2", "add rdi, rsi"},
    {"w6 -= 7", "sub ebx, 7"},
    {"r1 &= -16", "and rdi, 0xfffffffffffffff0"},
    {"w7 |= w8", "or r13d, r14d"},
    {"r9 ^= -1", "xor r15, 0xffffffffffffffff"},
    {"r3 *= r4", "imul rdx, rcx"},
    {"w3 *= 10", "imul edx, edx, 0xa"},
    {"r5 = r0", "mov r8, rax"},
    {"w5 = w5", "mov r8d, r8d"},
    {"r5 = 0", "xor r8d, r8d"},
    {"r5 = 5", "mov r8d, 5"},
    {"r5 = -5", "mov r8, -5"},
    {"w5 = -5", "mov r8d, 0xfffffffb"},
    {"r1 = 0x80000000 ll", "mov edi, 0x80000000"},
    {"r1 = 0x1122334455667788 ll", "movabs rdi, 0x1122334455667788"},
    {"r1 = (s8)r2", "movsx rdi, sil"},
    {"w1 = (s16)w2", "movsx edi, si"},
    {"r1 = (s32)r2", "movsxd rdi, esi"},
    {"r1 = -r1", "neg rdi"},
    {"r1 <<= 3", "shl rdi, 3"},
    {"w1 s>>= 35", "sar edi, 3"},
    {"w1 >>= 32", "mov edi, edi"},
    {"r1 >>= 64", ""},
    {"r1 <<= r2", "shlx rdi, rdi, rsi"},
    {"w1 s>>= w4", "sarx edi, edi, ecx"},
    {"r1 <<= r2", "mov r9, rcx; mov ecx, esi; shl rdi, cl; mov rcx, r9", false},
    {"r1 <<= r4", "shl rdi, cl", false},
    {"r4 >>= r1", "mov r9, rcx; mov ecx, edi; shr r9, cl; mov rcx, r9", false},
    {"r4 >>= r4", "shr rcx, cl", false},
    {"r1 /= 8", "shr rdi, 3"},
    {"w1 %= 8", "and edi, 7"},
    {"r1 %= 1", "xor edi, edi"},
    {"w1 /= 1", "mov edi, edi"},
    {"r1 /= 0", "xor edi, edi"},
    {"r1 %= 0", ""},
    {"w1 %= 0", "mov edi, edi"},
    {"r1 s/= -1", "neg rdi"},
    {"r1 s%= -1", "xor edi, edi"},
    {"r0 /= 10", "mov r9d, 0xa; mov r11, rdx; xor edx, edx; div r9; mov rdx, r11"},
    {"r3 %= 10", "mov r9d, 0xa; mov r10, rax; mov rax, rdx; xor edx, edx; div r9; mov rax, r10"},
    {"w1 s/= 10",
     "mov r9d, 0xa; mov r10, rax; mov eax, edi; mov r11, rdx; cdq; idiv r9d; mov edi, eax; mov rax, r10; "
     "mov rdx, r11"},
    {"r1 = be16 r1", "rol di, 8; movzx edi, di"},
    {"r1 = le16 r1", "movzx edi, di"},
    {"r1 = be32 r1", "bswap edi"},
    {"r1 = le32 r1", "mov edi, edi"},
    {"r1 = be64 r1", "bswap rdi"},
    {"r1 = le64 r1", ""},
    {"r0 = *(u8 *)(r1 + 23)", "movzx eax, byte ptr [rdi + 0x17]"},
    {"r7 = *(u16 *)(r10 - 2)", "movzx r13d, word ptr [rbp - 2]"},
    {"r0 = *(u32 *)(r7 + 0)", "mov eax, dword ptr [r13]"},
    {"r0 = *(u64 *)(r1 + 0x100)", "mov rax, qword ptr [rdi + 0x100]"},
    {"r0 = *(s8 *)(r1 + 0)", "movsx rax, byte ptr [rdi]"},
    {"r0 = *(s32 *)(r1 + 0)", "movsxd rax, dword ptr [rdi]"},
    {"*(u8 *)(r1 + 0) = 255", "mov byte ptr [rdi], 0xff"},
    {"*(u64 *)(r10 - 8) = -1", "mov qword ptr [rbp - 8], -1"},
    {"*(u8 *)(r10 - 1) = r1", "mov byte ptr [rbp - 1], dil"},
    {"*(u16 *)(r2 + 4) = r3", "mov word ptr [rsi + 4], dx"},
    {"lock *(u64 *)(r1 + 8) += r2", "lock add qword ptr [rdi + 8], rsi"},
    {"lock *(u32 *)(r1 + 8) ^= r2", "lock xor dword ptr [rdi + 8], esi"},
    {"r2 = atomic64_fetch_add((u64 *)(r1 + 0), r2)", "lock xadd qword ptr [rdi], rsi"},
    {"r2 = atomic_xchg((u32 *)(r1 + 0), r2)", "xchg dword ptr [rdi], esi"},
    {"r0 = atomic64_cmpxchg((u64 *)(r1 + 0), r0, r2)", "lock cmpxchg qword ptr [rdi], rsi"},
    {"r0 = atomic_cmpxchg((u32 *)(r1 + 0), r0, r2)", "lock cmpxchg dword ptr [rdi], esi; mov eax, eax"},
};

TEST(JitEncoding, RepresentativeInsns) {
    for (const Encoding& encoding : kEncodings)
        EXPECT_EQ(first_insn(std::string(encoding.bpf) + kReadAll, with_bmi2(encoding.bmi2)), encoding.x86)
            << encoding.bpf;
}

TEST(JitEncoding, ComparisonsWithZeroTest) {
    const std::string code = first_insn("if r1 s< 0 goto out\nr0 *= 3\nout:\nexit", with_bmi2(true));
    EXPECT_EQ(code.substr(0, code.find(';')), "test rdi, rdi");
}

TEST(JitEncoding, CodeIsTheSameWhereverItLies) {
    const LoweredProgram program = lowered("r6 = 3\nagain:\nr6 -= 1\nif r6 != 0 goto again\ncall f\nexit\n"
                                           "f:\nr0 = 1\nexit");
    const Result<std::unique_ptr<Executable>> first = jit(program);
    const Result<std::unique_ptr<Executable>> second = jit(program);
    ASSERT_TRUE(first && second);
    const Entry& a = (*first)->entry;
    const Entry& b = (*second)->entry;
    EXPECT_NE(a.tail_entry, b.tail_entry);
    EXPECT_EQ(std::memcmp(a.tail_entry, b.tail_entry, 32), 0);
    XdpBuff packet{};
    EXPECT_EQ(a.run(&a, &packet, &t_run), 1U);
    EXPECT_EQ(b.run(&b, &packet, &t_run), 1U);
}

TEST(JitEncoding, OffsetsNameEveryInsnInOrder) {
    const LoweredProgram program = lowered("r0 = 1\nr0 += r0\nr1 = 0x1122334455667788 ll\nr0 += r1\nexit");
    const Result<MachineCode> code = x86_64::compile(program);
    ASSERT_TRUE(code);
    ASSERT_EQ(code->offsets.size(), program.insns().size());
    EXPECT_GE(code->offsets[0], code->tail_offset);
    for (std::size_t i = 1; i < code->offsets.size(); ++i) EXPECT_GT(code->offsets[i], code->offsets[i - 1]);
    EXPECT_LT(code->offsets.back(), code->bytes.size());
}

// --- several insns as one ---

/// "name operands; name operands": the code of the main body that is called, up to its last return.
std::string main_body(std::string_view text) {
    const Result<MachineCode> code = x86_64::compile(lowered(text), with_bmi2(true));
    if (!code) return code.error().message;
    const std::span<const u8> bytes(code->bytes);
    const Result<std::string> listing =
        disassemble_machine_code(bytes.subspan(code->offsets[0]), code->offsets[0]);
    if (!listing) return listing.error().message;
    std::string out;
    std::istringstream lines(*listing);
    for (std::string line; std::getline(lines, line);) {
        line = line.substr(std::string_view("       0: ").size() + 30);
        if (line.starts_with("add rsp")) continue; // the frame, which depends on nothing here
        // Where a jump goes to says nothing.
        if (line[0] == 'j') line = line.substr(0, line.find(' '));
        if (!out.empty()) out += "; ";
        out += line;
    }
    return out;
}

struct Fusion {
    const char* bpf;
    const char* x86;
};

constexpr Fusion kFusions[] = {
    // Nobody reads it, nor what it was made of.
    {"r1 = r2\nr1 += 5\nr0 = 1\nexit", "mov eax, 1; ret"},
    {"r0 = *(u32 *)(r1 +0)\nr0 = 1\nexit", "mov eax, 1; ret"},
    // A choice between values.
    {"r0 = 1\nif r1 == 6 goto end\nr0 = 2\nend:\nexit",
     "mov eax, 1; mov r9d, 2; cmp rdi, 6; cmovne rax, r9; ret"},
    {"r0 = r3\nif r1 == 0 goto end\nr0 = r2\nend:\nexit",
     "mov rax, rdx; test rdi, rdi; cmovne rax, rsi; ret"},
    {"r0 = r3\nif w1 > w2 goto end\nw0 = w2\nend:\nexit",
     "mov rax, rdx; cmp edi, esi; mov r9d, esi; cmovbe rax, r9; ret"},
    {"r0 = r3\nif r1 & 8 goto end\nr0 += 4\nend:\nexit",
     "mov rax, rdx; test rdi, 8; lea r9, [rax + 4]; cmove rax, r9; ret"},
    // With a jump out.
    {"r0 = r3\nif r1 == 6 goto end\nif r1 != 17 goto out\nr0 = 8\nend:\nr0 += r2\nexit\n"
     "out:\nr0 = r4\nexit",
     "mov rax, rdx; mov r9d, 8; mov r10d, 0x11; cmp rdi, 6; cmovne rax, r9; mov r11, rdi; cmovne r11, r10; "
     "cmp rdi, r11; jne; add rax, rsi; ret; mov rax, rcx; ret"},
    {"r0 = r3\nif r1 == 6 goto end\nif r1 == 17 goto out\nr0 = 8\nend:\nr0 += r2\nexit\n"
     "out:\nr0 = r4\nexit",
     "mov rax, rdx; mov r9d, 8; cmp rdi, 6; cmovne rax, r9; setne r9b; cmp rdi, 0x11; sete r10b; "
     "test r9b, r10b; jne; add rax, rsi; ret; mov rax, rcx; ret"},
    // Not if it says whether to jump out, or is read there.
    {"r0 = r3\nif r1 == 6 goto end\nif r0 != 17 goto out\nr0 = 8\nend:\nr0 += r2\nexit\n"
     "out:\nr0 = r4\nexit",
     "mov rax, rdx; cmp rdi, 6; je; cmp rax, 0x11; jne; mov eax, 8; add rax, rsi; ret; mov rax, rcx; ret"},
    {"r0 = r3\nif r1 == 6 goto end\nif r1 != 17 goto out\nr0 = 8\nend:\nr0 += r2\nexit\n"
     "out:\nr0 += r4\nexit",
     "mov rax, rdx; cmp rdi, 6; je; cmp rdi, 0x11; jne; mov eax, 8; add rax, rsi; ret; add rax, rcx; ret"},
    // Nor if somebody else jumps to the moves.
    {"r0 = r3\nif r2 == 1 goto move\nif r1 == 6 goto end\nmove:\nr0 = 2\nend:\nexit",
     "mov rax, rdx; cmp rsi, 1; je; cmp rdi, 6; je; mov eax, 2; ret"},
    // A constant that is read only where a jump goes to.
    {"r0 = 1\nif r1 > r2 goto out\nr0 = r3\nout:\nr0 += r4\nexit",
     "mov eax, 1; cmp rdi, rsi; cmovbe rax, rdx; add rax, rcx; ret"},
    {"r0 = 1\nif r1 > r2 goto out\nr0 = r3\nr0 *= r4\nout:\nexit",
     "cmp rdi, rsi; ja; mov rax, rdx; imul rax, rcx; ret; mov eax, 1; ret"},
    {"r0 = 1\nif r1 > r2 goto out\nif r1 > r3 goto out\nr0 = r3\nr0 *= r4\nout:\nr0 *= r4\nexit",
     "cmp rdi, rsi; ja; cmp rdi, rdx; ja; mov rax, rdx; imul rax, rcx; imul rax, rcx; ret; "
     "mov eax, 1; jmp"},
    // Not behind a jump back, nor if the other way reads it too.
    {"r0 = 1\nif r1 > r2 goto out\nr0 *= r4\nout:\nexit", "mov eax, 1; cmp rdi, rsi; ja; imul rax, rcx; ret"},
    {"again:\nr3 *= r0\nr0 = 1\nif r3 > r2 goto again\nr0 = r3\nexit",
     "imul rdx, rax; mov eax, 1; cmp rdx, rsi; ja; mov rax, rdx; ret"},
    // A mask and a comparison with 0.
    {"r0 = r2\nr1 &= 4\nif r1 != 0 goto out\nr0 *= r3\nout:\nexit",
     "mov rax, rsi; test rdi, 4; jne; imul rax, rdx; ret"},
    {"r0 = r1\nw0 &= 4\nif w0 == 0 goto out\nr0 *= r3\nout:\nexit",
     "mov rax, rdi; and eax, 4; je; imul rax, rdx; ret"},
    {"r0 = r1\nr0 &= -4\nif w0 == 0 goto out\nr0 *= r3\nout:\nexit",
     "mov rax, rdi; and rax, 0xfffffffffffffffc; test eax, eax; je; imul rax, rdx; ret"},
    // What is changed where it lies.
    {"r0 = 0\nr2 = *(u64 *)(r1 +8)\nr2 += 1\n*(u64 *)(r1 +8) = r2\nexit",
     "xor eax, eax; add qword ptr [rdi + 8], 1; ret"},
    {"r0 = 0\nr2 = *(u16 *)(r1 +0)\nw2 &= 0xfff0\n*(u16 *)(r1 +0) = r2\nexit",
     "xor eax, eax; and word ptr [rdi], 0xfff0; ret"},
    {"r0 = 0\nr2 = *(u32 *)(r1 -4)\nr2 -= r3\n*(u32 *)(r1 -4) = r2\nexit",
     "xor eax, eax; sub dword ptr [rdi - 4], edx; ret"},
    {"r0 = 0\nr2 = *(u64 *)(r1 +8)\nr3 += r2\n*(u64 *)(r1 +8) = r3\nexit",
     "xor eax, eax; add qword ptr [rdi + 8], rdx; ret"},
    // Not if the result is read, another place is written, or more bits than were computed.
    {"r0 = *(u64 *)(r1 +8)\nr0 += 1\n*(u64 *)(r1 +8) = r0\nexit",
     "mov rax, qword ptr [rdi + 8]; add rax, 1; mov qword ptr [rdi + 8], rax; ret"},
    {"r0 = 0\nr2 = *(u64 *)(r1 +8)\nr2 += 1\n*(u64 *)(r1 +16) = r2\nexit",
     "xor eax, eax; mov rsi, qword ptr [rdi + 8]; add rsi, 1; mov qword ptr [rdi + 0x10], rsi; ret"},
    {"r0 = 0\nr2 = *(u64 *)(r1 +8)\nw2 += 1\n*(u64 *)(r1 +8) = r2\nexit",
     "xor eax, eax; mov rsi, qword ptr [rdi + 8]; add esi, 1; mov qword ptr [rdi + 8], rsi; ret"},
    {"r0 = 0\nr2 = *(u64 *)(r1 +8)\nr3 -= r2\n*(u64 *)(r1 +8) = r3\nexit",
     "xor eax, eax; mov rsi, qword ptr [rdi + 8]; sub rdx, rsi; mov qword ptr [rdi + 8], rdx; ret"},
    {"r0 = 0\nr1 = *(u64 *)(r1 +8)\nr1 += 1\n*(u64 *)(r1 +8) = r1\nexit",
     "xor eax, eax; mov rdi, qword ptr [rdi + 8]; add rdi, 1; mov qword ptr [rdi + 8], rdi; ret"},
};

TEST(JitFusion, SeveralInsnsAreOne) {
    for (const Fusion& fusion : kFusions) EXPECT_EQ(main_body(fusion.bpf), fusion.x86) << fusion.bpf;
}

// --- backends ---

TEST(JitBackends, RowsAreCompleteAndOneIsTheHosts) {
    u32 hosts = 0;
    for (const JitBackend& backend : jit_backends()) {
        EXPECT_FALSE(backend.name.empty());
        EXPECT_NE(backend.compile, nullptr);
        hosts += backend.host ? 1 : 0;
    }
    EXPECT_LE(hosts, 1U);
    EXPECT_EQ(host_backend() != nullptr, hosts == 1);
}

// --- code memory ---

/// The permissions, "r-xp", of the mapping that holds the address; empty if there is none. Fails the test if
/// any mapping of the process is writable and executable.
std::string permissions_at(const void* address) {
    std::ifstream maps("/proc/self/maps");
    const auto wanted = reinterpret_cast<std::uintptr_t>(address);
    std::string found;
    for (std::string line; std::getline(maps, line);) {
        std::uintptr_t begin = 0;
        std::uintptr_t end = 0;
        char permissions[5] = {};
        if (std::sscanf(line.c_str(), "%zx-%zx %4s", &begin, &end, permissions) != 3) continue;
        EXPECT_FALSE(permissions[1] == 'w' && permissions[2] == 'x') << line;
        if (wanted >= begin && wanted < end) found = permissions;
    }
    return found;
}

TEST(CodeMemory, IsReadAndExecuteAndGoesWithItsOwner) {
    MachineCode code;
    code.bytes.assign(5000, 0xc3);
    const u8* address = nullptr;
    {
        const Result<CodeMemory> memory = CodeMemory::seal(code);
        ASSERT_TRUE(memory) << memory.error().message;
        address = memory->bytes().data();
        ASSERT_EQ(memory->bytes().size(), code.bytes.size());
        EXPECT_EQ(std::memcmp(address, code.bytes.data(), code.bytes.size()), 0);
        EXPECT_EQ(permissions_at(address), "r-xp");
        EXPECT_EQ(permissions_at(address + 4999), "r-xp");
    }
    EXPECT_NE(permissions_at(address).substr(0, 3), "r-x");
}

TEST(CodeMemory, RefusesNothing) { EXPECT_FALSE(CodeMemory::seal(MachineCode{})); }

TEST(CodeMemoryDeathTest, WritingTraps) {
    MachineCode code;
    code.bytes.assign(16, 0xc3);
    const Result<CodeMemory> memory = CodeMemory::seal(code);
    ASSERT_TRUE(memory);
    EXPECT_DEATH(*const_cast<volatile u8*>(memory->bytes().data()) = 0x90, "");
}

TEST(CodeMemory, ProgramsRunFromSealedMemory) {
    std::vector<u8> jited;
    const Result<std::unique_ptr<Executable>> executable = jit(lowered("r0 = 7\nexit"), &jited);
    ASSERT_TRUE(executable) << executable.error().message;
    const Entry& entry = (*executable)->entry;
    EXPECT_EQ(permissions_at(entry.tail_entry), "r-xp");
    EXPECT_FALSE(jited.empty());
    XdpBuff packet{};
    EXPECT_EQ(entry.run(&entry, &packet, &t_run), 7U);
}

// --- disassembly ---

TEST(DisassembleMachineCode, ShowsAddressBytesAndName) {
    const std::vector<u8> code = {0x48, 0x89, 0xf8, 0xc3};
    EXPECT_EQ(disassemble_machine_code(code, 0x1000).value(),
              "    1000: 48 89 f8                      mov rax, rdi\n"
              "    1003: c3                            ret\n");
}

TEST(DisassembleMachineCode, ShowsWhatIsNoInstruction) {
    const std::vector<u8> code = {0x06, 0xc3};
    const std::string text = disassemble_machine_code(code, 0).value();
    EXPECT_NE(text.find(".byte"), std::string::npos) << text;
    EXPECT_NE(text.find("ret"), std::string::npos) << text;
    EXPECT_EQ(disassemble_machine_code({}, 0).value(), "");
}

// --- lookups and bursts ---

/// A program that looks up what `key` puts at r10 - 16, in a map of four entries.
Result<MachineCode> lookup_code(u32 type, u32 key_size, std::string_view key) {
    static const HelperProto kLookup = {.id = 1,
                                        .name = "map_lookup_elem",
                                        .fn = [](u64, u64, u64, u64, u64) noexcept { return u64{0}; },
                                        .ret = Ret::map_value_or_null,
                                        .args = {}};
    const Result<std::shared_ptr<Map>> map =
        create_map({.type = type, .key_size = key_size, .value_size = 8, .max_entries = 4});
    if (!map) return fail(map.error());
    Result<std::vector<Insn>> insns =
        assemble(fmt::format("{}\nr2 = r10\nr2 += -16\nr1 = map[fd:0]\ncall #1\nif r0 == 0 goto out\n"
                             "r0 = *(u64 *)(r0 +0)\nout:\nexit",
                             key));
    if (!insns) return fail(insns.error());
    const auto amend = [&](std::span<const Insn> all, std::vector<InsnFacts>& facts,
                           std::vector<FunctionFacts>&) {
        for (std::size_t i = 0; i < all.size(); ++i)
            if (facts[i].op == Op::call) facts[i].map = map->get();
    };
    const Result<VerifiedProgram> program = UnverifiedProgram::make(
        std::move(*insns), {.helper = [](u32) { return &kLookup; }, .maps = {*map}, .amend = amend});
    if (!program) return fail(program.error());
    const Result<LoweredProgram> lowered = lower(*program);
    if (!lowered) return fail(lowered.error());
    return x86_64::compile(*lowered, with_bmi2(true));
}

/// How often a line of the listing has `what` in it, from the burst entry on or from the main body on.
std::size_t lines_with(const Result<MachineCode>& code, std::string_view what, bool in_burst) {
    if (!code) throw std::runtime_error(code.error().message);
    const std::span<const u8> bytes(code->bytes);
    const std::span<const u8> part =
        in_burst ? bytes.subspan(code->run_burst_offset, code->tail_offset - code->run_burst_offset)
                 : bytes.subspan(code->tail_offset);
    const Result<std::string> listing = disassemble_machine_code(part, 0);
    if (!listing) throw std::runtime_error(listing.error().message);
    std::istringstream lines(*listing);
    std::size_t count = 0;
    for (std::string line; std::getline(lines, line);) count += line.find(what) != std::string::npos ? 1 : 0;
    return count;
}

TEST(JitLookups, AreCompiledForTheirMap) {
    constexpr const char* kKey = "*(u64 *)(r10 -16) = r7\n*(u64 *)(r10 -8) = r8";
    for (const u32 type : {BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_PERCPU_ARRAY, BPF_MAP_TYPE_HASH,
                           BPF_MAP_TYPE_PERCPU_HASH, BPF_MAP_TYPE_LRU_HASH, BPF_MAP_TYPE_LRU_PERCPU_HASH}) {
        const bool array = type == BPF_MAP_TYPE_ARRAY || type == BPF_MAP_TYPE_PERCPU_ARRAY;
        EXPECT_EQ(lines_with(lookup_code(type, array ? 4 : 16, kKey), "call ", false), 0U) << type;
    }
    // A key that is too long to be kept in registers.
    EXPECT_EQ(lines_with(lookup_code(BPF_MAP_TYPE_HASH, 48, "r0 = 0"), "call ", false), 1U);
}

TEST(JitLookups, AConstantIndexNeedsNoTest) {
    EXPECT_GT(lines_with(lookup_code(BPF_MAP_TYPE_ARRAY, 4, "*(u32 *)(r10 -16) = r7"), "cmp ", false), 0U);
    const auto constant = lookup_code(BPF_MAP_TYPE_ARRAY, 4, "*(u32 *)(r10 -16) = 3");
    EXPECT_EQ(lines_with(constant, "cmp ", false), 0U);
    EXPECT_EQ(lines_with(constant, "test ", false), 0U);
    EXPECT_EQ(lines_with(constant, "rbp - 0x10", false), 0U) << "nobody reads where it was stored";
    // An array's index is taken from whatever register still has it.
    for (const char* key : {"*(u32 *)(r10 -16) = r1", "*(u32 *)(r10 -16) = r3", "*(u32 *)(r10 -16) = r9"})
        EXPECT_EQ(lines_with(lookup_code(BPF_MAP_TYPE_ARRAY, 4, key), "rbp - 0x10", false), 0U) << key;
    // Out of range: there is nothing to find.
    const auto outside = lookup_code(BPF_MAP_TYPE_ARRAY, 4, "*(u32 *)(r10 -16) = 4");
    EXPECT_EQ(lines_with(outside, "xor eax, eax", false), 1U);
}

TEST(JitLookups, ReadKeysAsTheyWereStored) {
    const auto pieces = lookup_code(BPF_MAP_TYPE_HASH, 8, "*(u32 *)(r10 -16) = r3\n*(u32 *)(r10 -12) = r3");
    EXPECT_EQ(lines_with(pieces, "qword ptr [rbp", false), 0U);
    const auto whole = lookup_code(BPF_MAP_TYPE_HASH, 8, "*(u64 *)(r10 -16) = r3");
    EXPECT_EQ(lines_with(whole, "qword ptr [rbp - 0x10]", false), 2U) << "store and load";
}

/// The loop's own register stands in for r1, which is loaded only if the body needs it there.
TEST(JitBursts, ReadTheContextFromWhereTheLoopHasIt) {
    const auto in_place = x86_64::compile(lowered("r2 = *(u64 *)(r1 +8)\nr1 = *(u64 *)(r1 +0)\nr0 = r2\n"
                                                  "r0 -= r1\nexit"),
                                          with_bmi2(true));
    EXPECT_EQ(lines_with(in_place, "[rbx", true), 3U) << "two loads, and the verdict";
    EXPECT_EQ(lines_with(in_place, "mov rdi, qword ptr [rbx]", true), 1U);
    EXPECT_EQ(lines_with(in_place, "mov rbx, rdi", true), 0U);
    for (const char* const text :
         {"r0 = r1\nr0 *= r1\nexit", "if r2 == 0 goto out\nr1 = 0\nout:\nr0 = r1\nexit",
          "again:\nr2 = *(u64 *)(r1 +8)\nif r2 != 0 goto again\nr0 = 1\nexit"}) {
        const auto elsewhere = x86_64::compile(lowered(text), with_bmi2(true));
        EXPECT_EQ(lines_with(elsewhere, "mov rbx, rdi", true), 1U) << text;
    }
}

TEST(JitBursts, KeepConstantsInRegisters) {
    const auto code = x86_64::compile(lowered("r0 = 20\nif r1 == 6 goto end\nr0 = 1234\nend:\n"
                                              "if r1 == 7 goto out\nr0 = 1234\nout:\nexit"),
                                      with_bmi2(true));
    EXPECT_EQ(lines_with(code, "0x4d2", true), 1U);
    EXPECT_EQ(lines_with(code, "0x4d2", false), 2U) << "not where packets come one by one";
}

TEST(JitBursts, HaveTheBodyInTheirLoop) {
    const auto short_one = x86_64::compile(lowered("r6 = r1\nr0 = 2\nexit"), with_bmi2(true));
    EXPECT_EQ(lines_with(short_one, "call ", true), 0U);
    std::string text;
    for (u32 i = 0; i < 4096; ++i) text += "r0 += r1\n";
    const auto long_one = x86_64::compile(lowered(text + "exit"), with_bmi2(true));
    EXPECT_EQ(lines_with(long_one, "call ", true), 1U);
}

} // namespace
} // namespace xdplane
