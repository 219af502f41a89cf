// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "bpf/base/result.h"
#include "bpf/verifier/verifier.h"

/// Lowering: from what was verified to what engines run. Context accesses become accesses of XdpBuff, map fds
/// become addresses, helper ids functions, jumps absolute, dead code nothing. Engines see only its result.
namespace xdplane {

/// LoweredInsn::flags.
enum LoweredFlags : u8 {
    kCodePointer = 1, ///< ld_imm64: the address of the sub-program at insn `target`, for callbacks
};

/// One lowered instruction: the row's operation with wide fields.
///   off     displacement of ldx, st, stx, atomic
///   target  absolute index of jumps and of call_local; enum bpf_func_id for call_helper; tail_call: index of
///           the prog array in LoweredProgram::maps(), or -1 if it is not the same one on every path
///   imm     ld_imm64: the value (addresses resolved); ALU, jump and st with Operand::imm: sign-extended;
///           call_helper: address of the HelperFn; tail_call: the program's index if constant, else -1
/// tail_call: r1 is the context, r2 the Map* of the prog array, r3 the index, of which the low 32 bits count.
/// It fails if the index is out of range, the slot is empty, or RunContext::tail_calls has reached
/// kMaxTailCalls; only a call that succeeds is counted. After a failure execution goes on behind it, r0 and
/// r6-r10 unchanged, r1-r5 clobbered. In a sub-program the target returns to the sub-program's caller, for
/// whom r6-r10 are preserved.
/// call_local: r1-r5 arguments, r6-r9 and r10 preserved by the engine; the callee has its own frame.
/// ctx_length: dst = data_end - data, 32 bits zero-extended, of the XdpBuff that src points at.
/// ld_abs/ld_ind: the offset into the packet is the low 32 bits of imm (+ src), signed; r6 is the XdpBuff, as
/// Linux asks; legacy_load() says what r0 gets. Where it fails the function returns 0. r1-r5 are clobbered.
struct LoweredInsn {
    Op op = Op::nop;
    u8 dst = 0;
    u8 src = 0;
    u8 flags = 0;
    union {
        i32 off;
        i32 target;
    };
    i64 imm = 0;

    LoweredInsn() : off(0) {}
};
static_assert(sizeof(LoweredInsn) == 16);

struct LoweredFunction {
    u32 begin = 0;
    u32 end = 0;
    u32 stack_depth = 0; ///< bytes, multiple of 8
    bool tail_calls = false;
    bool is_callback = false;
};

class LoweredProgram {
public:
    [[nodiscard]] const std::vector<LoweredInsn>& insns() const { return insns_; }
    [[nodiscard]] const std::vector<LoweredFunction>& functions() const { return functions_; }
    /// For each lowered insn the index of the verified insn it came from.
    [[nodiscard]] const std::vector<u32>& origins() const { return origins_; }
    /// Every map that the program refers to. Insns hold addresses of these and of their values: whoever keeps
    /// code made of them keeps the maps too.
    [[nodiscard]] const std::vector<std::shared_ptr<Map>>& maps() const { return maps_; }
    [[nodiscard]] const ProgramType& type() const { return *type_; }
    /// Helpers, which may read RunContext, are called here or in a program that is tail-called: the engine
    /// sets RunContext::packet and clears the counts before each packet.
    [[nodiscard]] bool needs_context() const { return needs_context_; }
    [[nodiscard]] bool tail_calls() const { return tail_calls_; }
    [[nodiscard]] bool writes_packet() const { return writes_packet_; }
    /// One line per insn, for `xdplane dump --lowered`.
    [[nodiscard]] std::string disassemble() const;

private:
    friend class Lowering;
    LoweredProgram() = default;

    std::vector<LoweredInsn> insns_;
    std::vector<LoweredFunction> functions_;
    std::vector<u32> origins_;
    std::vector<std::shared_ptr<Map>> maps_;
    const ProgramType* type_ = nullptr;
    bool needs_context_ = false;
    bool tail_calls_ = false;
    bool writes_packet_ = false;
};

/// Any thread. Fails only for what no engine can do, with the reason.
[[nodiscard]] Result<LoweredProgram> lower(const VerifiedProgram& program);

} // namespace xdplane
