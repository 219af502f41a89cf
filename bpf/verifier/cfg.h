// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <span>
#include <vector>

#include "bpf/base/result.h"
#include "bpf/isa/opcodes.h"

/// The verifier's first pass: what can be said of a program without running it.
namespace xdplane {

/// A main program or sub-program: insns [begin, end). The main program is the first.
struct Subprogram {
    u32 begin = 0;
    u32 end = 0;
};

struct ControlFlow {
    std::vector<Op> ops;             ///< invalid in the second slot of ld_imm64
    std::vector<i32> targets;        ///< absolute; of jumps, local calls and ld_imm64 of code; else -1
    std::vector<u8> prune_points;    ///< 1: where paths meet or part, so that states are compared
    std::vector<u16> live_registers; ///< bit per register that may be read before it is written, from here on
    std::vector<Subprogram> functions;

    /// Index into functions of the one that holds `insn`.
    [[nodiscard]] u32 function_of(u32 insn) const;
};

/// Checks what decode() and the control flow can tell: legal encodings, register numbers, no jump out of its
/// function or into the middle of an ld_imm64, no falling off the end, no unreachable insn. Loops are legal:
/// the second pass bounds them. Errors are Linux's, EINVAL or EACCES, in its words.
[[nodiscard]] Result<ControlFlow> analyse_control_flow(std::span<const Insn> insns);

/// Registers that the insn reads and writes, as bits. Calls read r1-r5 and write r0-r5.
struct RegisterUse {
    u16 reads = 0;
    u16 writes = 0;
};
[[nodiscard]] RegisterUse register_use(const OpcodeInfo& row, const Insn& insn);

} // namespace xdplane
