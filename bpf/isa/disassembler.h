// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <functional>
#include <span>
#include <string>

#include "bpf/isa/opcodes.h"

/// Instructions as text, in the words of Linux's verifier log and of `bpftool prog dump xlated`
/// (kernel/bpf/disasm.c prints both).
namespace xdplane {

/// Every callback may be empty.
struct DisasmOptions {
    /// Prints the opcode byte in front: "(b7) r1 = 5".
    bool opcode = false;
    /// Prints 64-bit immediates as clang writes them, "r1 = 0x5 ll", so that the text assembles to the same
    /// instruction again; Linux leaves out the "ll".
    bool assembles = false;
    /// What the imm of ld_imm64's map forms counts: "fd" as loaded, "id" in what bpf(2) hands back.
    std::string_view map_key = "fd";
    /// The name of a helper with its "bpf_"; empty text where it is unknown. "call NAME#ID".
    std::function<std::string(u32 id)> helper_name = {};
    /// The name of a kernel function by its BTF id; empty text where it is unknown. "call NAME#ID".
    std::function<std::string(i32 id)> kfunc_name = {};
    /// The operand of ld_imm64, instead of the default; empty text asks for the default.
    std::function<std::string(const Insn& first, const Insn& second)> immediate = {};
    /// The target of a jump or local call, instead of "pc+OFFSET"; absolute index.
    std::function<std::string(i64 target)> target = {};
};

/// Insn `index` as one line without a newline. Every input is legal: what has no row is printed as its raw
/// fields. The second slot of ld_imm64 is a nop by itself; callers skip it (slots()).
[[nodiscard]] std::string disassemble(std::span<const Insn> insns, u32 index,
                                      const DisasmOptions& options = {});

/// How many slots of the instruction stream the insn takes: 2 for ld_imm64, else 1.
[[nodiscard]] inline u32 slots(const Insn& insn) { return insn.opcode == 0x18 ? 2 : 1; }

/// "+=", "s/=", ...: of the binary operations of OpKind::alu and of atomics; empty for others.
[[nodiscard]] std::string_view assignment_of(Code code);
/// "==", "s>", "&", ...: of OpKind::jump; empty for others.
[[nodiscard]] std::string_view comparison_of(Code code);

} // namespace xdplane
