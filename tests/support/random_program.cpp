// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "tests/support/random_program.h"

#include <algorithm>
#include <iterator>

#include "tests/support/random_program_tables.h"

namespace xdplane::test {

void RandomProgram::emit(Op op, u8 dst, u8 src, i32 off, i32 imm) {
    insns_.push_back(encode(op, dst, src, static_cast<i16>(off), imm));
}

void RandomProgram::jump(Label& label, Op op, u8 dst, u8 src, i32 imm) {
    label.push_back(insns_.size());
    emit(op, dst, src, 0, imm);
}

void RandomProgram::bind(Label& label) {
    for (const std::size_t at : label) insns_[at].off = static_cast<i16>(insns_.size() - at - 1);
    label.clear();
}

void RandomProgram::map_address(u8 dst, i32 map) {
    emit(Op::ld_imm64, dst, kMapFd, 0, map);
    insns_.push_back({});
}

void RandomProgram::value_address(u8 dst, i32 map, i32 off) {
    emit(Op::ld_imm64, dst, kMapValue, 0, map);
    insns_.push_back({0, 0, 0, 0, off});
}

i32 RandomProgram::about(i32 n) {
    switch (pick(0, 24)) {
    case 0: return n + 1;
    case 1: return n - 1;
    case 2: return n + static_cast<i32>(pick(0, 16)) - 8;
    default: return n;
    }
}

std::vector<u8> RandomProgram::packet() {
    std::vector<u8> bytes(one_in(3) ? pick(14, 40) : pick(14, 120));
    const u32 style = pick(0, 3);
    for (u8& byte : bytes) {
        const u8 any = static_cast<u8>(random_());
        static constexpr u8 kEdges[] = {0, 1, 7, 8, 0x7f, 0x80, 0xff, 0xfe};
        byte = style == 0   ? any
               : style == 1 ? static_cast<u8>(any & 7)
               : style == 2 ? kEdges[any & 7]
                            : u8{0xff};
        if (style == 3 && one_in(4)) byte = kEdges[any & 7];
    }
    return bytes;
}

void RandomProgram::reload_packet() {
    emit(Op::ldx32, R7, R6, 0);
    emit(Op::ldx32, R8, R6, 4);
    known_ = 0;
}

void RandomProgram::prologue() {
    mov(R6, R1);
    reload_packet();
    const i32 size = static_cast<i32>(pick(14, 40));
    mov(R2, R7);
    add(R2, size);
    jump(out_, Op::jgt64_reg, R2, R8);
    known_ = size;
    for (i32 slot = -8; slot >= -32; slot -= 8) {
        const u32 which = pick(0, std::size(kLoads) - 1);
        emit(kLoads[which], R3, R7, static_cast<i32>(pick(0, static_cast<u32>(size - 8))));
        emit(Op::stx64, R10, R3, slot);
    }
    emit(kLoads[pick(0, 6)], R9, R7, static_cast<i32>(pick(0, static_cast<u32>(size - 8))));
    set(R3, 0);
    for (i32 off = 0; off < 64; off += 8)
        if (!one_in(40)) emit(Op::stx64, R10, R3, kScratch + off);
}

void RandomProgram::some_template(u32 depth) {
    Label around;
    const bool conditional = one_in(4);
    const i32 known = known_;
    const int kept = kept_;
    if (conditional) {
        static constexpr Op kOps[] = {Op::jeq64_imm,  Op::jne64_imm,  Op::jgt64_imm,  Op::jlt32_imm,
                                      Op::jsgt64_imm, Op::jset64_imm, Op::jsle32_imm, Op::jge32_imm};
        u8 reg = R9;
        if (one_in(2)) {
            emit(Op::ldx64, R3, R10, -8 * static_cast<i32>(pick(1, 4)));
            reg = R3;
        }
        jump(around, kOps[pick(0, std::size(kOps) - 1)], reg, 0, static_cast<i32>(pick(0, 300)) - 20);
    }
    switch (pick(0, 19)) {
    case 0: packet_fixed(); break;
    case 1:
    case 2: packet_variable(); break;
    case 3:
    case 4:
    case 5: map_lookup(); break;
    case 6: map_direct(); break;
    case 7: stack_variable(); break;
    case 8: spills(); break;
    case 9: arithmetic(); break;
    case 10: loop(); break;
    case 11:
    case 12: two_ways(); break;
    case 13: use_pointer(); break;
    case 14: call_function(); break;
    case 15: helper_on_memory(); break;
    case 16: adjust(); break;
    case 17: map_change(); break;
    case 18: packet_meta(); break;
    default:
        if (depth < 2) {
            some_template(depth + 1);
            some_template(depth + 1);
        }
        break;
    }
    if (conditional) {
        known_ = std::min(known, known_);
        if (!one_in(8)) kept_ = kept_ == kept ? kept : 0;
        r9_most_ = -1;
        bind(around);
    }
}

/// Changes a field or two of a finished program.
void RandomProgram::mutate() {
    for (u32 n = pick(1, 2); n > 0; --n) {
        Insn& insn = insns_[pick(0, static_cast<u32>(insns_.size() - 1))];
        const Op op = decode(insn);
        if (op == Op::invalid || op == Op::ld_imm64 || op == Op::exit || op == Op::call) continue;
        const OpcodeInfo& row = info(op);
        const bool jumps = row.kind == OpKind::jump;
        switch (pick(0, 6)) {
        case 0:
            if (row.operand == Operand::imm)
                insn.imm = static_cast<i32>(static_cast<u32>(insn.imm) + (one_in(2) ? 1U : ~0U));
            break;
        case 1:
            if (row.operand == Operand::imm)
                insn.imm = static_cast<i32>(static_cast<u32>(insn.imm) * (one_in(2) ? ~0U : 2U));
            break;
        case 2:
            if (row.kind == OpKind::ldx || row.kind == OpKind::stx || row.kind == OpKind::st)
                insn.off = static_cast<i16>(insn.off + static_cast<i32>(pick(0, 16)) - 8);
            break;
        case 3:
            if (jumps) insn.opcode = static_cast<u8>((insn.opcode & 0x0f) | pick(1, 13) << 4);
            break;
        case 4:
            if (jumps) insn.opcode ^= 3; // 64 and 32 bits
            if (row.kind == OpKind::alu) insn.opcode ^= 3;
            break;
        case 5:
            if (row.operand == Operand::reg) insn.src = static_cast<u8>(pick(0, 10));
            break;
        default:
            if (!jumps && row.kind != OpKind::ja) insn = encode(Op::mov64_reg, R9, R9, 0, 0);
            break;
        }
    }
}

std::vector<Insn> RandomProgram::make() {
    insns_.clear();
    calls_.clear();
    out_.clear();
    known_ = 0;
    kept_ = 0;
    prologue();
    const std::size_t size = insns_.size() + pick(10, one_in(4) ? 120 : 50);
    const bool attacks = one_in(5);
    while (insns_.size() < size) some_template(0);
    if (attacks) attack();
    mov(R0, R9);
    if (one_in(2)) emit(Op::ldx64, R0, R10, -8 * static_cast<i32>(pick(1, 4)));
    Label end;
    jump(end, Op::ja);
    bind(out_);
    set(R0, 1);
    bind(end);
    emit(Op::exit);
    functions();
    if (one_in(2)) mutate();
    return insns_;
}

} // namespace xdplane::test
