// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// Accesses to packets, values of maps and the stack.
#include <iterator>
#include <linux/bpf.h>

#include "tests/support/random_program.h"
#include "tests/support/random_program_tables.h"

namespace xdplane::test {

/// One access of [from, from + size) behind `base`, or nearly.
void RandomProgram::touch(u8 base, i32 from, i32 size, bool stack) {
    u32 which = pick(0, std::size(kLoads) - 1);
    while (kLoadSizes[which] > size) which = 0;
    const i32 width = kLoadSizes[which];
    i32 off = static_cast<i32>(pick(0, static_cast<u32>(size - width)));
    if (one_in(2)) off = size - width;
    if (stack) off = off / width * width;
    off = about(from + off);
    const u8 reg = base == R5 ? R4 : R5;
    const u32 store = width == 8 ? 3 : width == 4 ? 2 : width == 2 ? 1 : 0;
    switch (pick(0, 9)) {
    case 0: emit(kStoresImm[store], base, 0, off, static_cast<i32>(random_())); break;
    case 1:
    case 2: emit(kStores[store], base, R9, off); break;
    case 3:
        if (width >= 4) {
            static constexpr Op kAtomics[][2] = {
                {Op::atomic_add32, Op::atomic_add64},   {Op::atomic_fetch_add32, Op::atomic_fetch_add64},
                {Op::atomic_xchg32, Op::atomic_xchg64}, {Op::atomic_fetch_or32, Op::atomic_fetch_or64},
                {Op::atomic_and32, Op::atomic_and64},   {Op::atomic_cmpxchg32, Op::atomic_cmpxchg64}};
            mov(reg, R9);
            if (base != R0) mov(R0, R9);
            emit(kAtomics[pick(0, base == R0 ? 4 : 5)][width == 8], base, reg, off / width * width);
            if (one_in(2)) {
                emit(Op::xor64_reg, R9, reg);
                r9_most_ = -1;
            }
            break;
        }
        [[fallthrough]];
    default:
        emit(kLoads[which], reg, base, off);
        if (one_in(2)) {
            emit(one_in(3) ? Op::mov64_reg : one_in(2) ? Op::add64_reg : Op::xor64_reg, R9, reg);
            r9_most_ = -1;
        } else {
            emit(Op::stx64, R10, reg, -8 * static_cast<i32>(pick(1, 4)));
        }
        break;
    }
}

/// Goes to `skip` unless pointer <= end; now and then with the wrong comparison.
void RandomProgram::packet_check(u8 pointer, u8 end, Label& skip) {
    Label in;
    switch (pick(0, 7)) {
    case 0:
    case 1: jump(skip, Op::jgt64_reg, pointer, end); return;
    case 2: jump(skip, Op::jlt64_reg, end, pointer); return;
    case 3: jump(skip, Op::jge64_reg, pointer, end); return;
    case 4: jump(skip, Op::jle64_reg, end, pointer); return;
    case 5: jump(in, Op::jle64_reg, pointer, end); break;
    case 6: jump(in, Op::jge64_reg, end, pointer); break;
    default:
        jump(in, one_in(2) ? Op::jlt64_reg : one_in(4) ? Op::jgt64_reg : Op::jle64_reg, pointer, end);
        break;
    }
    jump(skip, Op::ja);
    bind(in);
}

void RandomProgram::packet_fixed() {
    Label skip;
    const i32 size = static_cast<i32>(pick(1, 60));
    mov(R2, R7);
    const i32 back = one_in(4) ? static_cast<i32>(pick(1, 8)) : 0;
    if (back > 0 && one_in(2)) add(R2, -back);
    add(R2, about(size));
    packet_check(R2, R8, skip);
    const u8 base = one_in(3) ? u8{R2} : u8{R7};
    touch(base, base == R2 ? -size : 0, size);
    if (one_in(2)) touch(R7, 0, size);
    bind(skip);
}

void RandomProgram::packet_variable() {
    Label skip;
    scalar(R3);
    bounded(R3, static_cast<i32>(one_in(5) ? 0xffff : pick(1, 100)), skip);
    const i32 size = static_cast<i32>(pick(1, 20));
    if (one_in(2)) {
        mov(R2, R7);
        if (one_in(2)) add(R2, static_cast<i32>(pick(0, 14)));
        emit(one_in(12) ? Op::sub64_reg : Op::add64_reg, R2, R3);
    } else {
        mov(R2, R3);
        emit(Op::add64_reg, R2, R7);
    }
    if (one_in(4)) emit(Op::stx64, R10, R2, -48), kept_ = 1, kept_size_ = size;
    mov(R1, R2);
    add(R1, about(size));
    packet_check(R1, R8, skip);
    if (one_in(6)) { // another pointer at the same number
        mov(R2, R7);
        emit(Op::add64_reg, R2, R3);
    }
    if (kept_ == 1 && one_in(2)) emit(Op::ldx64, R2, R10, -48);
    touch(one_in(8) ? u8{R1} : u8{R2}, 0, size);
    if (one_in(3)) touch(R2, 0, size);
    bind(skip);
}

void RandomProgram::packet_meta() {
    Label skip;
    emit(Op::ldx32, R2, R6, 8);
    mov(R3, R2);
    const i32 size = static_cast<i32>(pick(1, 8));
    add(R3, about(size));
    packet_check(R3, one_in(8) ? u8{R8} : u8{R7}, skip);
    touch(R2, 0, size);
    bind(skip);
}

void RandomProgram::map_lookup() {
    Label skip;
    const i32 map = static_cast<i32>(pick(kRandomArray, kRandomData));
    const i32 size = static_cast<i32>(kRandomValueSizes[map]);
    scalar(R3);
    if (!one_in(3)) emit(Op::and64_imm, R3, 0, 0, map == kRandomData ? 0 : 7);
    emit(Op::stx32, R10, R3, -52);
    mov(R2, R10);
    add(R2, about(-52));
    map_address(R1, map);
    helper(BPF_FUNC_map_lookup_elem);
    if (one_in(4)) {
        emit(Op::stx64, R10, R0, -48);
        kept_ = 3, kept_size_ = size;
    }
    const bool copied = one_in(4);
    if (copied) mov(R4, R0);
    if (one_in(20)) {
        // forgotten
    } else if (one_in(2)) {
        jump(skip, Op::jeq64_imm, copied && one_in(2) ? u8{R4} : u8{R0}, 0, 0);
    } else {
        Label in;
        jump(in, one_in(10) ? Op::jne32_imm : Op::jne64_imm, R0, 0, 0);
        jump(skip, Op::ja);
        bind(in);
    }
    if (kept_ == 3) kept_ = 2;
    if (copied) mov(R0, R4);
    if (one_in(2)) {
        scalar(R3);
        const i32 room = static_cast<i32>(pick(1, 8));
        const bool behind = one_in(4);
        bounded(R3, size - room, skip);
        if (behind) add(R0, size - room);
        emit(behind ? Op::sub64_reg : Op::add64_reg, R0, R3);
        touch(R0, 0, room);
    } else {
        const i32 off = static_cast<i32>(pick(0, 8));
        if (one_in(3)) {
            add(R0, off);
            touch(R0, -off, size);
        } else {
            touch(R0, 0, size);
        }
    }
    bind(skip);
}

void RandomProgram::map_direct() {
    Label skip;
    const i32 map = one_in(3) ? kRandomRodata : kRandomData;
    const i32 size = static_cast<i32>(kRandomValueSizes[map]);
    const i32 off = static_cast<i32>(pick(0, 16));
    const i32 room = static_cast<i32>(pick(1, 8));
    scalar(R3);
    bounded(R3, size - off - room, skip);
    value_address(R2, map, off);
    emit(Op::add64_reg, R2, R3);
    if (map == kRandomRodata) {
        // Its numbers are constants.
        value_address(R4, map, 8 * static_cast<i32>(pick(0, 3)));
        emit(kLoads[pick(0, 3)], R4, R4, 0);
        if (one_in(2)) jump(skip, Op::jgt64_imm, R4, 0, static_cast<i32>(pick(0, 20)));
        if (one_in(3)) mov(R9, R4), r9_most_ = -1;
        emit(kLoads[0], R5, R2, about(room - 1));
    } else {
        touch(R2, 0, room);
    }
    bind(skip);
}

void RandomProgram::map_change() {
    const i32 map = static_cast<i32>(pick(kRandomArray, kRandomData));
    const bool erase = one_in(4);
    scalar(R3);
    emit(Op::and64_imm, R3, 0, 0, 7);
    emit(Op::stx32, R10, R3, -52);
    mov(R2, R10);
    add(R2, -52);
    if (!erase) {
        mov(R3, R10);
        add(R3, about(one_in(3) ? -32 : kScratch));
        if (one_in(4) && known_ > 24) mov(R3, R7);
        set(R4, static_cast<i32>(pick(0, 3)));
    }
    map_address(R1, map);
    helper(erase ? BPF_FUNC_map_delete_elem : BPF_FUNC_map_update_elem);
    if (one_in(2)) emit(Op::stx64, R10, R0, -24);
}

void RandomProgram::stack_variable() {
    Label skip;
    scalar(R3);
    const u32 log = pick(0, 3);
    const i32 width = 1 << log;
    bounded(R3, (64 - width) >> log, skip);
    if (log > 0) emit(Op::lsh64_imm, R3, 0, 0, static_cast<i32>(log));
    mov(R2, R10);
    if (one_in(2)) {
        add(R2, kScratch);
        emit(Op::add64_reg, R2, R3);
        touch(R2, 0, width, true);
    } else {
        emit(Op::add64_reg, R2, R3);
        touch(R2, about(kScratch), width, true);
    }
    // What was there may have been overwritten.
    if (one_in(2)) {
        emit(kLoads[pick(0, 3)], R4, R10, kScratch + 8 * static_cast<i32>(pick(0, 7)));
        mov(R9, R4);
        r9_most_ = -1;
    }
    bind(skip);
}

/// Spills, parts of them, and fills.
void RandomProgram::spills() {
    const i32 slot =
        one_in(2) ? kScratch + 8 * static_cast<i32>(pick(0, 7)) : -8 * static_cast<i32>(pick(1, 4));
    static constexpr u8 kWhat[] = {R9, R9, R9, R7, R8, R10, R6};
    const u8 what = kWhat[pick(0, one_in(3) ? 6 : 2)];
    emit(what == R9 ? kStores[pick(0, 3)] : Op::stx64, R10, what, slot);
    if (one_in(3)) emit(kStores[pick(0, 2)], R10, R9, slot + (one_in(2) ? 4 : 0));
    if (one_in(6)) emit(Op::atomic_xchg64, R10, R9, slot), r9_most_ = -1;
    if (one_in(6)) emit(kStoresImm[pick(0, 3)], R10, 0, slot, static_cast<i32>(pick(0, 3)));
    const u8 into = one_in(3) ? u8{R9} : u8{R4};
    if (what != R9 && one_in(2)) {
        emit(Op::ldx64, R4, R10, slot);
        if (what == R7 && known_ > 0) emit(Op::ldx8, R5, R4, about(known_ - 1));
        if (what == R10) emit(Op::ldx64, R5, R4, -8);
    } else {
        emit(kLoads[pick(0, 6)], into, R10, slot + (one_in(5) ? 4 : 0));
        if (into == R9) r9_most_ = -1;
    }
    emit(Op::stx64, R10, R9, slot); // a number again
}

void RandomProgram::helper_on_memory() {
    Label skip;
    switch (pick(0, 3)) {
    case 0: // read the packet onto the stack
        scalar(R2);
        bounded(R2, 60, skip);
        scalar(R4);
        bounded(R4, 64, skip);
        if (!one_in(4)) jump(skip, Op::jeq64_imm, R4, 0, 0);
        mov(R3, R10);
        add(R3, about(kScratch));
        mov(R1, R6);
        helper(BPF_FUNC_xdp_load_bytes);
        if (one_in(2)) jump(skip, Op::jne64_imm, R0, 0, 0);
        emit(Op::ldx64, R9, R10, kScratch);
        r9_most_ = -1;
        break;
    case 1:
        scalar(R2);
        bounded(R2, 60, skip);
        set(R4, about(static_cast<i32>(pick(1, 64))));
        mov(R3, R10);
        add(R3, kScratch);
        mov(R1, R6);
        helper(BPF_FUNC_xdp_store_bytes);
        break;
    case 2: { // a checksum of stack, map or packet
        scalar(R4);
        const u32 where = pick(0, 2);
        const i32 size = where == 0 ? 64 : where == 1 ? 40 : 12;
        bounded(R4, size, skip);
        set(R1, 0);
        set(R2, one_in(20) ? 4 : 0);
        if (where == 0) {
            mov(R3, R10);
            add(R3, kScratch);
        } else if (where == 1) {
            value_address(R3, kRandomData, 0);
        } else {
            mov(R3, R7);
            add(R3, about(size));
            jump(skip, Op::jgt64_reg, R3, R8);
            mov(R3, R7);
        }
        set(R5, static_cast<i32>(pick(0, 0xffff)));
        helper(BPF_FUNC_csum_diff);
        mov(R9, R0);
        r9_most_ = -1;
        break;
    }
    default: // constant sizes, other kinds of memory
        value_address(R3, one_in(8) ? kRandomRodata : kRandomData, static_cast<i32>(pick(0, 8)));
        scalar(R2);
        set(R4, about(32));
        mov(R1, R6);
        helper(one_in(2) ? BPF_FUNC_xdp_load_bytes : BPF_FUNC_xdp_store_bytes);
        break;
    }
    bind(skip);
}

void RandomProgram::adjust() {
    static constexpr i32 kHelpers[] = {BPF_FUNC_xdp_adjust_head, BPF_FUNC_xdp_adjust_tail,
                                       BPF_FUNC_xdp_adjust_meta};
    const i32 which = kHelpers[pick(0, 2)];
    mov(R1, R6);
    if (one_in(3))
        scalar(R2);
    else
        set(R2, which == BPF_FUNC_xdp_adjust_meta ? -4 * static_cast<i32>(pick(0, 8))
                                                  : static_cast<i32>(pick(0, 40)) - 20);
    helper(which);
    if (one_in(12)) return; // forgotten: the pointers are stale
    reload_packet();
    if (kept_ == 1 && !one_in(5)) kept_ = 0;
}

} // namespace xdplane::test
