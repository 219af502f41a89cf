// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// What is never safe, and has to be found.
#include <linux/bpf.h>

#include "tests/support/random_program.h"
#include "tests/support/random_program_tables.h"

namespace xdplane::test {

/// Enough insns and jumps for the verifier to keep the state that follows as a checkpoint.
void RandomProgram::padding() {
    for (u32 n = pick(2, 3); n > 0; --n) {
        Label around;
        emit(Op::ldx64, R4, R10, -8 * static_cast<i32>(pick(1, 4)));
        jump(around, one_in(2) ? Op::jeq64_imm : Op::jgt64_imm, R4, 0, static_cast<i32>(pick(0, 8)));
        for (u32 k = pick(1, 3); k > 0; --k) emit(Op::stx64, R10, R4, -24);
        bind(around);
    }
}

/// Right if reg is at most `most`.
void RandomProgram::use_as_offset(u8 reg, i32 most) {
    if (one_in(2)) {
        value_address(R2, kRandomData, 0);
        emit(Op::add64_reg, R2, reg);
        emit(Op::ldx8, R4, R2, 39 - most);
    } else {
        mov(R2, R10);
        emit(Op::sub64_imm, R2, 0, 0, most + 1);
        emit(Op::add64_reg, R2, reg);
        emit(Op::stx8, R2, R9, 0);
    }
}

/// A number that is small on one path is used where another path comes with a large one.
void RandomProgram::attack_numbers(u32 kind) {
    Label skip, other, end;
    const i32 most = static_cast<i32>(pick(0, 30));
    const i32 large = most + static_cast<i32>(pick(1, 500));
    const bool swapped = one_in(2);
    const auto choose = [&](u8 reg) { // most or large
        emit(Op::ldx64, R4, R10, -8 * static_cast<i32>(pick(1, 4)));
        set(reg, swapped ? large : most);
        jump(end, Op::jset64_imm, R4, 0, static_cast<i32>(pick(1, 15)));
        set(reg, swapped ? most : large);
        bind(end);
    };
    switch (kind) {
    case 0: // the copy that is checked is a copy on one path only
        scalar(R9);
        emit(Op::ldx64, R4, R10, -8);
        mov(R3, R9);
        if (!swapped) set(R3, 0);
        jump(other, Op::jeq64_imm, R4, 0, static_cast<i32>(pick(0, 7)));
        set(R3, 0);
        if (!swapped) mov(R3, R9);
        bind(other);
        padding();
        jump(skip, Op::jgt64_imm, R3, 0, most);
        use_as_offset(R9, most);
        break;
    case 1: // through a spill
        choose(R3);
        emit(one_in(2) ? Op::stx64 : Op::stx32, R10, R3, -40);
        padding();
        emit(Op::ldx32, R9, R10, -40);
        use_as_offset(R9, most);
        break;
    case 2: // through a sum
        choose(R9);
        padding();
        set(R3, 0);
        emit(one_in(2) ? Op::add64_reg : Op::or64_reg, R3, R9);
        padding();
        use_as_offset(R3, most);
        break;
    case 3: // a jump that one path decides
        choose(R9);
        padding();
        set(R3, 4);
        jump(other, one_in(2) ? Op::jle64_imm : Op::jle32_imm, R9, 0, most);
        set(R3, 4096);
        bind(other);
        use_as_offset(R3, 4);
        break;
    case 4: // stack that only one path writes
        emit(Op::ldx64, R4, R10, -8);
        jump(other, Op::jeq64_imm, R4, 0, static_cast<i32>(pick(0, 7)));
        emit(Op::stx64, R10, R9, -160);
        bind(other);
        padding();
        emit(Op::ldx64, R3, R10, -160);
        break;
    case 5: // a size
        choose(R9);
        padding();
        mov(R1, R6);
        set(R2, 0);
        mov(R3, R10);
        add(R3, -64 - 1 - most);
        add(R3, 64);
        mov(R4, R9);
        add(R4, 1);
        helper(BPF_FUNC_xdp_store_bytes);
        break;
    case 6: { // a loop whose number grows
        set(R9, 0);
        set(R3, 0);
        const std::size_t top = insns_.size();
        padding();
        use_as_offset(R9, 39);
        add(R9, static_cast<i32>(pick(1, 9)));
        add(R3, 1);
        const std::size_t here = insns_.size();
        emit(Op::jlt64_imm, R3, 0, static_cast<i32>(top) - static_cast<i32>(here) - 1,
             static_cast<i32>(pick(40, 60)));
        break;
    }
    case 7: { // a product, sum or shift that leaves its width
        const u32 shift = pick(1, 8);
        const i32 limit = static_cast<i32>(u32{1} << (32 - shift)); // times 2^shift it is 2^32
        scalar(R3);
        emit(Op::mov32_reg, R3, R3);
        if (one_in(3)) {
            set(R4, static_cast<i32>(pick(0, 30)) - 8);
            emit(one_in(2) ? Op::add32_reg : Op::sub32_reg, R3, R4);
            if (one_in(2)) jump(skip, Op::jgt64_imm, R3, 0, most);
            emit(one_in(2) ? Op::add32_imm : Op::sub32_imm, R3, 0, 0, static_cast<i32>(pick(0, 8)));
        } else {
            jump(skip, Op::jgt64_imm, R3, 0, limit);
            switch (pick(0, 2)) {
            case 0: emit(Op::mul32_imm, R3, 0, 0, static_cast<i32>(1U << shift)); break;
            case 1: emit(Op::lsh32_imm, R3, 0, 0, static_cast<i32>(shift)); break;
            default:
                emit(Op::lsh64_imm, R3, 0, 0, 32);
                emit(Op::mul64_imm, R3, 0, 0, static_cast<i32>(1U << shift));
                break;
            }
        }
        use_as_offset(R3, most);
        break;
    }
    default: // compared with another register
        choose(R9);
        scalar(R3);
        padding();
        jump(skip, Op::jgt64_reg, R3, R9);
        use_as_offset(R3, most);
        break;
    }
    bind(skip);
}

/// A pointer is used after what was proved of it is over, or was never proved.
void RandomProgram::attack_pointers(u32 kind) {
    Label skip, other;
    const auto lookup = [&](i32 map) {
        emit(Op::stx32, R10, R9, -52);
        mov(R2, R10);
        add(R2, -52);
        map_address(R1, map);
        helper(BPF_FUNC_map_lookup_elem);
    };
    switch (kind) {
    case 0: // the other lookup was checked
        lookup(kRandomHash);
        emit(Op::stx64, R10, R0, -48);
        lookup(one_in(2) ? kRandomHash : kRandomArray);
        jump(skip, Op::jeq64_imm, R0, 0, 0);
        emit(Op::ldx64, R1, R10, -48);
        emit(Op::ldx64, R3, R1, 0);
        break;
    case 1: // a packet pointer that may be another's
        scalar(R3);
        emit(Op::and64_imm, R3, 0, 0, 127);
        scalar(R4);
        emit(Op::and64_imm, R4, 0, 0, 127);
        mov(R2, R7);
        emit(Op::add64_reg, R2, R3);
        mov(R5, R7);
        emit(Op::add64_reg, R5, R4);
        mov(R1, R2);
        add(R1, 8);
        jump(skip, Op::jgt64_reg, R1, R8);
        emit(Op::ldx64, R3, one_in(2) ? R5 : R2, one_in(2) ? 1 : 0);
        break;
    case 2: // kept in the stack while the packet moves
        emit(Op::stx64, R10, R7, -48);
        mov(R1, R6);
        set(R2, static_cast<i32>(pick(0, 20)) - 10);
        helper(one_in(2) ? BPF_FUNC_xdp_adjust_tail : BPF_FUNC_xdp_adjust_head);
        emit(Op::ldx64, R2, R10, -48);
        emit(Op::ldx8, R3, R2, 0);
        break;
    case 3: // perhaps overwritten
        emit(Op::stx64, R10, R7, kScratch + 16);
        scalar(R3);
        emit(Op::and64_imm, R3, 0, 0, 56);
        mov(R2, R10);
        add(R2, kScratch);
        emit(Op::add64_reg, R2, R3);
        emit(kStores[pick(0, 3)], R2, R9, 0);
        emit(Op::ldx64, R2, R10, kScratch + 16);
        emit(Op::ldx8, R3, R2, 0);
        break;
    case 4: // partly overwritten
        value_address(R2, kRandomData, 0);
        emit(Op::stx64, R10, R2, kScratch + 16);
        emit(kStores[pick(0, 2)], R10, R9, kScratch + 16 + (one_in(2) ? 4 : 0));
        emit(Op::ldx64, R2, R10, kScratch + 16);
        emit(Op::ldx8, R3, R2, 0);
        break;
    case 5: // a pointer on one path and a number on the other
        set(R2, 0);
        emit(Op::ldx64, R4, R10, -8);
        jump(other, Op::jeq64_imm, R4, 0, static_cast<i32>(pick(0, 7)));
        mov(R2, R10);
        bind(other);
        emit(Op::stx64, R10, R2, -48);
        padding();
        emit(Op::ldx64, R2, R10, -48);
        emit(Op::ldx64, R3, R2, -8);
        break;
    case 6: // two lookups of different maps meet
        lookup(kRandomArray);
        jump(skip, Op::jeq64_imm, R0, 0, 0);
        emit(Op::ldx64, R4, R10, -8);
        jump(other, Op::jeq64_imm, R4, 0, static_cast<i32>(pick(0, 7)));
        value_address(R0, kRandomData, 0);
        bind(other);
        padding();
        emit(Op::ldx64, R3, R0, 32);
        break;
    case 7: { // the pointer that is checked is the one that is used on one path only
        scalar(R3);
        emit(Op::and64_imm, R3, 0, 0, 127);
        mov(R2, R7);
        emit(Op::add64_reg, R2, R3);
        const auto another = [&] {
            emit(Op::ldx8, R3, R10, -8 * static_cast<i32>(pick(1, 4)));
            emit(Op::and64_imm, R3, 0, 0, 127);
            mov(R5, R7);
            emit(Op::add64_reg, R5, R3);
        };
        const bool first = one_in(2);
        if (first) another();
        if (!first) mov(R5, R2);
        emit(Op::ldx64, R4, R10, -8);
        jump(other, Op::jset64_imm, R4, 0, static_cast<i32>(pick(1, 7)));
        if (first) mov(R5, R2);
        if (!first) another();
        bind(other);
        padding();
        mov(R1, R2);
        add(R1, 8);
        jump(skip, Op::jgt64_reg, R1, R8);
        emit(Op::ldx64, R3, R5, 0);
        break;
    }
    default: // checked against the wrong end
        emit(Op::ldx32, R2, R6, 8);
        mov(R3, R2);
        add(R3, 4);
        jump(skip, Op::jgt64_reg, R3, one_in(2) ? R8 : R7);
        emit(Op::ldx32, R4, R2, one_in(2) ? 0 : 1);
        break;
    }
    bind(skip);
}

void RandomProgram::attack() {
    r9_most_ = -1;
    const u32 kind = pick(0, 17);
    if (kind < 9)
        attack_numbers(kind);
    else
        attack_pointers(kind - 9);
}

} // namespace xdplane::test
