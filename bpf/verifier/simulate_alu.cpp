// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/isa/disassembler.h"
#include "bpf/verifier/simulation.h"

#include <cerrno>

namespace xdplane {
namespace {

/// Offsets of pointers stay below this (Linux's BPF_MAX_VAR_OFF), so that sums of a few never wrap.
constexpr i64 kMaxOffset = 1 << 29;

bool is_move(Code code) {
    return code == Code::mov || code == Code::movsx8 || code == Code::movsx16 || code == Code::movsx32;
}

} // namespace

bool Verifier::simulate_alu(const OpcodeInfo& row, const Insn& insn) {
    if (row.operand == Operand::reg && !check_read(insn.src)) return false;
    if (is_move(row.code)) return simulate_mov(row, insn);
    if (!check_read(insn.dst)) return false;

    const RegState immediate = RegState::constant(static_cast<u64>(i64{insn.imm}));
    const RegState dst = reg(insn.dst);
    const RegState src = row.operand == Operand::reg ? reg(insn.src) : immediate;
    if (row.code == Code::neg) {
        set_reg(insn.dst, dst.is_scalar()
                              ? RegState::scalar(range_alu(Code::neg, row.width, dst.var, dst.var))
                              : RegState::scalar(Range::of_width(row.width)));
        return true;
    }
    if (dst.is_pointer() && src.is_pointer()) {
        if (row.code != Code::sub)
            return reject(EACCES, "R{} pointer {} pointer prohibited", insn.dst, assignment_of(row.code));
        set_reg(insn.dst, RegState::scalar(Range::of_width(row.width)));
        return true;
    }
    if (dst.is_pointer() || src.is_pointer()) {
        if (row.width == 32) {
            if (row.code == Code::sub) {
                set_reg(insn.dst, RegState::scalar(Range::of_width(32)));
                return true;
            }
            return reject(EACCES, "R{} 32-bit pointer arithmetic prohibited", insn.dst);
        }
        const u32 pointer = dst.is_pointer() ? insn.dst : insn.src;
        const u32 scalar =
            dst.is_pointer() ? (row.operand == Operand::reg ? u32{insn.src} : kRegisters) : u32{insn.dst};
        return add_to_pointer(row, insn, pointer, scalar);
    }

    RegState result = RegState::scalar(range_alu(row.code, row.width, dst.var, src.var));
    // A constant added to a linked number keeps the link.
    const i64 sum = i64{dst.off} + insn.imm;
    if (row.code == Code::add && row.width == 64 && row.operand == Operand::imm && dst.id != 0 &&
        sum == static_cast<i32>(sum) && !result.var.is_const()) {
        result.id = dst.id;
        result.off = static_cast<i32>(sum);
    }
    set_reg(insn.dst, result);
    return true;
}

bool Verifier::simulate_mov(const OpcodeInfo& row, const Insn& insn) {
    if (row.operand == Operand::imm) {
        const u64 value = row.width == 64 ? static_cast<u64>(i64{insn.imm}) : static_cast<u32>(insn.imm);
        set_reg(insn.dst, RegState::constant(value));
        return true;
    }
    RegState& src = reg(insn.src);
    if (src.is_pointer()) {
        if (row.code == Code::mov && row.width == 64) {
            set_reg(insn.dst, src);
            return true;
        }
        // The privileged may see what addresses look like.
        const Range any = row.code == Code::mov ? Range::of_width(32) : Range::unknown();
        set_reg(insn.dst, RegState::scalar(row.width == 32 ? Range::of_width(32) : any));
        return true;
    }
    const Range moved = range_alu(row.code, row.width, src.var, src.var);
    RegState result = RegState::scalar(moved);
    // The same number in two places: what is learnt of one holds for the other.
    const i64 half = i64{1} << (row.code == Code::movsx8 ? 7 : row.code == Code::movsx16 ? 15 : 31);
    const bool fits_signed = src.var.wide.smin >= -half && src.var.wide.smax < half;
    const bool fits_unsigned = src.var.wide.umax <= std::numeric_limits<u32>::max();
    const bool same = row.code == Code::mov ? row.width == 64 || fits_unsigned
                                            : fits_signed && (row.width == 64 || src.var.wide.smin >= 0);
    if (same && !moved.is_const()) {
        if (src.id == 0) {
            src.id = new_id();
            src.off = 0;
        }
        result.id = src.id;
        result.off = src.off;
    }
    set_reg(insn.dst, result);
    return true;
}

void Verifier::simulate_endian(const OpcodeInfo& row, const Insn& insn) {
    // le64 changes nothing here, but Linux forgets the number too.
    set_reg(insn.dst, RegState::scalar(Range::of_width(row.width)));
}

bool Verifier::check_offset_sane(const RegState& pointer, const RegState& scalar) {
    const Range& n = scalar.var;
    const std::string kind = kind_name(pointer);
    if (n.is_const() && (n.wide.smin >= kMaxOffset || n.wide.smin <= -kMaxOffset))
        return reject(EINVAL, "math between {} pointer and {} is not allowed", kind, n.wide.smin);
    if (pointer.off >= kMaxOffset || pointer.off <= -kMaxOffset)
        return reject(EINVAL, "{} pointer offset {} is not allowed", kind, pointer.off);
    if (n.wide.smin == std::numeric_limits<i64>::min())
        return reject(EINVAL, "math between {} pointer and register with unbounded min value is not allowed",
                      kind);
    if (n.wide.smin >= kMaxOffset || n.wide.smin <= -kMaxOffset)
        return reject(EINVAL, "value {} makes {} pointer be out of bounds", n.wide.smin, kind);
    return true;
}

bool Verifier::add_to_pointer(const OpcodeInfo& row, const Insn& insn, u32 pointer_reg, u32 scalar_reg) {
    const RegState pointer = reg(pointer_reg);
    const RegState scalar =
        scalar_reg < kRegisters ? reg(scalar_reg) : RegState::constant(static_cast<u64>(i64{insn.imm}));
    if (row.code != Code::add && row.code != Code::sub) {
        const bool bitwise = row.code == Code::and_ || row.code == Code::or_ || row.code == Code::xor_;
        if (bitwise)
            return reject(EACCES, "R{} bitwise operator {} on pointer prohibited", insn.dst,
                          assignment_of(row.code));
        return reject(EACCES, "R{} pointer arithmetic with {} operator prohibited", insn.dst,
                      assignment_of(row.code));
    }
    if (row.code == Code::sub && pointer_reg != insn.dst)
        return reject(EACCES, "R{} tried to subtract pointer from scalar", insn.dst);
    if (pointer.or_null)
        return reject(EACCES, "R{} pointer arithmetic on {} prohibited, null-check it first", insn.dst,
                      kind_name(pointer));
    switch (pointer.kind) {
    case RegKind::map_ptr:
    case RegKind::packet_end:
        return reject(EACCES, "R{} pointer arithmetic on {} prohibited", insn.dst, kind_name(pointer));
    case RegKind::stack:
        if (row.code == Code::sub)
            return reject(EACCES, "R{} subtraction from stack pointer prohibited", insn.dst);
        break;
    default: break;
    }
    if (scalar_reg < kRegisters) mark_precise(scalar_reg);
    if (!check_offset_sane(pointer, scalar)) return false;

    RegState result = pointer;
    if (scalar.var.is_const()) {
        const i64 n = scalar.var.wide.smin;
        const i64 off = row.code == Code::add ? pointer.off + n : pointer.off - n;
        if (off >= kMaxOffset || off <= -kMaxOffset)
            return reject(EINVAL, "{} pointer offset {} is not allowed", kind_name(pointer), off);
        result.off = static_cast<i32>(off);
    } else {
        result.var = range_alu(row.code, 64, pointer.var, scalar.var);
        if (result.var.wide.smin <= -kMaxOffset - 1)
            return reject(EINVAL, "value {} makes {} pointer be out of bounds", result.var.wide.smin,
                          kind_name(pointer));
        if (pointer.in_packet()) {
            // Another base: what was proved of the old one does not hold.
            result.id = new_id();
            result.range = 0;
        }
    }
    set_reg(insn.dst, result);
    return true;
}

} // namespace xdplane
