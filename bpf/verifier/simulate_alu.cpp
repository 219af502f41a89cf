// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <cerrno>

#include "bpf/isa/disassembler.h"
#include "bpf/verifier/simulation.h"

namespace xdplane {
namespace {

/// Offsets of pointers stay below this (Linux's BPF_MAX_VAR_OFF), so that sums of a few never wrap.
constexpr i64 kMaxOffset = 1 << 29;

/// Low bits that a move sign-extends; 0: a plain move.
unsigned extended_bits(Code code) {
    switch (code) {
    case Code::movsx8: return 8;
    case Code::movsx16: return 16;
    case Code::movsx32: return 32;
    default: return 0;
    }
}

bool is_move(Code code) { return code == Code::mov || extended_bits(code) != 0; }
bool is_bitwise(Code code) { return code == Code::and_ || code == Code::or_ || code == Code::xor_; }

/// Linux's sign of an operation on a pointer: division is "/=" whether signed or not.
std::string_view sign_of(Code code) {
    if (code == Code::sdiv) return assignment_of(Code::div);
    if (code == Code::smod) return assignment_of(Code::mod);
    return assignment_of(code);
}

void unlink(RegState& scalar) {
    scalar.id = 0;
    scalar.off = 0;
    scalar.added = 0;
}

/// What the number that `result` was made from, `dst`, leaves of its link: a constant added once is kept as a
/// distance, anything else ends it.
void keep_link(RegState& result, const OpcodeInfo& row, const RegState& dst, const Range& n, bool by_itself) {
    const bool adds = row.code == Code::add || row.code == Code::sub;
    const bool known = row.width == 64 ? n.bits.is_const() : n.bits.low(32).is_const();
    if (!adds || !known || by_itself || dst.id == 0 || dst.added != 0) return;
    const i64 value = row.width == 64 ? static_cast<i64>(n.bits.value) : static_cast<i32>(n.bits.value);
    const i64 off = row.code == Code::add ? value : -value;
    if (value != static_cast<i32>(value) || off != static_cast<i32>(off)) return;
    if (row.width == 32 && dst.var.wide.umax > std::numeric_limits<u32>::max()) return;
    result.id = dst.id;
    result.off = static_cast<i32>(off);
    result.added = row.width;
}

} // namespace

bool Verifier::simulate_alu(const OpcodeInfo& row, const Insn& insn) {
    const bool with_reg = row.operand == Operand::reg;
    if (with_reg && !check_read(insn.src)) return false;
    if (is_move(row.code)) return simulate_mov(row, insn);
    if (!check_read(insn.dst)) return false;

    const RegState dst = reg(insn.dst);
    if (row.code == Code::neg) {
        if (leaks(dst)) return reject(EACCES, "R{} pointer arithmetic prohibited", insn.dst);
        set_reg(insn.dst, dst.is_scalar()
                              ? RegState::scalar(range_alu(Code::neg, row.width, dst.var, dst.var))
                              : RegState::unknown());
        return true;
    }
    const RegState src = with_reg ? reg(insn.src) : RegState::constant(static_cast<u64>(i64{insn.imm}));
    if (dst.is_pointer() && src.is_pointer()) {
        if (row.code != Code::sub || !request_.privileged)
            return reject(EACCES, "R{} pointer {} pointer prohibited", insn.dst, sign_of(row.code));
        set_reg(insn.dst, RegState::unknown());
        return true;
    }
    if (dst.is_pointer() || src.is_pointer()) {
        const u32 pointer = dst.is_pointer() ? insn.dst : insn.src;
        const u32 scalar = !dst.is_pointer() ? u32{insn.dst} : with_reg ? u32{insn.src} : kRegisters;
        return add_to_pointer(row, insn, pointer, scalar);
    }
    return simulate_scalar_alu(row, insn, src.var);
}

bool Verifier::simulate_scalar_alu(const OpcodeInfo& row, const Insn& insn, const Range& n) {
    if (const auto fork = range_fork(row.code, reg(insn.dst).var, n)) {
        State zero = *cur_;
        zero.top().regs[insn.dst].var = fork->zero;
        if (push_pending(insn_, std::move(zero)) == nullptr) return false;
        reg(insn.dst).var = fork->minus_one;
    }
    const RegState dst = reg(insn.dst);
    const bool by_itself = row.operand == Operand::reg && insn.src == insn.dst;
    RegState result = RegState::scalar(range_alu(row.code, row.width, dst.var, n));
    if (request_.privileged) keep_link(result, row, dst, n, by_itself);
    set_reg(insn.dst, result);
    return true;
}

/// The same number is about to be in two places: what is learnt of one holds for the other.
void Verifier::link_source(RegState& src) {
    if (!src.is_scalar()) return;
    if (src.added != 0) unlink(src);
    if (src.id == 0 && !src.var.is_const()) src.id = new_id();
}

bool Verifier::simulate_mov(const OpcodeInfo& row, const Insn& insn) {
    if (row.operand == Operand::imm) {
        const u64 value = row.width == 64 ? static_cast<u64>(i64{insn.imm}) : static_cast<u32>(insn.imm);
        set_reg(insn.dst, RegState::constant(value));
        return true;
    }
    RegState& src = reg(insn.src);
    const unsigned bits = extended_bits(row.code);
    if (src.is_pointer()) {
        if (row.width == 64 && bits == 0) {
            set_reg(insn.dst, src);
            return true;
        }
        if (leaks(src) && row.width == 64)
            return reject(EACCES, "R{} sign-extension part of pointer", insn.src);
        if (leaks(src)) return reject(EACCES, "R{} partial copy of pointer", insn.src);
        set_reg(insn.dst, row.width == 64 ? RegState::unknown() : RegState::scalar(Range::of_width(32)));
        return true;
    }
    const u64 most = src.var.wide.umax;
    const bool same =
        bits != 0 ? most < u64{1} << (bits - 1) : row.width == 64 || most <= std::numeric_limits<u32>::max();
    if (same) link_source(src);
    RegState result = src;
    if (!same) unlink(result);
    result.var = range_alu(row.code, row.width, src.var, src.var);
    set_reg(insn.dst, result);
    return true;
}

bool Verifier::simulate_endian(const OpcodeInfo& row, const Insn& insn) {
    RegState result = reg(insn.dst);
    if (leaks(result)) return reject(EACCES, "R{} pointer arithmetic prohibited", insn.dst);
    if (!result.is_scalar()) {
        set_reg(insn.dst, RegState::unknown());
        return true;
    }
    result.var = range_swap(row.code, row.width, result.var);
    if (row.code != Code::to_le || row.width != 64) unlink(result);
    set_reg(insn.dst, result);
    return true;
}

/// `pointer` is what messages are about, `r` its offset or the number that is added to it.
bool Verifier::check_offset_sane(const RegState& pointer, const RegState& r) {
    const Range& n = r.var;
    const i64 value = static_cast<i64>(n.bits.value);
    const std::string kind = kind_name(pointer);
    if (n.is_const() && (value >= kMaxOffset || value <= -kMaxOffset))
        return reject(EINVAL, "math between {} pointer and {} is not allowed", kind, value);
    if (r.off >= kMaxOffset || r.off <= -kMaxOffset)
        return reject(EINVAL, "{} pointer offset {} is not allowed", kind, r.off);
    if (n.wide.smin == std::numeric_limits<i64>::min())
        return reject(EINVAL, "math between {} pointer and register with unbounded min value is not allowed",
                      kind);
    if (n.wide.smin >= kMaxOffset || n.wide.smin <= -kMaxOffset)
        return reject(EINVAL, "value {} makes {} pointer be out of bounds", n.wide.smin, kind);
    return true;
}

/// Whether a pointer of this kind may be moved by this insn at all.
bool Verifier::check_pointer_moves(const OpcodeInfo& row, const Insn& insn, const RegState& pointer,
                                   const Range& n) {
    if (pointer.or_null)
        return reject(EACCES, "R{} pointer arithmetic on {} prohibited, null-check it first", insn.dst,
                      kind_name(pointer));
    const bool by_nothing = row.code == Code::add && n.is_const() && n.value() == 0;
    switch (pointer.kind) {
    case RegKind::ctx:
    case RegKind::map_value:
    case RegKind::map_key:
    case RegKind::func:
    case RegKind::dynptr:
    case RegKind::stack:
    case RegKind::packet:
    case RegKind::packet_meta:
    case RegKind::mem: return true;
    case RegKind::map_ptr:
        if (by_nothing) return true;
        break;
    default: break;
    }
    return reject(EACCES, "R{} pointer arithmetic on {} prohibited", insn.dst, kind_name(pointer));
}

/// What Linux refuses of operations other than addition.
bool Verifier::check_pointer_operation(const OpcodeInfo& row, const Insn& insn, const RegState& pointer,
                                       bool from_scalar) {
    const auto what = sign_of(row.code);
    if (row.code == Code::add) return true;
    if (is_bitwise(row.code))
        return reject(EACCES, "R{} bitwise operator {} on pointer prohibited", insn.dst, what);
    if (row.code != Code::sub)
        return reject(EACCES, "R{} pointer arithmetic with {} operator prohibited", insn.dst, what);
    if (from_scalar) return reject(EACCES, "R{} tried to subtract pointer from scalar", insn.dst);
    if (pointer.kind == RegKind::stack)
        return reject(EACCES, "R{} subtraction from stack pointer prohibited", insn.dst);
    return true;
}

bool Verifier::add_to_pointer(const OpcodeInfo& row, const Insn& insn, u32 pointer_reg, u32 scalar_reg) {
    if (scalar_reg < kRegisters) mark_precise(scalar_reg);
    const RegState pointer = reg(pointer_reg);
    const RegState scalar =
        scalar_reg < kRegisters ? reg(scalar_reg) : RegState::constant(static_cast<u64>(i64{insn.imm}));
    const Range& n = scalar.var;
    if (!n.consistent() || (row.width == 32 && row.code == Code::sub && request_.privileged)) {
        set_reg(insn.dst, RegState::unknown());
        return true;
    }
    if (row.width == 32) return reject(EACCES, "R{} 32-bit pointer arithmetic prohibited", insn.dst);
    if (!check_pointer_moves(row, insn, pointer, n)) return false;
    if (!check_offset_sane(pointer, scalar) || !check_offset_sane(pointer, pointer)) return false;
    if (!check_pointer_operation(row, insn, pointer, pointer_reg != insn.dst)) return false;

    if (!privileged() && scalar_reg < kRegisters && !check_masked_offset(row, insn, pointer, n)) return false;

    RegState result = pointer;
    const i64 off = row.code == Code::add ? pointer.off + n.wide.smin : pointer.off - n.wide.smin;
    if (n.is_const() && off == static_cast<i32>(off)) {
        result.off = static_cast<i32>(off);
        // Further down it may be within the packet again.
        if (off < pointer.off && result.in_packet()) result.range = std::max(result.range, 0);
    } else {
        result.var = range_offset(row.code, pointer.var, n);
        if (pointer.in_packet()) {
            // Another base: what was proved of the old one holds only if this one lies below.
            result.id = new_id();
            if (row.code == Code::add || n.wide.smin < 0) result.range = 0;
        }
    }
    if (!check_offset_sane(pointer, result)) return false;
    set_reg(insn.dst, result);
    return privileged() || check_within(insn.dst);
}

/// Where the CPU speculates, offsets of the unprivileged are masked on Linux: what cannot be is refused
/// there.
bool Verifier::check_masked_offset(const OpcodeInfo& row, const Insn& insn, const RegState& pointer,
                                   const Range& n) {
    constexpr const char* kProhibited = "pointer arithmetic with it prohibited for !root";
    const bool negative = n.wide.smin < 0;
    if (!n.is_const() && negative != (n.wide.smax < 0))
        return reject(EACCES, "R{} has unknown scalar with mixed signed bounds, {}", insn.dst, kProhibited);
    const bool down = (row.code == Code::add) == negative;
    i64 room = 0;
    i64 used = 0;
    if (pointer.kind == RegKind::stack) {
        room = i64{kStackSize} + (down ? 1 : 0);
        used = -(static_cast<i64>(pointer.var.bits.value) + pointer.off);
    } else if (pointer.kind == RegKind::map_value) {
        room = pointer.map->spec().value_size;
        used = (down ? pointer.var.wide.smin : static_cast<i64>(pointer.var.wide.umax)) + pointer.off;
    } else {
        return reject(EACCES, "R{} has pointer with unsupported alu operation, {}", insn.dst, kProhibited);
    }
    if (used >= room)
        return reject(EACCES, "R{} tried to {} beyond pointer bounds, {}", insn.dst,
                      row.code == Code::add ? "add" : "sub", kProhibited);
    return true;
}

/// The unprivileged must keep pointers within what they point into.
bool Verifier::check_within(u32 number) {
    const RegState& r = reg(number);
    if (r.kind == RegKind::stack) {
        if (!r.var.is_const())
            return reject(EACCES,
                          "R{} variable stack access prohibited for !root, var_off=({:#x}; {:#x}) off={}",
                          number, r.var.bits.value, r.var.bits.mask, r.off);
        const i64 off = r.off + static_cast<i64>(r.var.value());
        if (off >= 0 || off < -i64{kStackSize})
            return reject(EACCES,
                          "R{} stack pointer arithmetic goes out of range, prohibited for !root; off={}",
                          number, off);
    }
    if (r.kind == RegKind::map_value && !check_map_access({number, 0, 1, false}))
        return reject(EACCES, "R{} pointer arithmetic of map value goes out of range, prohibited for !root",
                      number);
    return true;
}

} // namespace xdplane
