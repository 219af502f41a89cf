// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <iterator>

#include "bpf/helpers/helper.h"
#include "bpf/helpers/kfunc_table.h"
#include "bpf/isa/disassembler.h"
#include "bpf/lower/lowered.h"

namespace xdplane {
namespace {

std::string_view atomic_name(Code code) {
    switch (code) {
    case Code::add: return "add";
    case Code::or_: return "or";
    case Code::and_: return "and";
    case Code::xor_: return "xor";
    case Code::xchg: return "xchg";
    default: return "cmpxchg";
    }
}

/// r3, or w3 for an operation on 32 bits.
std::string reg(u32 number, u32 bits) { return fmt::format("{}{}", bits == 64 ? 'r' : 'w', number); }

std::string operand(const LoweredInsn& insn, const OpcodeInfo& row) {
    return row.operand == Operand::imm ? fmt::format("{}", insn.imm) : reg(insn.src, row.width);
}

std::string memory(std::string_view type, u32 base, i32 off) {
    return fmt::format("*({} *)(r{} {} {})", type, base, off < 0 ? '-' : '+', off < 0 ? -i64{off} : i64{off});
}

std::string unsigned_type(u32 bits) { return fmt::format("u{}", bits); }

std::string alu_text(const LoweredInsn& insn, const OpcodeInfo& row) {
    const std::string dst = reg(insn.dst, row.width);
    switch (row.code) {
    case Code::neg: return fmt::format("{0} = -{0}", dst);
    case Code::movsx8: return fmt::format("{} = (s8){}", dst, reg(insn.src, row.width));
    case Code::movsx16: return fmt::format("{} = (s16){}", dst, reg(insn.src, row.width));
    case Code::movsx32: return fmt::format("{} = (s32){}", dst, reg(insn.src, row.width));
    default: return fmt::format("{} {} {}", dst, assignment_of(row.code), operand(insn, row));
    }
}

std::string atomic_text(const LoweredInsn& insn, const OpcodeInfo& row) {
    const std::string where = memory(unsigned_type(row.width), insn.dst, insn.off);
    const std::string src = reg(insn.src, row.width);
    const std::string_view name = atomic_name(row.code);
    if (row.code == Code::cmpxchg) return fmt::format("r0 = atomic_cmpxchg({}, r0, {})", where, src);
    if (row.operand == Operand::fetch) return fmt::format("{1} = atomic_{2}({0}, {1})", where, src, name);
    return fmt::format("lock {} {} {}", where, assignment_of(row.code), src);
}

std::string map_name(const LoweredProgram& program, i32 index) {
    const std::string& name = program.maps()[static_cast<u32>(index)]->spec().name;
    return name.empty() ? fmt::format("map {}", index) : name;
}

std::string lowered_text(const LoweredInsn& insn, const LoweredProgram& program) {
    const auto or_unknown = [](i64 value) { return value < 0 ? "?" : fmt::format("{}", value); };
    switch (insn.op) {
    case Op::call_helper: {
        if ((insn.flags & kKernelFunction) != 0)
            return fmt::format("call {}", kfunc_table()[static_cast<u32>(insn.target)].name);
        if ((insn.flags & kRunsAhead) != 0) return "call ahead_visit";
        const HelperProto* helper = find_helper(static_cast<u32>(insn.target));
        return fmt::format("call bpf_{}#{}", helper != nullptr ? helper->name : "unknown", insn.target);
    }
    case Op::map_lookup: return fmt::format("r0 = lookup in {}", map_name(program, insn.target));
    case Op::call_loop: return fmt::format("call bpf_loop of {}", insn.target);
    case Op::call_local: return fmt::format("call {}", insn.target);
    case Op::tail_call:
        return fmt::format("tail call map {} index {}", or_unknown(insn.target), or_unknown(insn.imm));
    case Op::ctx_length: return fmt::format("w{} = length(r{})", insn.dst, insn.src);
    default: return std::string(info(insn.op).name);
    }
}

std::string text(const LoweredInsn& insn, const LoweredProgram& program) {
    const OpcodeInfo& row = info(insn.op);
    const std::string type = unsigned_type(row.width);
    switch (row.kind) {
    case OpKind::alu: return alu_text(insn, row);
    case OpKind::endian: return fmt::format("r{1} = {0} r{1}", row.name, insn.dst);
    case OpKind::ldx: {
        const std::string from = row.code == Code::none ? type : fmt::format("s{}", row.width);
        return fmt::format("r{} = {}", insn.dst, memory(from, insn.src, insn.off));
    }
    case OpKind::st: return fmt::format("{} = {}", memory(type, insn.dst, insn.off), insn.imm);
    case OpKind::stx: return fmt::format("{} = r{}", memory(type, insn.dst, insn.off), insn.src);
    case OpKind::atomic: return atomic_text(insn, row);
    case OpKind::load_acquire:
        return fmt::format("r{} = load_acquire({})", insn.dst, memory(type, insn.src, insn.off));
    case OpKind::store_release:
        return fmt::format("store_release({}, r{})", memory(type, insn.dst, insn.off), insn.src);
    case OpKind::may_goto: return fmt::format("may_goto {} budget r10{}", insn.target, insn.imm);
    case OpKind::jump:
        return fmt::format("if {} {} {} goto {}", reg(insn.dst, row.width), comparison_of(row.code),
                           operand(insn, row), insn.target);
    case OpKind::ja: return fmt::format("goto {}", insn.target);
    case OpKind::exit: return "exit";
    case OpKind::ld_imm64:
        if ((insn.flags & kCodePointer) != 0) return fmt::format("r{} = code {}", insn.dst, insn.target);
        return fmt::format("r{} = {:#x} ll", insn.dst, static_cast<u64>(insn.imm));
    case OpKind::ld_abs: return fmt::format("r0 = packet {} at {}", type, insn.imm);
    case OpKind::ld_ind: return fmt::format("r0 = packet {} at w{} + {}", type, insn.src, insn.imm);
    case OpKind::call:
    case OpKind::lowered: break;
    }
    return lowered_text(insn, program);
}

} // namespace

std::string LoweredProgram::disassemble() const {
    std::string out;
    auto function = functions_.begin();
    for (u32 i = 0; i < insns_.size(); ++i) {
        if (function != functions_.end() && function->begin == i) {
            fmt::format_to(std::back_inserter(out), "{}: stack {}{}{}\n",
                           i == 0 ? "main" : fmt::format("function {}", i), function->stack_depth,
                           function->zero_stack ? ", cleared" : "",
                           function->is_callback ? ", callback" : "");
            ++function;
        }
        const bool stop = split_ != nullptr && std::ranges::binary_search(split_->stops, i);
        fmt::format_to(std::back_inserter(out), "{:5}: {}{}\n", i, text(insns_[i], *this),
                       stop ? " ; the first half ends here" : "");
    }
    return out;
}

} // namespace xdplane
