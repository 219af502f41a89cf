// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/isa/disassembler.h"

#include <fmt/format.h>

namespace xdplane {

std::string_view assignment_of(Code code) {
    switch (code) {
    case Code::add: return "+=";
    case Code::sub: return "-=";
    case Code::mul: return "*=";
    case Code::div: return "/=";
    case Code::or_: return "|=";
    case Code::and_: return "&=";
    case Code::lsh: return "<<=";
    case Code::rsh: return ">>=";
    case Code::mod: return "%=";
    case Code::xor_: return "^=";
    case Code::mov: return "=";
    case Code::arsh: return "s>>=";
    case Code::sdiv: return "s/=";
    case Code::smod: return "s%=";
    default: return {};
    }
}

std::string_view comparison_of(Code code) {
    switch (code) {
    case Code::jeq: return "==";
    case Code::jgt: return ">";
    case Code::jge: return ">=";
    case Code::jset: return "&";
    case Code::jne: return "!=";
    case Code::jsgt: return "s>";
    case Code::jsge: return "s>=";
    case Code::jlt: return "<";
    case Code::jle: return "<=";
    case Code::jslt: return "s<";
    case Code::jsle: return "s<=";
    default: return {};
    }
}

namespace {

using fmt::format;

std::string_view atomic_name(Code code) {
    switch (code) {
    case Code::add: return "add";
    case Code::or_: return "or";
    case Code::and_: return "and";
    case Code::xor_: return "xor";
    case Code::xchg: return "xchg";
    default: return {};
    }
}

std::string alu(const OpcodeInfo& row, const Insn& insn) {
    const char file = row.width == 64 ? 'r' : 'w';
    const u32 dst = insn.dst;
    const u32 src = insn.src;
    switch (row.code) {
    case Code::neg: return format("{0}{1} = -{0}{1}", file, dst);
    case Code::movsx8:
    case Code::movsx16:
    case Code::movsx32: return format("{0}{1} = (s{2}){0}{3}", file, dst, insn.off, src);
    default: break;
    }
    if (row.operand == Operand::imm)
        return format("{}{} {} {}", file, dst, assignment_of(row.code), insn.imm);
    return format("{0}{1} {2} {0}{3}", file, dst, assignment_of(row.code), src);
}

std::string endian(const OpcodeInfo& row, const Insn& insn) {
    const std::string_view word = row.code == Code::to_le ? "le" : row.code == Code::to_be ? "be" : "bswap";
    return format("r{0} = {1}{2} r{0}", u32{insn.dst}, word, row.width);
}

/// "(u32 *)(r1 +16)"
std::string address(const OpcodeInfo& row, u32 base, i16 off, char sign = 'u') {
    return format("({}{} *)(r{} {:+})", sign, row.width, base, off);
}

std::string atomic(const OpcodeInfo& row, const Insn& insn) {
    const std::string where = address(row, insn.dst, insn.off);
    const u32 src = insn.src;
    if (row.operand == Operand::reg) return format("lock *{} {} r{}", where, assignment_of(row.code), src);
    const std::string_view prefix = row.width == 64 ? "atomic64" : "atomic";
    if (row.code == Code::cmpxchg) return format("r0 = {}_cmpxchg({}, r0, r{})", prefix, where, src);
    const std::string_view fetch = row.code == Code::xchg ? "" : "fetch_";
    return format("r{0} = {1}_{2}{3}({4}, r{0})", src, prefix, fetch, atomic_name(row.code), where);
}

std::string target(i64 index, i32 distance, const DisasmOptions& options) {
    if (options.target) return options.target(index + 1 + distance);
    return format("pc{:+}", distance);
}

std::string jump(const OpcodeInfo& row, const Insn& insn, u32 index, const DisasmOptions& options) {
    const char file = row.width == 64 ? 'r' : 'w';
    const std::string operand = row.operand == Operand::imm ? format("{:#x}", static_cast<u32>(insn.imm))
                                                            : format("{}{}", file, u32{insn.src});
    return format("if {}{} {} {} goto {}", file, u32{insn.dst}, comparison_of(row.code), operand,
                  target(index, insn.off, options));
}

std::string call(const Insn& insn, u32 index, const DisasmOptions& options) {
    switch (insn.src) {
    case kCallLocal: return format("call {}", target(index, insn.imm, options));
    case kCallKfunc: {
        std::string name = options.kfunc_name ? options.kfunc_name(insn.imm) : std::string();
        return format("call {}#{}", name.empty() ? "kernel-function" : name, insn.imm);
    }
    case kCallHelper: {
        std::string name =
            options.helper_name ? options.helper_name(static_cast<u32>(insn.imm)) : std::string();
        return format("call {}#{}", name.empty() ? "unknown" : name, insn.imm);
    }
    default: return format("call {}#{}", u32{insn.src}, insn.imm);
    }
}

std::string immediate(const Insn& first, const Insn& second, u32 index, const DisasmOptions& options) {
    if (options.immediate) {
        std::string text = options.immediate(first, second);
        if (!text.empty()) return text;
    }
    switch (first.src) {
    case kMapFd: return format("map[{}:{}]", options.map_key, first.imm);
    case kMapValue:
        return format("map[{}:{}][0]+{}", options.map_key, first.imm, static_cast<u32>(second.imm));
    case kVarAddr: return format("var[btf:{}]", first.imm);
    case kCodeAddr:
        return options.target ? format("subprog[{}]", target(index, first.imm, options))
                              : format("subprog[{:+}]", first.imm);
    case kMapIndex: return format("map[idx:{}]", first.imm);
    case kMapIndexValue: return format("map[idx:{}][0]+{}", first.imm, static_cast<u32>(second.imm));
    default: break;
    }
    const u64 value = static_cast<u32>(first.imm) | u64{static_cast<u32>(second.imm)} << 32;
    return format("{:#x}{}", value, options.assembles ? " ll" : "");
}

std::string text(std::span<const Insn> insns, u32 index, const DisasmOptions& options) {
    const Insn& insn = insns[index];
    const Op op = decode(insn);
    if (is_addr_space_cast(insn))
        return format("r{} = addr_space_cast(r{}, {}, {})", u32{insn.dst}, u32{insn.src},
                      static_cast<u32>(insn.imm) >> 16, static_cast<u32>(insn.imm) & 0xffff);
    if (op == Op::invalid)
        return format("invalid insn: code {:#x} dst {} src {} off {} imm {}", insn.opcode, u32{insn.dst},
                      u32{insn.src}, insn.off, insn.imm);
    const OpcodeInfo& row = info(op);
    const u32 dst = insn.dst;
    const u32 src = insn.src;
    switch (row.kind) {
    case OpKind::alu: return alu(row, insn);
    case OpKind::endian: return endian(row, insn);
    case OpKind::ldx:
        return format("r{} = *{}", dst, address(row, src, insn.off, row.code == Code::none ? 'u' : 's'));
    case OpKind::st: return format("*{} = {}", address(row, dst, insn.off), insn.imm);
    case OpKind::stx: return format("*{} = r{}", address(row, dst, insn.off), src);
    case OpKind::atomic: return atomic(row, insn);
    case OpKind::load_acquire: return format("r{} = load_acquire({})", dst, address(row, src, insn.off));
    case OpKind::store_release: return format("store_release({}, r{})", address(row, dst, insn.off), src);
    case OpKind::jump: return jump(row, insn, index, options);
    case OpKind::may_goto: return "may_goto " + target(index, insn.off, options);
    case OpKind::ja:
        return op == Op::ja ? "goto " + target(index, insn.off, options)
                            : "gotol " + target(index, insn.imm, options);
    case OpKind::call: return call(insn, index, options);
    case OpKind::exit: return "exit";
    case OpKind::ld_imm64:
        return format("r{} = {}", dst,
                      immediate(insn, index + 1 < insns.size() ? insns[index + 1] : Insn{}, index, options));
    case OpKind::ld_abs: return format("r0 = *(u{} *)skb[{}]", row.width, insn.imm);
    case OpKind::ld_ind: return format("r0 = *(u{} *)skb[r{} + {}]", row.width, src, insn.imm);
    case OpKind::lowered: break;
    }
    return std::string(row.name);
}

} // namespace

std::string disassemble(std::span<const Insn> insns, u32 index, const DisasmOptions& options) {
    std::string line = text(insns, index, options);
    return options.opcode ? format("({:02x}) {}", insns[index].opcode, line) : line;
}

} // namespace xdplane
