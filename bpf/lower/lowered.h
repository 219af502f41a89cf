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

/// One lowered instruction: the row's operation with wide fields.
///   off     displacement of ldx, st, stx, atomic
///   target  absolute index of jumps and of call_local; HelperProto id for call_helper
///   imm     ld_imm64: the value (addresses resolved); ALU, jump and st with Operand::imm: sign-extended;
///           call_helper: address of the HelperFn; tail_call: index if constant, else -1, and map in target's
///           place (see below)
/// tail_call: r2 is the prog array (as in the BPF calling convention: r1 ctx, r2 map, r3 index); on failure
/// execution goes on behind it with r0 = unspecified and r1-r5 clobbered.
/// call_local: r1-r5 arguments, r6-r9 and r10 preserved by the engine; the callee has its own frame.
/// ld_abs/ld_ind: imm (+ src) is the offset into the packet; r0 gets the value in host order; out of range
/// ends the program with r0 = 0. Network and link-layer relative offsets are Linux's SKF_NET_OFF/SKF_LL_OFF.
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
    [[nodiscard]] const ProgramType& type() const { return *type_; }
    [[nodiscard]] bool needs_context() const {
        return needs_context_;
    } ///< helpers that read t_run are called
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
    std::vector<std::shared_ptr<Map>> maps_; ///< keeps embedded addresses alive
    const ProgramType* type_ = nullptr;
    bool needs_context_ = false;
    bool tail_calls_ = false;
    bool writes_packet_ = false;
};

/// Any thread. Fails only for what no engine can do, with the reason.
[[nodiscard]] Result<LoweredProgram> lower(const VerifiedProgram& program);

} // namespace xdplane
