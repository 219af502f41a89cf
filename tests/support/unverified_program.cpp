// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "tests/support/unverified_program.h"

#include <algorithm>
#include <cerrno>
#include <linux/bpf.h>
#include <set>

namespace xdplane {

const ProgramType UnverifiedProgram::kRawType = {
    .type = BPF_PROG_TYPE_UNSPEC,
    .name = "raw",
    .use_bit = kUseAll,
    .ctx = {},
    .ctx_size = 0,
    .packet_access = true,
    .packet_write = true,
    .legacy_loads = true,
    .return_min = INT64_MIN,
    .return_max = INT64_MAX,
    .loadable = false,
};

namespace {

/// Absolute index that an insn jumps to, calls or takes the address of; -1 if none.
i64 target_of(const Insn& insn, Op op, u32 index) {
    switch (info(op).kind) {
    case OpKind::jump:
    case OpKind::may_goto: return i64{index} + 1 + insn.off;
    case OpKind::ja: return i64{index} + 1 + (op == Op::ja ? insn.off : insn.imm);
    case OpKind::call: return insn.src == kCallLocal ? i64{index} + 1 + insn.imm : -1;
    case OpKind::ld_imm64: return insn.src == kCodeAddr ? i64{index} + 1 + insn.imm : -1;
    default: return -1;
    }
}

bool jumps(OpKind kind) { return kind == OpKind::jump || kind == OpKind::may_goto || kind == OpKind::ja; }

bool starts_function(const Insn& insn, Op op) {
    return (op == Op::call && insn.src == kCallLocal) || (op == Op::ld_imm64 && insn.src == kCodeAddr);
}

/// The facts of every insn; maps and helpers resolved.
class Facts {
public:
    Facts(const std::vector<Insn>& insns, const UnverifiedProgram::Options& options)
        : insns_(insns), options_(options), facts_(insns.size()) {}

    Result<std::vector<InsnFacts>> find() {
        for (u32 i = 0; i < insns_.size(); ++i) {
            facts_[i].op = decode(insns_[i]);
            facts_[i].reached = true;
            if (Result<> done = one(i); !done) return fail(done.error());
            if (facts_[i].op == Op::ld_imm64) ++i;
        }
        for (u32 i = 0; i < insns_.size(); ++i) {
            const i32 target = facts_[i].target;
            if (target >= 0 && facts_[static_cast<u32>(target)].op == Op::invalid)
                return fail(EINVAL, "insn {}: jump into the middle of ld_imm64", i);
        }
        return std::move(facts_);
    }

private:
    Result<> one(u32 i) {
        const Insn& insn = insns_[i];
        InsnFacts& facts = facts_[i];
        if (facts.op == Op::invalid) return fail(EINVAL, "insn {}: unknown opcode {:02x}", i, insn.opcode);
        if (insn.dst >= kRegisters || (insn.src >= kRegisters && info(facts.op).operand != Operand::none))
            return fail(EINVAL, "insn {}: no such register", i);
        if (facts.op == Op::ld_imm64)
            if (Result<> done = wide(i); !done) return done;
        if (facts.op == Op::call && insn.src == kCallKfunc) {
            facts.helper = options_.kfunc ? options_.kfunc(insn.imm) : nullptr;
            if (facts.helper == nullptr)
                return fail(EINVAL, "insn {}: kernel function {} is not known", i, insn.imm);
        }
        if (facts.op == Op::call && insn.src == kCallHelper) {
            facts.helper = options_.helper ? options_.helper(static_cast<u32>(insn.imm)) : nullptr;
            if (facts.helper == nullptr) return fail(EINVAL, "insn {}: invalid func unknown#{}", i, insn.imm);
        }
        const bool has_target = jumps(info(facts.op).kind) || starts_function(insn, facts.op);
        if (!has_target) return {};
        const i64 target = target_of(insn, facts.op, i);
        if (target < 0 || target >= static_cast<i64>(insns_.size()))
            return fail(EINVAL, "insn {}: jump out of range to {}", i, target);
        facts.target = static_cast<i32>(target);
        return {};
    }

    Result<> wide(u32 i) {
        if (i + 1 >= insns_.size() || insns_[i + 1].opcode != 0)
            return fail(EINVAL, "insn {}: invalid bpf_ld_imm64 insn", i);
        const Insn& insn = insns_[i];
        if (insn.src == kImm64 || insn.src == kCodeAddr) return {};
        if (insn.src == kVarAddr || insn.src > kMapIndexValue)
            return fail(EINVAL, "insn {}: unknown kind of immediate {}", i, u32{insn.src});
        if (insn.imm < 0 || static_cast<u32>(insn.imm) >= options_.maps.size())
            return fail(EBADF, "insn {}: no map {}", i, insn.imm);
        facts_[i].map = options_.maps[static_cast<u32>(insn.imm)].get();
        facts_[i].value_offset = static_cast<u32>(insns_[i + 1].imm);
        return {};
    }

    const std::vector<Insn>& insns_;
    const UnverifiedProgram::Options& options_;
    std::vector<InsnFacts> facts_;
};

std::vector<FunctionFacts> find_functions(const std::vector<Insn>& insns,
                                          const std::vector<InsnFacts>& facts) {
    std::set<u32> starts = {0};
    std::set<u32> callbacks;
    for (u32 i = 0; i < insns.size(); ++i) {
        if (facts[i].op == Op::invalid || !starts_function(insns[i], facts[i].op)) continue;
        starts.insert(static_cast<u32>(facts[i].target));
        if (facts[i].op == Op::ld_imm64) callbacks.insert(static_cast<u32>(facts[i].target));
    }
    std::vector<FunctionFacts> functions;
    for (auto start = starts.begin(); start != starts.end(); ++start) {
        FunctionFacts& function = functions.emplace_back();
        function.begin = *start;
        function.end = std::next(start) == starts.end() ? static_cast<u32>(insns.size()) : *std::next(start);
        function.stack_depth = kStackSize;
        function.is_callback = callbacks.contains(*start);
        for (u32 i = function.begin; i < function.end; ++i)
            function.tail_calls |= facts[i].helper != nullptr && facts[i].helper->id == BPF_FUNC_tail_call;
    }
    return functions;
}

/// Frames that a call of `function` needs; more than kMaxCallFrames for recursion.
u32 frames_of(const std::vector<FunctionFacts>& functions, const std::vector<InsnFacts>& facts, u32 function,
              u32 above) {
    if (above >= kMaxCallFrames) return above + 1;
    u32 deepest = above + 1;
    for (u32 i = functions[function].begin; i < functions[function].end; ++i) {
        if (facts[i].op != Op::call || facts[i].target < 0) continue;
        const auto callee =
            std::ranges::find(functions, static_cast<u32>(facts[i].target), &FunctionFacts::begin);
        deepest = std::max(
            deepest, frames_of(functions, facts, static_cast<u32>(callee - functions.begin()), above + 1));
        if (deepest > kMaxCallFrames) return deepest;
    }
    return deepest;
}

Result<> check_structure(const std::vector<FunctionFacts>& functions, const std::vector<InsnFacts>& facts) {
    for (const FunctionFacts& function : functions)
        for (u32 i = function.begin; i < function.end; ++i) {
            if (facts[i].op == Op::invalid || facts[i].target < 0) continue;
            const OpKind kind = info(facts[i].op).kind;
            const u32 target = static_cast<u32>(facts[i].target);
            if (jumps(kind) && (target < function.begin || target >= function.end))
                return fail(EINVAL, "insn {}: jump out of its function to {}", i, target);
        }
    if (frames_of(functions, facts, 0, 0) > kMaxCallFrames)
        return fail(EINVAL, "the call stack of more than {} frames is too deep", kMaxCallFrames);
    return {};
}

} // namespace

Result<VerifiedProgram> UnverifiedProgram::make(std::vector<Insn> insns, const Options& options) {
    if (insns.empty()) return fail(EINVAL, "the program is empty");
    Result<std::vector<InsnFacts>> facts = Facts(insns, options).find();
    if (!facts) return fail(facts.error());
    std::vector<FunctionFacts> functions = find_functions(insns, *facts);
    if (Result<> done = check_structure(functions, *facts); !done) return fail(done.error());

    if (options.amend) options.amend(insns, *facts, functions);

    VerifiedProgram program;
    program.type_ = options.type != nullptr ? options.type : &kRawType;
    program.insns_ = std::move(insns);
    program.facts_ = std::move(*facts);
    program.functions_ = std::move(functions);
    program.maps_ = options.maps;
    program.writes_packet_ = true;
    program.tail_calls_ = std::ranges::any_of(program.functions_, &FunctionFacts::tail_calls);
    return program;
}

std::vector<Insn> UnverifiedProgram::with_memory(std::span<const Insn> insns, void* memory, u32 size,
                                                 u64* result) {
    std::vector<Insn> all;
    const auto load_address = [&all](u8 dst, const void* pointer) {
        const u64 value = reinterpret_cast<u64>(pointer);
        all.push_back(encode(Op::ld_imm64, dst, 0, 0, static_cast<i32>(value)));
        all.push_back({0, 0, 0, 0, static_cast<i32>(value >> 32)});
    };
    load_address(R1, memory);
    all.push_back(encode(Op::mov64_imm, R2, 0, 0, static_cast<i32>(size)));
    all.push_back(encode(Op::call, 0, kCallLocal, 0, 4));
    load_address(R1, result);
    all.push_back(encode(Op::stx64, R1, R0, 0, 0));
    all.push_back(encode(Op::exit, 0, 0, 0, 0));
    all.insert(all.end(), insns.begin(), insns.end());
    return all;
}

} // namespace xdplane
