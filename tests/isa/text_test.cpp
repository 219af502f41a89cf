// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <gtest/gtest.h>

#include "bpf/isa/assembler.h"
#include "bpf/isa/disassembler.h"

namespace xdplane {
namespace {

/// Text and instruction, both ways: Linux's words.
struct Golden {
    const char* text;
    Insn insn;
};

constexpr Golden kGolden[] = {
    {"r1 += 5", {0x07, 1, 0, 0, 5}},
    {"w9 *= -3", {0x24, 9, 0, 0, -3}},
    {"r1 s>>= r2", {0xcf, 1, 2, 0, 0}},
    {"w1 s/= w2", {0x3c, 1, 2, 1, 0}},
    {"r3 s%= 7", {0x97, 3, 0, 1, 7}},
    {"r3 %= 7", {0x97, 3, 0, 0, 7}},
    {"r10 = r1", {0xbf, 10, 1, 0, 0}},
    {"r1 = (s8)r2", {0xbf, 1, 2, 8, 0}},
    {"r1 = (s32)r2", {0xbf, 1, 2, 32, 0}},
    {"w1 = (s16)w2", {0xbc, 1, 2, 16, 0}},
    {"w4 = -w4", {0x84, 4, 0, 0, 0}},
    {"r0 = bswap16 r0", {0xd7, 0, 0, 0, 16}},
    {"r5 = be64 r5", {0xdc, 5, 0, 0, 64}},
    {"r5 = le32 r5", {0xd4, 5, 0, 0, 32}},
    {"r1 = *(u32 *)(r2 +16)", {0x61, 1, 2, 16, 0}},
    {"r1 = *(s8 *)(r2 -1)", {0x91, 1, 2, -1, 0}},
    {"*(u64 *)(r10 -8) = r1", {0x7b, 10, 1, -8, 0}},
    {"*(u8 *)(r10 +0) = -7", {0x72, 10, 0, 0, -7}},
    {"lock *(u64 *)(r10 -8) += r1", {0xdb, 10, 1, -8, 0}},
    {"lock *(u32 *)(r10 -8) ^= r1", {0xc3, 10, 1, -8, 0xa0}},
    {"r1 = atomic64_fetch_add((u64 *)(r10 -8), r1)", {0xdb, 10, 1, -8, 1}},
    {"r1 = atomic_fetch_or((u32 *)(r2 +4), r1)", {0xc3, 2, 1, 4, 0x41}},
    {"r1 = atomic64_xchg((u64 *)(r10 -8), r1)", {0xdb, 10, 1, -8, 0xe1}},
    {"r0 = atomic_cmpxchg((u32 *)(r10 -8), r0, r1)", {0xc3, 10, 1, -8, 0xf1}},
    {"r1 = load_acquire((u64 *)(r2 +8))", {0xdb, 1, 2, 8, 0x100}},
    {"r7 = load_acquire((u8 *)(r10 -1))", {0xd3, 7, 10, -1, 0x100}},
    {"store_release((u16 *)(r1 +0), r2)", {0xcb, 1, 2, 0, 0x110}},
    {"store_release((u32 *)(r10 -4), r0)", {0xc3, 10, 0, -4, 0x110}},
    {"may_goto pc+3", {0xe5, 0, 0, 3, 0}},
    {"may_goto pc-2", {0xe5, 0, 0, -2, 0}},
    {"if w1 s> 0x5 goto pc+3", {0x66, 1, 0, 3, 5}},
    {"if r1 != 0xffffffff goto pc-2", {0x55, 1, 0, -2, -1}},
    {"if r1 & r2 goto pc+0", {0x4d, 1, 2, 0, 0}},
    {"if w1 s<= w2 goto pc+7", {0xde, 1, 2, 7, 0}},
    {"goto pc+3", {0x05, 0, 0, 3, 0}},
    {"gotol pc-70000", {0x06, 0, 0, 0, -70000}},
    {"call bpf_map_lookup_elem#1", {0x85, 0, 0, 0, 1}},
    {"call pc+5", {0x85, 0, 1, 0, 5}},
    {"call kernel-function#77", {0x85, 0, 2, 0, 77}},
    {"exit", {0x95, 0, 0, 0, 0}},
    {"r0 = *(u16 *)skb[12]", {0x28, 0, 0, 0, 12}},
    {"r0 = *(u8 *)skb[r7 + -1]", {0x50, 0, 7, 0, -1}},
};

DisasmOptions with_names() {
    DisasmOptions options;
    options.helper_name = [](u32 id) { return id == 1 ? "bpf_map_lookup_elem" : ""; };
    return options;
}

TEST(Disassembler, SpeaksLinuxWords) {
    for (const Golden& golden : kGolden) {
        const Insn insns[] = {golden.insn};
        EXPECT_EQ(disassemble(insns, 0, with_names()), golden.text);
    }
}

TEST(Assembler, ReadsLinuxWords) {
    for (const Golden& golden : kGolden) {
        const auto insns = assemble(golden.text);
        ASSERT_TRUE(insns) << golden.text << ": " << insns.error().message;
        ASSERT_EQ(insns->size(), 1U) << golden.text;
        EXPECT_EQ(insns->front(), golden.insn) << golden.text;
    }
}

TEST(Disassembler, WideImmediates) {
    const auto line = [](u8 src, i32 low, i32 high, DisasmOptions options = {}) {
        const Insn insns[] = {{0x18, 1, u8(src & 15), 0, low}, {0, 0, 0, 0, high}};
        return disassemble(insns, 0, options);
    };
    EXPECT_EQ(line(0, -1, 1), "r1 = 0x1ffffffff");
    EXPECT_EQ(line(0, -1, 1, {.assembles = true}), "r1 = 0x1ffffffff ll");
    EXPECT_EQ(line(1, 3, 0), "r1 = map[fd:3]");
    EXPECT_EQ(line(1, 3, 0, {.opcode = true, .map_key = "id"}), "(18) r1 = map[id:3]");
    EXPECT_EQ(line(2, 3, 8), "r1 = map[fd:3][0]+8");
    EXPECT_EQ(line(3, 5, 0), "r1 = var[btf:5]");
    EXPECT_EQ(line(4, -5, 0), "r1 = subprog[-5]");
    EXPECT_EQ(line(5, 2, 0), "r1 = map[idx:2]");
    EXPECT_EQ(line(6, 2, 4), "r1 = map[idx:2][0]+4");
    EXPECT_EQ(line(0, 1, 0, {.immediate = [](auto&, auto&) { return "here"; }}), "r1 = here");
    // A program cut in the middle of one is printed, not read past.
    const Insn cut[] = {{0x18, 1, 0, 0, 7}};
    EXPECT_EQ(disassemble(cut, 0), "r1 = 0x7");
}

TEST(Disassembler, WhatHasNoRowIsPrintedRaw) {
    const Insn insns[] = {{0xff, 3, 4, -5, 6}};
    EXPECT_EQ(disassemble(insns, 0), "invalid insn: code 0xff dst 3 src 4 off -5 imm 6");
}

TEST(Disassembler, CastsOfArenas) {
    const Insn insns[] = {{0xbf, 3, 4, 1, 0x10000}};
    EXPECT_EQ(decode(insns[0]), Op::invalid);
    EXPECT_EQ(disassemble(insns, 0), "r3 = addr_space_cast(r4, 1, 0)");
}

TEST(Disassembler, NamesOfKernelFunctions) {
    DisasmOptions options;
    options.kfunc_name = [](i32 id) { return id == 7 ? "bpf_iter_num_new" : ""; };
    const Insn insns[] = {{0x85, 0, 2, 0, 7}, {0x85, 0, 2, 0, 8}};
    EXPECT_EQ(disassemble(insns, 0, options), "call bpf_iter_num_new#7");
    EXPECT_EQ(disassemble(insns, 1, options), "call kernel-function#8");
}

TEST(Disassembler, TargetsByName) {
    DisasmOptions options;
    options.target = [](i64 target) { return fmt::format("L{}", target); };
    const auto insns = assemble("r0 = 0\nif r0 == 0 goto pc-2\ncall pc+1\nexit\nexit\n").value();
    EXPECT_EQ(disassemble(insns, 1, options), "if r0 == 0x0 goto L0");
    EXPECT_EQ(disassemble(insns, 2, options), "call L4");
}

/// What a row's fields can hold at their edges.
std::vector<Insn> samples(const OpcodeInfo& row) {
    std::vector<Insn> samples;
    for (const u8 dst : {0, 5, 10})
        for (const u8 src : {0, 1, 9})
            for (const i16 off : {0, 1, -1, 32767, -32768})
                for (const i32 imm : {0, 1, -1, 0x7fffffff, i32(-0x7fffffff - 1)}) {
                    const Insn insn = encode(row.op, dst, src, off, imm);
                    if (decode(insn) != row.op) continue;
                    if (row.op == Op::call && src > kCallKfunc) continue;
                    if (row.op == Op::ld_imm64 && src > kMapIndexValue) continue;
                    samples.push_back(insn);
                }
    return samples;
}

TEST(Assembler, ReadsBackWhatTheDisassemblerPrints) {
    for (const OpcodeInfo& row : kOpcodes) {
        if (row.version == 0) continue;
        const std::vector<Insn> insns = samples(row);
        ASSERT_FALSE(insns.empty()) << row.name;
        for (const Insn& insn : insns) {
            std::vector<Insn> program = {insn};
            const bool has_high_half =
                insn.src == kImm64 || insn.src == kMapValue || insn.src == kMapIndexValue;
            if (slots(insn) == 2) program.push_back({0, 0, 0, 0, has_high_half ? insn.imm : 0});
            const std::string text = disassemble(program, 0, {.assembles = true});
            if (row.kind == OpKind::ld_imm64 && insn.off != 0) continue;
            const auto again = assemble(text);
            ASSERT_TRUE(again) << row.name << " " << text << ": " << again.error().message;
            EXPECT_EQ(*again, program) << row.name << ": " << text;
        }
    }
}

TEST(Assembler, LabelsCommentsAndCalls) {
    const auto insns = assemble(R"(
        # a comment
        r1 = 1            // and another
        again: r1 += 1;
        if r1 < 10 goto again
        call function ; local
        r2 = subprog[function]
        gotol out
      function:
        r0 = 0x1122334455667788 ll
        exit
      out:
        exit
    )");
    ASSERT_TRUE(insns) << insns.error().message;
    ASSERT_EQ(insns->size(), 11U);
    EXPECT_EQ((*insns)[2].off, -2);
    EXPECT_EQ((*insns)[3], (Insn{0x85, 0, 1, 0, 3}));
    EXPECT_EQ((*insns)[4], (Insn{0x18, 2, 4, 0, 2}));
    EXPECT_EQ((*insns)[6], (Insn{0x06, 0, 0, 0, 3}));
    EXPECT_EQ((*insns)[7].imm, 0x55667788);
    EXPECT_EQ((*insns)[8].imm, 0x11223344);
}

TEST(Assembler, ErrorsNameTheLine) {
    constexpr std::pair<const char*, const char*> kErrors[] = {
        {"exit\nfoo", "line 2: expected a register before 'foo'"},
        {"r1 = 0x100000000", "line 1: immediate 4294967296 does not fit 32 bits"},
        {"r1 += 4294967295", "line 1: immediate 4294967295 does not fit 32 bits"},
        {"r1 = w2", "line 1: expected r2 instead of w2"},
        {"r16 = 1", "line 1: no register 16"},
        {"goto nowhere", "line 1: no label 'nowhere'"},
        {"a:\na:", "line 2: label 'a' again"},
        {"r1 = *(u24 *)(r2 +0)", "line 1: no such instruction"},
        {"w1 = (s32)w2", "line 1: no such instruction"},
        {"r1 = *(u8 *)(r2 +40000)", "line 1: offset 40000 does not fit 16 bits"},
        {"exit exit", "line 1: unexpected 'exit'"},
        {"r1 = -r2", "line 1: negation is of a register itself"},
        {"r1 = be16 r2", "line 1: a byte swap is of a register itself"},
        {"if r1 ~ 2 goto pc+1", "line 1: expected a comparison before '~ 2 goto pc+1'"},
        {"r1 = 99999999999999999999 ll", "line 1: number out of 64 bits"},
        {"r1 = atomic64_fetch_add((u64 *)(r10 -8), r2)", "line 1: result and operand must be one register"},
        {"r1 = atomic_nand((u32 *)(r10 -8), r1)", "line 1: no atomic 'nand'"},
    };
    for (const auto& [text, message] : kErrors) {
        const auto insns = assemble(text);
        ASSERT_FALSE(insns) << text;
        EXPECT_EQ(insns.error().message, message) << text;
        EXPECT_EQ(insns.error().code, EINVAL);
    }
}

} // namespace
} // namespace xdplane
