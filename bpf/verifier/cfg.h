// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <functional>
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
    bool moves_packet = false; ///< it, or a function that it calls, may
    bool tail_calls = false;   ///< itself
    bool legacy_loads = false; ///< itself
};

/// ControlFlow::marks.
enum Mark : u8 {
    kPrunePoint = 1, ///< paths meet or part here: states are compared
    kJumpPoint = 2,  ///< reached from elsewhere than the insn before
    kForcePoint = 4, ///< every round of a loop is kept: iterators, callbacks, may_goto
};

/// What a call may do besides computing, as far as the insn tells.
struct CallTraits {
    bool calls_back = false;   ///< into a sub-program, before it returns
    bool calls_later = false;  ///< registers a sub-program to be called later
    bool iterates = false;     ///< the next step of an open-coded iterator
    bool moves_packet = false; ///< packet pointers die
    bool tail_calls = false;
    u8 arguments = 5; ///< registers from r1 on that it reads
};

struct ControlFlow {
    std::vector<Op> ops;             ///< invalid in the second slot of ld_imm64
    std::vector<i32> targets;        ///< absolute; of jumps, local calls and ld_imm64 of code; else -1
    std::vector<u8> marks;           ///< Mark bits
    std::vector<CallTraits> traits;  ///< of calls of helpers and kernel functions; of others nothing is set
    std::vector<u16> live_registers; ///< bit per register that may be read before it is written, from here on
    std::vector<Subprogram> functions;

    /// Index into functions of the one that holds `insn`.
    [[nodiscard]] u32 function_of(u32 insn) const;
    [[nodiscard]] bool is(u32 insn, Mark mark) const { return (marks[insn] & mark) != 0; }
};

struct ControlFlowRules {
    bool loops = true; ///< false: a jump backwards is refused (unprivileged programs)
    std::function<CallTraits(const Insn&)> traits; ///< of helper and kernel function calls; may be empty
};

/// Checks what decode() and the control flow can tell: legal encodings, register numbers, no jump out of its
/// function or into the middle of an ld_imm64, no falling off the end, no unreachable insn. Loops are legal
/// where the rules say so: the second pass bounds them. Errors are Linux's, EINVAL or EACCES, in its words.
[[nodiscard]] Result<ControlFlow> analyse_control_flow(std::span<const Insn> insns,
                                                       const ControlFlowRules& rules);

} // namespace xdplane
