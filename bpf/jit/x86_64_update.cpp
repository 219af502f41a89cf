// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Counters: what is loaded, changed and stored again where it came from is changed there. Two shapes, of
// which the second is what compilers make of `*p += reg`:
//
//     a = *p; a += x; *p = a;          a = *p; x += a; *p = x;
#include "bpf/jit/x86_64_compiler.h"

namespace xdplane::x86_64 {

using asmjit::Imm;
namespace x86 = asmjit::x86;

namespace {

bool is_update(const OpcodeInfo& row) {
    if (row.kind != OpKind::alu) return false;
    return row.code == Code::add || row.code == Code::sub || row.code == Code::and_ ||
           row.code == Code::or_ || row.code == Code::xor_;
}

template<class Operand>
void emit_update(x86::Assembler& a, Code code, const x86::Mem& memory, const Operand& operand) {
    switch (code) {
    case Code::add: a.add(memory, operand); return;
    case Code::sub: a.sub(memory, operand); return;
    case Code::and_: a.and_(memory, operand); return;
    case Code::or_: a.or_(memory, operand); return;
    default: a.xor_(memory, operand); return;
    }
}

/// As the machine takes it for an operation on so many bits.
Imm immediate(i64 value, u32 bits) {
    switch (bits) {
    case 8: return Imm(static_cast<i8>(value));
    case 16: return Imm(static_cast<i16>(value));
    default: return Imm(static_cast<i32>(value));
    }
}

} // namespace

/// The insn that is executed behind it, and only behind it; the number of insns if there is none.
u32 Compiler::next_in_block(u32 index) const {
    const u32 size = static_cast<u32>(program_.insns().size());
    do {
        ++index;
        if (index == size || labels_[index].isValid()) return size;
    } while (idle_[index]);
    return index;
}

u32 Compiler::update_in_memory(u32 index) {
    const std::vector<LoweredInsn>& insns = program_.insns();
    const u32 change_at = next_in_block(index);
    const u32 store_at = change_at < insns.size() ? next_in_block(change_at) : change_at;
    if (store_at >= insns.size()) return 0;
    const LoweredInsn& load = insns[index];
    const LoweredInsn& change = insns[change_at];
    const LoweredInsn& store = insns[store_at];
    const OpcodeInfo& row = info(change.op);
    const u32 bits = info(load.op).width;
    if (!is_update(row) || info(store.op).kind != OpKind::stx || info(store.op).width != bits) return 0;
    // Only the low bits are stored. Those of a narrower operation are not all that it changes.
    if (row.width < bits) return 0;
    const bool same_place = store.dst == load.src && store.off == load.off && load.dst != load.src;
    if (!same_place || store.src != change.dst || change.dst == load.src) return 0;
    if (live_.is_live_after(store_at, load.dst) || live_.is_live_after(store_at, change.dst)) return 0;
    const x86::Mem memory = x86::ptr(machine_reg(load.src, 64), load.off, bits / 8);
    const u32 count = store_at - index + 1;
    if (row.operand == Operand::imm) {
        if (change.dst != load.dst) return 0;
        emit_update(a_, row.code, memory, immediate(change.imm, bits));
        return count;
    }
    const bool into_loaded = change.dst == load.dst && change.src != load.dst;
    const bool into_other = change.src == load.dst && change.dst != load.dst && row.code != Code::sub;
    if (!into_loaded && !into_other) return 0;
    emit_update(a_, row.code, memory, machine_reg(into_loaded ? change.src : change.dst, bits));
    return count;
}

} // namespace xdplane::x86_64
