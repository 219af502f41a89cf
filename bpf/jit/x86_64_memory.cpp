// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/jit/x86_64_emitter.h"
#include "bpf/run/legacy_load.h"

namespace xdplane::x86_64 {

using asmjit::Imm;
namespace x86 = asmjit::x86;

namespace {

x86::Mem packet_field(std::size_t offset) {
    return x86::qword_ptr(machine_reg(R6, 64), static_cast<i32>(offset));
}

} // namespace

void Emitter::load(const LoweredInsn& insn) { load(insn, machine_reg(insn.src, 64)); }

void Emitter::load(const LoweredInsn& insn, const Gp& base) {
    const OpcodeInfo& row = info(insn.op);
    const x86::Mem from = x86::ptr(base, insn.off, row.width / 8);
    const Gp dst = machine_reg(insn.dst, 64);
    switch (row.code) {
    case Code::movsx8:
    case Code::movsx16: a_.movsx(dst, from); return;
    case Code::movsx32: a_.movsxd(dst, from); return;
    default: break;
    }
    if (row.width < 32) {
        a_.movzx(dst.r32(), from);
    } else {
        a_.mov(sized(dst, row.width), from);
    }
}

void Emitter::store(const LoweredInsn& insn) {
    const OpcodeInfo& row = info(insn.op);
    const x86::Mem to = x86::ptr(machine_reg(insn.dst, 64), insn.off, row.width / 8);
    if (row.kind != OpKind::st) {
        a_.mov(to, machine_reg(insn.src, row.width));
        return;
    }
    switch (row.width) {
    case 8: a_.mov(to, Imm(static_cast<i8>(insn.imm))); return;
    case 16: a_.mov(to, Imm(static_cast<i16>(insn.imm))); return;
    default: a_.mov(to, Imm(static_cast<i32>(insn.imm))); return;
    }
}

void Emitter::ctx_length(const LoweredInsn& insn) {
    // Through a scratch register: dst may be src.
    const Gp src = machine_reg(insn.src, 64);
    a_.mov(kScratch1, x86::qword_ptr(src, offsetof(XdpBuff, data_end)));
    a_.sub(kScratch1, x86::qword_ptr(src, offsetof(XdpBuff, data)));
    a_.mov(machine_reg(insn.dst, 32), kScratch1.r32());
}

void Emitter::atomic(const LoweredInsn& insn) {
    const OpcodeInfo& row = info(insn.op);
    const x86::Mem memory = x86::ptr(machine_reg(insn.dst, 64), insn.off, row.width / 8);
    const Gp src = machine_reg(insn.src, row.width);
    switch (row.code) {
    case Code::xchg: a_.xchg(memory, src); return; // locked by itself
    case Code::cmpxchg:
        a_.lock().cmpxchg(memory, src);
        // The machine leaves rax alone when the comparison succeeds.
        if (row.width == 32) a_.mov(x86::eax, x86::eax);
        return;
    default: break;
    }
    if (row.operand != Operand::fetch) {
        a_.lock();
        operate(row.code, memory, src);
    } else if (row.code == Code::add) {
        a_.lock().xadd(memory, src);
    } else {
        fetch_by_loop(insn, row);
    }
}

void Emitter::operate(Code code, const x86::Mem& memory, const Gp& src) {
    switch (code) {
    case Code::add: a_.add(memory, src); return;
    case Code::or_: a_.or_(memory, src); return;
    case Code::and_: a_.and_(memory, src); return;
    default: a_.xor_(memory, src); return;
    }
}

/// The machine fetches only with xadd and cmpxchg. rax, which cmpxchg compares with, is r0: it is set aside,
/// and wherever r0 is the base or the operand the copy stands in for it.
void Emitter::fetch_by_loop(const LoweredInsn& insn, const OpcodeInfo& row) {
    const bool src_is_r0 = insn.src == R0;
    const Gp saved = kScratch3;
    const Gp base = insn.dst == R0 ? saved : machine_reg(insn.dst, 64);
    const Gp operand = src_is_r0 ? sized(saved, row.width) : machine_reg(insn.src, row.width);
    const Gp old = sized(x86::rax, row.width);
    const Gp next = sized(kScratch2, row.width);
    const x86::Mem memory = x86::ptr(base, insn.off, row.width / 8);
    const Label again = a_.newLabel();

    a_.mov(saved, x86::rax);
    a_.mov(old, memory);
    a_.bind(again);
    a_.mov(next, old);
    switch (row.code) {
    case Code::or_: a_.or_(next, operand); break;
    case Code::and_: a_.and_(next, operand); break;
    default: a_.xor_(next, operand); break;
    }
    a_.lock().cmpxchg(memory, next);
    a_.jne(again);
    if (!src_is_r0) {
        a_.mov(sized(operand, row.width), old);
        a_.mov(x86::rax, saved);
    }
}

x86::CondCode Emitter::compare(const LoweredInsn& insn) {
    const OpcodeInfo& row = info(insn.op);
    const Gp dst = machine_reg(insn.dst, row.width);
    const Gp src = machine_reg(insn.src, row.width);
    const Imm imm(static_cast<i32>(insn.imm));
    const bool by_imm = row.operand == Operand::imm;
    if (row.code == Code::jset) {
        if (by_imm) {
            a_.test(dst, imm);
        } else {
            a_.test(dst, src);
        }
    } else if (by_imm && insn.imm == 0) {
        a_.test(dst, dst); // the flags of a comparison with 0, and shorter
    } else if (by_imm) {
        a_.cmp(dst, imm);
    } else {
        a_.cmp(dst, src);
    }
    switch (row.code) {
    case Code::jeq: return x86::CondCode::kE;
    case Code::jne:
    case Code::jset: return x86::CondCode::kNE;
    case Code::jgt: return x86::CondCode::kA;
    case Code::jge: return x86::CondCode::kAE;
    case Code::jlt: return x86::CondCode::kB;
    case Code::jle: return x86::CondCode::kBE;
    case Code::jsgt: return x86::CondCode::kG;
    case Code::jsge: return x86::CondCode::kGE;
    case Code::jslt: return x86::CondCode::kL;
    default: return x86::CondCode::kLE;
    }
}

void Emitter::jump(const LoweredInsn& insn, const Label& target) {
    const x86::CondCode condition = compare(insn);
    a_.j(condition, target);
}

void Emitter::may_goto(const LoweredInsn& insn, const Label& target) {
    const x86::Mem budget = x86::qword_ptr(machine_reg(R10, 64), static_cast<i32>(insn.imm));
    a_.cmp(budget, Imm(0));
    a_.je(target);
    a_.dec(budget);
}

/// Offsets from the start of the packet are loaded here, negative ones by the C++ function.
void Emitter::legacy_load(const LoweredInsn& insn, const Label& out_of_range) {
    const OpcodeInfo& row = info(insn.op);
    const u32 size = row.width / 8;
    const i32 constant = static_cast<i32>(insn.imm);
    const Gp offset = kScratch2;
    if (row.kind == OpKind::ld_abs) {
        if (constant < 0) {
            load_constant(offset, static_cast<u32>(constant));
            legacy_load_call(offset, size, out_of_range);
        } else if (constant <= INT32_MAX - 4) {
            legacy_load_inline(x86::ptr(kScratch1, constant), size, out_of_range);
        } else {
            load_constant(offset, static_cast<u32>(constant));
            legacy_load_inline(x86::ptr(kScratch1, offset), size, out_of_range);
        }
        return;
    }
    const Label slow = a_.newLabel();
    const Label done = a_.newLabel();
    a_.mov(offset.r32(), machine_reg(insn.src, 32));
    if (constant != 0) a_.add(offset.r32(), Imm(constant));
    a_.test(offset.r32(), offset.r32());
    a_.js(slow);
    legacy_load_inline(x86::ptr(kScratch1, offset), size, out_of_range);
    a_.jmp(done);
    a_.bind(slow);
    legacy_load_call(offset, size, out_of_range);
    a_.bind(done);
}

/// `from` is relative to the start of the packet, which this puts into kScratch1.
void Emitter::legacy_load_inline(x86::Mem from, u32 size, const Label& out_of_range) {
    a_.mov(kScratch1, packet_field(offsetof(XdpBuff, data)));
    a_.lea(kScratch3, from.cloneAdjusted(size));
    a_.cmp(kScratch3, packet_field(offsetof(XdpBuff, data_end)));
    a_.ja(out_of_range);
    from.setSize(size);
    if (size == 4) {
        a_.mov(x86::eax, from);
        a_.bswap(x86::eax);
    } else {
        a_.movzx(x86::eax, from);
        if (size == 2) a_.rol(x86::ax, Imm(8));
    }
}

void Emitter::legacy_load_call(const Gp& offset, u32 size, const Label& out_of_range) {
    a_.mov(x86::rdi, machine_reg(R6, 64));
    a_.mov(x86::esi, offset.r32());
    load_constant(x86::rdx, size);
    load_constant(x86::rax, reinterpret_cast<std::uintptr_t>(&xdplane::legacy_load));
    a_.call(x86::rax);
    a_.test(x86::rax, x86::rax);
    a_.js(out_of_range);
}

} // namespace xdplane::x86_64
