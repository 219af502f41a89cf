// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <bit>

#include "bpf/jit/x86_64_emitter.h"

namespace xdplane::x86_64 {

using asmjit::Imm;
namespace x86 = asmjit::x86;

Features host_features() {
    Features features;
    features.bmi2 = asmjit::CpuInfo::host().features().x86().hasBMI2();
    return features;
}

Gp sized(const Gp& reg, u32 bits) {
    switch (bits) {
    case 8: return reg.r8();
    case 16: return reg.r16();
    case 32: return reg.r32();
    default: return reg.r64();
    }
}

Gp machine_reg(u8 bpf_reg, u32 bits) { return sized(kRegisterMap[bpf_reg], bits); }

void Emitter::load_constant(const Gp& reg, u64 value) {
    if (value == 0) {
        a_.xor_(reg.r32(), reg.r32());
    } else if (value <= UINT32_MAX) {
        a_.mov(reg.r32(), Imm(static_cast<u32>(value)));
    } else {
        a_.mov(reg.r64(), Imm(static_cast<i64>(value)));
    }
}

void Emitter::alu(const LoweredInsn& insn) {
    const OpcodeInfo& row = info(insn.op);
    switch (row.code) {
    case Code::add:
    case Code::sub:
    case Code::and_:
    case Code::or_:
    case Code::xor_: binary(insn, row); return;
    case Code::mul: multiply(insn, row); return;
    case Code::mov: move(insn, row); return;
    case Code::neg: a_.neg(machine_reg(insn.dst, row.width)); return;
    case Code::lsh:
    case Code::rsh:
    case Code::arsh: shift(insn, row); return;
    case Code::div:
    case Code::mod:
    case Code::sdiv:
    case Code::smod: divide(insn, row); return;
    default: move_sign_extended(insn, row); return;
    }
}

void Emitter::binary(const LoweredInsn& insn, const OpcodeInfo& row) {
    const Gp dst = machine_reg(insn.dst, row.width);
    const auto emit = [&](const auto& operand) {
        switch (row.code) {
        case Code::add: a_.add(dst, operand); return;
        case Code::sub: a_.sub(dst, operand); return;
        case Code::and_: a_.and_(dst, operand); return;
        case Code::or_: a_.or_(dst, operand); return;
        default: a_.xor_(dst, operand); return;
        }
    };
    if (row.operand == Operand::imm) {
        emit(Imm(static_cast<i32>(insn.imm)));
    } else {
        emit(machine_reg(insn.src, row.width));
    }
}

void Emitter::multiply(const LoweredInsn& insn, const OpcodeInfo& row) {
    const Gp dst = machine_reg(insn.dst, row.width);
    if (row.operand == Operand::imm) {
        a_.imul(dst, dst, Imm(static_cast<i32>(insn.imm)));
    } else {
        a_.imul(dst, machine_reg(insn.src, row.width));
    }
}

void Emitter::move(const LoweredInsn& insn, const OpcodeInfo& row) {
    const Gp dst = machine_reg(insn.dst, row.width);
    if (row.operand == Operand::reg) {
        a_.mov(dst, machine_reg(insn.src, row.width));
    } else {
        load_constant(dst, row.width == 64 ? static_cast<u64>(insn.imm) : static_cast<u32>(insn.imm));
    }
}

void Emitter::move_sign_extended(const LoweredInsn& insn, const OpcodeInfo& row) {
    const Gp dst = machine_reg(insn.dst, row.width);
    switch (row.code) {
    case Code::movsx8: a_.movsx(dst, machine_reg(insn.src, 8)); return;
    case Code::movsx16: a_.movsx(dst, machine_reg(insn.src, 16)); return;
    default: a_.movsxd(dst, machine_reg(insn.src, 32)); return;
    }
}

void Emitter::endian(const LoweredInsn& insn) {
    const OpcodeInfo& row = info(insn.op);
    const Gp reg = machine_reg(insn.dst, row.width);
    const bool swap = row.code != Code::to_le; // the machine is little-endian
    switch (row.width) {
    case 16:
        if (swap) a_.rol(reg, Imm(8));
        a_.movzx(reg.r32(), reg.r16());
        return;
    case 32:
        if (swap) {
            a_.bswap(reg);
        } else {
            a_.mov(reg, reg);
        }
        return;
    default:
        if (swap) a_.bswap(reg);
        return;
    }
}

void Emitter::shift(const LoweredInsn& insn, const OpcodeInfo& row) {
    const Gp dst = machine_reg(insn.dst, row.width);
    if (row.operand == Operand::reg) {
        shift_by_register(row.code, dst, machine_reg(insn.src, row.width));
        return;
    }
    const u32 bits = static_cast<u32>(insn.imm) & (row.width - 1U);
    if (bits == 0) {
        if (row.width == 32) a_.mov(dst, dst);
        return;
    }
    const Imm count(bits);
    switch (row.code) {
    case Code::lsh: a_.shl(dst, count); break;
    case Code::rsh: a_.shr(dst, count); break;
    default: a_.sar(dst, count); break;
    }
}

void Emitter::shift_by_register(Code code, const Gp& dst, const Gp& count) {
    if (features_.bmi2) {
        switch (code) {
        case Code::lsh: a_.shlx(dst, dst, count); return;
        case Code::rsh: a_.shrx(dst, dst, count); return;
        default: a_.sarx(dst, dst, count); return;
        }
    }
    const bool saves_rcx = count.id() != x86::rcx.id();
    const bool dst_is_rcx = dst.id() == x86::rcx.id();
    const Gp shifted = dst_is_rcx && saves_rcx ? sized(kScratch1, dst.size() * 8) : dst;
    if (saves_rcx) {
        a_.mov(kScratch1, x86::rcx);
        a_.mov(x86::ecx, count.r32());
    }
    shift_by_cl(code, shifted);
    // The manuals do not promise that a 32-bit shift by nothing clears the upper half.
    if (dst.size() == 4) a_.mov(shifted, shifted);
    if (saves_rcx) a_.mov(x86::rcx, kScratch1);
}

void Emitter::shift_by_cl(Code code, const Gp& dst) {
    switch (code) {
    case Code::lsh: a_.shl(dst, x86::cl); return;
    case Code::rsh: a_.shr(dst, x86::cl); return;
    default: a_.sar(dst, x86::cl); return;
    }
}

/// RFC 9669 section 4.1: division by zero gives 0, modulo by zero the dividend; the smallest number divided
/// by -1 is itself, with remainder 0.
void Emitter::divide(const LoweredInsn& insn, const OpcodeInfo& row) {
    const bool is_signed = row.code == Code::sdiv || row.code == Code::smod;
    const bool remainder = row.code == Code::mod || row.code == Code::smod;
    const Gp dst = machine_reg(insn.dst, row.width);
    const Gp divisor = sized(kScratch1, row.width);
    if (row.operand == Operand::imm) {
        if (divide_by_constant(insn, row)) return;
        load_constant(divisor, row.width == 64 ? static_cast<u64>(insn.imm) : static_cast<u32>(insn.imm));
        divide_machine(dst, divisor, is_signed, remainder);
        return;
    }
    const Label zero = a_.newLabel();
    const Label minus_one = a_.newLabel();
    const Label done = a_.newLabel();
    a_.mov(divisor, machine_reg(insn.src, row.width));
    a_.test(divisor, divisor);
    a_.jz(zero);
    if (is_signed) {
        a_.cmp(divisor, Imm(-1));
        a_.je(minus_one);
    }
    divide_machine(dst, divisor, is_signed, remainder);
    a_.jmp(done);
    if (is_signed) {
        a_.bind(minus_one);
        if (remainder) {
            a_.xor_(dst.r32(), dst.r32());
        } else {
            a_.neg(dst);
        }
        a_.jmp(done);
    }
    a_.bind(zero);
    if (!remainder) {
        a_.xor_(dst.r32(), dst.r32());
    } else if (row.width == 32) {
        a_.mov(dst, dst);
    }
    a_.bind(done);
}

/// Divisors that need no division, or must not reach it. False: divide.
bool Emitter::divide_by_constant(const LoweredInsn& insn, const OpcodeInfo& row) {
    const bool remainder = row.code == Code::mod || row.code == Code::smod;
    const bool is_signed = row.code == Code::sdiv || row.code == Code::smod;
    const Gp dst = machine_reg(insn.dst, row.width);
    const u64 divisor = row.width == 64 ? static_cast<u64>(insn.imm) : static_cast<u32>(insn.imm);
    if (divisor == 0) {
        if (!remainder) {
            a_.xor_(dst.r32(), dst.r32());
        } else if (row.width == 32) {
            a_.mov(dst, dst);
        }
        return true;
    }
    if (is_signed) {
        if (insn.imm != -1) return false;
        if (remainder) {
            a_.xor_(dst.r32(), dst.r32());
        } else {
            a_.neg(dst);
        }
        return true;
    }
    if (!std::has_single_bit(divisor)) return false;
    // A negative imm with one bit set is 1 << 31, sign-extended for 64 bits: not a single bit then.
    if (divisor == 1) {
        if (remainder) {
            a_.xor_(dst.r32(), dst.r32());
        } else if (row.width == 32) {
            a_.mov(dst, dst);
        }
    } else if (remainder) {
        a_.and_(dst, Imm(static_cast<i32>(divisor - 1)));
    } else {
        a_.shr(dst, Imm(std::countr_zero(divisor)));
    }
    return true;
}

/// dst = dst / divisor or dst % divisor. `divisor` is a scratch register and neither 0 nor, signed, -1.
/// The machine divides rdx:rax only.
void Emitter::divide_machine(const Gp& dst, const Gp& divisor, bool is_signed, bool remainder) {
    const bool dst_is_rax = dst.id() == x86::rax.id();
    const bool dst_is_rdx = dst.id() == x86::rdx.id();
    const u32 bits = dst.size() * 8;
    if (!dst_is_rax) {
        a_.mov(kScratch2, x86::rax);
        a_.mov(sized(x86::rax, bits), dst);
    }
    if (!dst_is_rdx) a_.mov(kScratch3, x86::rdx);
    if (!is_signed) {
        a_.xor_(x86::edx, x86::edx);
        a_.div(divisor);
    } else {
        if (bits == 64) {
            a_.cqo();
        } else {
            a_.cdq();
        }
        a_.idiv(divisor);
    }
    const Gp result = sized(remainder ? x86::rdx : x86::rax, bits);
    if (result.id() != dst.id()) a_.mov(dst, result);
    if (!dst_is_rax) a_.mov(x86::rax, kScratch2);
    if (!dst_is_rdx) a_.mov(x86::rdx, kScratch3);
}

} // namespace xdplane::x86_64
