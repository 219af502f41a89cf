// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "tests/support/random_program.h"

#include <algorithm>
#include <bit>
#include <iterator>
#include <linux/bpf.h>

/// Registers: r6 context, r7 data, r8 data_end, r9 a number that lives long; r0-r5 for the moment. Stack:
/// numbers at -8, -16, -24, -32 (checked or loaded at the start), a spilled pointer at -48, scratch at -40
/// and below -56.
namespace xdplane::test {
namespace {

constexpr i32 kScratch = -128; ///< 64 bytes, of which the start writes all
constexpr Op kLoads[] = {Op::ldx8, Op::ldx16, Op::ldx32, Op::ldx64, Op::ldxs8, Op::ldxs16, Op::ldxs32};
constexpr i32 kLoadSizes[] = {1, 2, 4, 8, 1, 2, 4};
constexpr Op kStores[] = {Op::stx8, Op::stx16, Op::stx32, Op::stx64};
constexpr Op kStoresImm[] = {Op::st8, Op::st16, Op::st32, Op::st64};

i32 power_below(i32 n) { return static_cast<i32>(std::bit_floor(static_cast<u32>(n))); }

} // namespace

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

/// Any number.
void RandomProgram::scalar(u8 reg) {
    static constexpr i32 kEdges[] = {
        0, 1, 7, 8, 15, 16, 31, 63, 64, 127, 255, -1, -8, 0x7fffffff, -0x7fffffff - 1};
    switch (pick(0, 9)) {
    case 0:
    case 1:
    case 2: mov(reg, R9); break;
    case 3:
        if (!in_function_ && known_ > 0) {
            const u32 which = pick(0, std::size(kLoads) - 1);
            if (kLoadSizes[which] <= known_) {
                emit(kLoads[which], reg, R7,
                     static_cast<i32>(pick(0, static_cast<u32>(known_ - kLoadSizes[which]))));
                break;
            }
        }
        [[fallthrough]];
    case 4:
        if (one_in(4)) {
            set(reg, kEdges[pick(0, std::size(kEdges) - 1)]);
            break;
        }
        [[fallthrough]];
    default: {
        const u32 log = pick(0, 9) < 6 ? 3 : pick(0, 2);
        emit(kLoads[log], reg, R10, -8 * static_cast<i32>(pick(1, 4)));
        break;
    }
    }
    if (one_in(6)) mix(reg, one_in(2));
}

/// An operation on `reg` that proves nothing by itself.
void RandomProgram::mix(u8 reg, bool wide) {
    static constexpr Op kImm[][2] = {
        {Op::add32_imm, Op::add64_imm},  {Op::sub32_imm, Op::sub64_imm}, {Op::mul32_imm, Op::mul64_imm},
        {Op::or32_imm, Op::or64_imm},    {Op::and32_imm, Op::and64_imm}, {Op::xor32_imm, Op::xor64_imm},
        {Op::lsh32_imm, Op::lsh64_imm},  {Op::rsh32_imm, Op::rsh64_imm}, {Op::arsh32_imm, Op::arsh64_imm},
        {Op::div32_imm, Op::div64_imm},  {Op::mod32_imm, Op::mod64_imm}, {Op::sdiv32_imm, Op::sdiv64_imm},
        {Op::smod32_imm, Op::smod64_imm}};
    static constexpr Op kReg[][2] = {
        {Op::add32_reg, Op::add64_reg},  {Op::sub32_reg, Op::sub64_reg}, {Op::mul32_reg, Op::mul64_reg},
        {Op::or32_reg, Op::or64_reg},    {Op::and32_reg, Op::and64_reg}, {Op::xor32_reg, Op::xor64_reg},
        {Op::lsh32_reg, Op::lsh64_reg},  {Op::rsh32_reg, Op::rsh64_reg}, {Op::arsh32_reg, Op::arsh64_reg},
        {Op::div32_reg, Op::div64_reg},  {Op::mod32_reg, Op::mod64_reg}, {Op::sdiv32_reg, Op::sdiv64_reg},
        {Op::smod32_reg, Op::smod64_reg}};
    static constexpr Op kUnary[] = {Op::neg32,   Op::neg64,   Op::be16,    Op::be32, Op::be64,
                                    Op::bswap16, Op::bswap32, Op::bswap64, Op::le16, Op::le32};
    static constexpr Op kMoves[] = {Op::movsx8_64, Op::movsx16_64, Op::movsx32_64,
                                    Op::movsx8_32, Op::movsx16_32, Op::mov32_reg};
    static constexpr i32 kNumbers[] = {1,   2,   3,      4,  8,  14,  16,         31,
                                       255, 256, 0xffff, -1, -2, -16, 0x7fffffff, -0x7fffffff - 1};
    switch (pick(0, 7)) {
    case 0: emit(kUnary[pick(0, std::size(kUnary) - 1)], reg); break;
    case 1: emit(kMoves[pick(0, std::size(kMoves) - 1)], reg, reg); break;
    case 2:
    case 3: {
        const u32 row = pick(0, std::size(kReg) - 1);
        if (row >= 6 && row <= 8) {
            const u8 count = reg == R4 ? R3 : R4;
            mov(count, R9);
            if (!one_in(5)) emit(Op::and64_imm, count, 0, 0, static_cast<i32>(pick(0, wide ? 63 : 31)));
            emit(kReg[row][wide], reg, count);
        } else {
            emit(kReg[row][wide], reg, one_in(2) ? u8{R9} : reg);
        }
        break;
    }
    default: {
        const u32 row = pick(0, std::size(kImm) - 1);
        i32 n = one_in(4) ? static_cast<i32>(random_()) : kNumbers[pick(0, std::size(kNumbers) - 1)];
        if (row >= 6 && row <= 8) n = static_cast<i32>(pick(0, wide ? 63 : 31));
        if (row >= 9 && n == 0) n = 3;
        emit(kImm[row][wide], reg, 0, 0, n);
        break;
    }
    }
}

void RandomProgram::bounded_by_mask(u8 reg, i32 most) {
    const i32 power = power_below(most + 1); // values below it are fine
    const unsigned bits = static_cast<unsigned>(std::countr_zero(static_cast<u32>(power)));
    switch (pick(0, 8)) {
    case 0: emit(Op::and64_imm, reg, 0, 0, about(most)); break;
    case 1: emit(Op::and32_imm, reg, 0, 0, about(most)); break;
    case 2: emit(Op::rsh64_imm, reg, 0, 0, std::min(63, about(static_cast<i32>(64 - bits)))); break;
    case 3: emit(Op::rsh32_imm, reg, 0, 0, std::min(31, about(static_cast<i32>(32 - bits)))); break;
    case 4:
        emit(Op::be16, reg);
        if (bits < 16) emit(Op::rsh64_imm, reg, 0, 0, about(static_cast<i32>(16 - bits)));
        break;
    case 5: {
        emit(Op::movsx8_64, reg, reg);
        emit(one_in(2) ? Op::and64_imm : Op::and32_imm, reg, 0, 0, about(power - 1));
        break;
    }
    case 6:
        emit(one_in(2) ? Op::arsh64_imm : Op::arsh32_imm, reg, 0, 0, static_cast<i32>(pick(1, 31)));
        emit(Op::and64_imm, reg, 0, 0, about(power - 1));
        break;
    case 7: {
        const u32 shift = bits > 1 ? pick(1, bits - 1) : 0;
        emit(Op::and64_imm, reg, 0, 0, about((power - 1) >> shift));
        emit(one_in(2) ? Op::lsh64_imm : Op::lsh32_imm, reg, 0, 0, static_cast<i32>(shift));
        break;
    }
    default: {
        const u8 other = reg == R4 ? R3 : R4;
        set(other, about(power - 1));
        emit(one_in(2) ? Op::and64_reg : Op::and32_reg, reg, other);
        break;
    }
    }
}

void RandomProgram::bounded_by_jumps(u8 reg, i32 most, Label& skip) {
    const u8 other = reg == R4 ? R3 : R4;
    switch (pick(0, 9)) {
    case 0: jump(skip, Op::jgt64_imm, reg, 0, about(most)); break;
    case 1: jump(skip, Op::jge64_imm, reg, 0, about(most + 1)); break;
    case 2: {
        Label in;
        jump(in, one_in(2) ? Op::jlt64_imm : Op::jle64_imm, reg, 0, about(most));
        jump(skip, Op::ja);
        bind(in);
        break;
    }
    case 3:
        if (one_in(2)) {
            jump(skip, Op::jsgt64_imm, reg, 0, about(most));
            if (!one_in(8)) jump(skip, Op::jslt64_imm, reg, 0, one_in(10) ? -1 : 0);
        } else {
            if (!one_in(8)) jump(skip, Op::jsle64_imm, reg, 0, -1);
            jump(skip, Op::jsge64_imm, reg, 0, about(most + 1));
        }
        break;
    case 4:
        if (one_in(2)) emit(Op::mov32_reg, reg, reg);
        jump(skip, Op::jgt32_imm, reg, 0, about(most));
        if (!one_in(4)) emit(Op::mov32_reg, reg, reg);
        break;
    case 5:
        if (one_in(2)) emit(Op::movsx32_64, reg, reg);
        jump(skip, Op::jsgt32_imm, reg, 0, about(most));
        jump(skip, Op::jslt32_imm, reg, 0, 0);
        if (!one_in(4)) emit(Op::mov32_reg, reg, reg);
        break;
    case 6:
        set(other, about(most));
        jump(skip, one_in(2) ? Op::jgt64_reg : Op::jge64_reg, reg, other);
        break;
    case 7:
        set(other, about(most));
        jump(skip, one_in(2) ? Op::jlt64_reg : Op::jle64_reg, other, reg);
        break;
    case 8:
        jump(skip, one_in(2) ? Op::jset64_imm : Op::jset32_imm, reg, 0, ~(power_below(most + 1) - 1));
        break;
    default:
        jump(skip, one_in(3) ? Op::jne32_imm : Op::jne64_imm, reg, 0,
             static_cast<i32>(pick(0, static_cast<u32>(most))));
        break;
    }
}

/// The number is checked in one place and used in another.
void RandomProgram::bounded_by_copy(u8 reg, i32 most, Label& skip) {
    const u8 other = reg == R5 ? R3 : R5;
    const i32 distance = static_cast<i32>(pick(0, 40)) - 20;
    switch (pick(0, 6)) {
    case 0:
        mov(other, reg);
        bounded_by_jumps(other, most, skip);
        break;
    case 1:
        emit(Op::mov32_reg, other, reg);
        bounded_by_jumps(other, most, skip);
        if (one_in(2)) emit(Op::mov32_reg, reg, reg);
        break;
    case 2:
        emit(Op::stx64, R10, reg, -40);
        bounded_by_jumps(reg, most, skip);
        emit(Op::ldx64, reg, R10, -40);
        break;
    case 3:
        emit(Op::stx32, R10, reg, -40);
        emit(Op::ldx32, other, R10, -40);
        bounded_by_jumps(other, most, skip);
        emit(one_in(2) ? Op::ldx32 : Op::ldx64, reg, R10, -40);
        break;
    case 4:
        mov(other, reg);
        add(other, distance);
        jump(skip, Op::jgt64_imm, other, 0, about(most + distance));
        if (one_in(2)) jump(skip, Op::jslt64_imm, other, 0, about(distance));
        break;
    case 5:
        bounded_by_jumps(reg, most, skip);
        mov(other, reg);
        add(other, distance);
        add(other, -distance);
        mov(reg, other);
        break;
    default:
        emit(Op::stx64, R10, reg, -40);
        emit(Op::ldx64, other, R10, -40);
        bounded_by_jumps(other, most, skip);
        emit(one_in(2) ? Op::ldx64 : Op::ldx32, reg, R10, -40);
        break;
    }
}

void RandomProgram::bounded_by_arithmetic(u8 reg, i32 most, Label& skip, u32 depth) {
    const u8 other = reg == R5 ? R3 : R5;
    const i32 half = most / 2;
    switch (pick(0, 8)) {
    case 0: { // most - x
        bounded(reg, most, skip, depth + 1);
        set(other, about(most));
        emit(one_in(3) ? Op::sub32_reg : Op::sub64_reg, other, reg);
        mov(reg, other);
        break;
    }
    case 1: { // x * k
        const i32 k = static_cast<i32>(pick(1, 4));
        bounded(reg, most / k, skip, depth + 1);
        emit(one_in(2) ? Op::mul64_imm : Op::mul32_imm, reg, 0, 0, about(k));
        break;
    }
    case 2: // x + y
        bounded(reg, half, skip, depth + 1);
        emit(Op::stx64, R10, reg, -40);
        scalar(reg);
        bounded(reg, most - half, skip, depth + 1);
        emit(Op::ldx64, other, R10, -40);
        emit(one_in(3) ? Op::add32_reg : Op::add64_reg, reg, other);
        break;
    case 3: // c + x, c negative first
        bounded(reg, most, skip, depth + 1);
        add(reg, -static_cast<i32>(pick(0, 30)));
        jump(skip, one_in(2) ? Op::jslt64_imm : Op::jslt32_imm, reg, 0, 0);
        break;
    case 4: // signed shift of what is small
        bounded(reg, most, skip, depth + 1);
        emit(Op::lsh64_imm, reg, 0, 0, 32);
        emit(one_in(2) ? Op::arsh64_imm : Op::rsh64_imm, reg, 0, 0, about(32));
        break;
    case 5: // -x of a negative number
        bounded(reg, most, skip, depth + 1);
        emit(one_in(3) ? Op::neg32 : Op::neg64, reg);
        emit(one_in(3) ? Op::neg32 : Op::neg64, reg);
        break;
    case 6: // shifts by a number
        bounded(reg, std::max(1, most / 4), skip, depth + 1);
        mov(other, R9);
        emit(Op::and64_imm, other, 0, 0, about(2));
        emit(one_in(2) ? Op::lsh64_reg : Op::rsh64_reg, reg, other);
        break;
    case 7: // or, xor of small numbers
        bounded_by_mask(reg, most);
        emit(one_in(2) ? Op::or64_imm : Op::xor64_imm, reg, 0, 0,
             static_cast<i32>(pick(0, static_cast<u32>(power_below(most + 1) - 1))));
        break;
    default: // modulo
        emit(one_in(2) ? Op::mod64_imm : Op::mod32_imm, reg, 0, 0,
             about(most + 1) == 0 ? 1 : std::max(1, about(most + 1)));
        if (one_in(2)) bounded_by_jumps(reg, most, skip);
        break;
    }
}

/// Makes reg a number from 0 to `most`, or jumps to `skip`.
void RandomProgram::bounded(u8 reg, i32 most, Label& skip, u32 depth) {
    most = std::max(most, 1);
    if (one_in(30)) return; // forgotten
    switch (pick(0, depth > 2 ? 6 : 9)) {
    case 0:
    case 1:
    case 2: bounded_by_mask(reg, most); break;
    case 3:
    case 4:
    case 5: bounded_by_jumps(reg, most, skip); break;
    case 6: bounded_by_copy(reg, most, skip); break;
    default: bounded_by_arithmetic(reg, most, skip, depth); break;
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

void RandomProgram::arithmetic() {
    scalar(R3);
    for (u32 n = pick(1, 4); n > 0; --n) mix(R3, one_in(2));
    if (one_in(2)) {
        mov(R9, R3);
        r9_most_ = -1;
    } else {
        emit(kStores[pick(0, 3)], R10, R3, -8 * static_cast<i32>(pick(1, 4)));
    }
}

void RandomProgram::loop() {
    Label skip;
    const i32 rounds = static_cast<i32>(pick(1, 12));
    const i32 width = static_cast<i32>(1U << pick(0, 3));
    const bool on_stack = one_in(2);
    const bool spilled = one_in(4);
    if (on_stack) {
        mov(R2, R10);
        add(R2, kScratch);
    } else {
        value_address(R2, kRandomData, 0);
    }
    const i32 most = (on_stack ? 64 : 40) / width;
    set(R3, 0);
    if (spilled) emit(Op::stx64, R10, R3, -40);
    const std::size_t top = insns_.size();
    if (spilled) emit(Op::ldx64, R3, R10, -40);
    touch(R2, 0, width, on_stack);
    if (one_in(3)) {
        Label around;
        jump(around, Op::jset64_imm, R9, 0, static_cast<i32>(pick(1, 8)));
        emit(Op::xor64_imm, R9, 0, 0, static_cast<i32>(pick(1, 64)));
        bind(around);
    }
    if (one_in(6)) jump(skip, Op::jeq64_imm, R9, 0, static_cast<i32>(pick(0, 8)));
    add(R2, width);
    add(R3, 1);
    if (spilled) emit(Op::stx64, R10, R3, -40);
    static constexpr Op kBack[] = {Op::jlt64_imm, Op::jne64_imm, Op::jslt64_imm, Op::jlt32_imm,
                                   Op::jle64_imm};
    const std::size_t here = insns_.size();
    emit(kBack[pick(0, one_in(6) ? 4 : 3)], R3, 0, static_cast<i32>(top) - static_cast<i32>(here) - 1,
         about(std::min(rounds, most)));
    r9_most_ = -1;
    bind(skip);
}

/// r9 becomes one number or another: what is proved of one is not proved of the other.
void RandomProgram::two_ways() {
    Label other;
    Label end;
    const i32 a = static_cast<i32>(pick(0, 40));
    const i32 b = one_in(3) ? static_cast<i32>(pick(0, 200)) : static_cast<i32>(pick(0, 40));
    static constexpr Op kOps[] = {Op::jeq64_imm, Op::jgt64_imm, Op::jset64_imm, Op::jsgt32_imm,
                                  Op::jlt32_imm};
    scalar(R3);
    jump(other, kOps[pick(0, std::size(kOps) - 1)], R3, 0, static_cast<i32>(pick(0, 255)));
    i32 most = a;
    if (one_in(3)) {
        scalar(R9);
        bounded_by_mask(R9, std::max(a, 1));
    } else {
        set(R9, a);
    }
    jump(end, Op::ja);
    bind(other);
    set(R9, b);
    bind(end);
    r9_most_ = std::max(most, b);
    // Something in between, so that the states meet at a checkpoint.
    if (one_in(2)) {
        Label around;
        scalar(R4);
        jump(around, Op::jeq64_imm, R4, 0, static_cast<i32>(pick(0, 8)));
        emit(Op::stx64, R10, R4, -24);
        bind(around);
    }
    if (one_in(4)) return;
    value_address(R2, kRandomData, 0);
    if (one_in(3)) {
        emit(Op::stx64, R10, R9, -40);
        emit(one_in(2) ? Op::ldx64 : Op::ldx32, R3, R10, -40);
        emit(Op::add64_reg, R2, R3);
    } else {
        emit(Op::add64_reg, R2, R9);
    }
    emit(Op::ldx8, R4, R2, one_in(2) ? 39 - std::min(r9_most_, 39) : static_cast<i32>(pick(0, 39)));
    emit(Op::stx64, R10, R4, -16);
}

void RandomProgram::keep_pointer() {
    if (one_in(2)) {
        Label skip;
        mov(R2, R7);
        kept_size_ = static_cast<i32>(pick(1, 50));
        add(R2, kept_size_);
        set(R3, 0);
        emit(Op::stx64, R10, R7, -48);
        jump(out_, Op::jgt64_reg, R2, R8);
        kept_ = 1;
    } else {
        value_address(R2, kRandomData, 0);
        emit(Op::stx64, R10, R2, -48);
        kept_ = 2;
        kept_size_ = 40;
    }
}

void RandomProgram::use_pointer() {
    if (kept_ == 0) {
        keep_pointer();
        return;
    }
    Label skip;
    emit(one_in(20) ? Op::ldx32 : Op::ldx64, R2, R10, -48);
    if (kept_ == 3 && !one_in(5)) jump(skip, Op::jeq64_imm, R2, 0, 0);
    touch(R2, 0, std::max(kept_size_, 1));
    if (one_in(6)) emit(kStores[pick(0, 2)], R10, R9, -48), kept_ = 0;
    bind(skip);
}

/// Kinds of functions: 0 a number; 1 (buffer on the stack, index); 2 (data, data_end, number); 3 (map value);
/// 4 (context) changes the packet.
void RandomProgram::call_function() {
    const u32 kind = pick(0, 4);
    Label skip;
    switch (kind) {
    case 0:
        scalar(R1);
        scalar(R2);
        break;
    case 1:
        scalar(R2);
        bounded(R2, 56, skip);
        mov(R1, R10);
        add(R1, kScratch);
        break;
    case 2:
        mov(R1, R7);
        mov(R2, R8);
        scalar(R3);
        break;
    case 3:
        value_address(R1, kRandomData, static_cast<i32>(pick(0, 8)));
        scalar(R2);
        break;
    default: mov(R1, R6); break;
    }
    calls_.push_back({insns_.size(), kind});
    emit(Op::call, 0, kCallLocal, 0, 0);
    if (kind == 4) {
        if (!one_in(6)) {
            reload_packet();
        }
        kept_ = kept_ == 1 && !one_in(6) ? 0 : kept_;
    } else if (one_in(2)) {
        mov(R9, R0);
        r9_most_ = -1;
        if (kind == 0 && one_in(3)) {
            value_address(R2, kRandomData, 0);
            emit(Op::add64_reg, R2, R9);
            touch(R2, 0, 8);
        }
    }
    bind(skip);
}

void RandomProgram::function_body(u32 kind) {
    Label skip;
    in_function_ = true;
    // What scalar() reads.
    for (i32 slot = -8; slot >= -32; slot -= 8) emit(Op::stx64, R10, kind == 4 ? R1 : R2, slot);
    set(R9, static_cast<i32>(pick(0, 9)));
    set(R0, 0);
    switch (kind) {
    case 0:
        bounded(R1, 32, skip);
        if (one_in(2)) add(R1, static_cast<i32>(pick(0, 4)));
        mov(R0, R1);
        break;
    case 1:
        if (one_in(3)) bounded(R2, 56, skip);
        emit(Op::add64_reg, R1, R2);
        touch(R1, 0, one_in(2) ? 1 : 8, true);
        emit(Op::ldx8, R0, R10, -8);
        break;
    case 2:
        bounded(R3, 40, skip);
        emit(Op::add64_reg, R1, R3);
        mov(R3, R1);
        add(R3, 8);
        packet_check(R3, R2, skip);
        touch(R1, 0, 8);
        break;
    case 3:
        bounded(R2, 24, skip);
        emit(Op::add64_reg, R1, R2);
        touch(R1, 0, 8);
        break;
    default:
        scalar(R2);
        set(R2, static_cast<i32>(pick(0, 16)) - 8);
        helper(one_in(2) ? BPF_FUNC_xdp_adjust_head : BPF_FUNC_xdp_adjust_tail);
        break;
    }
    emit(Op::mov64_imm, R0, 0, 0, static_cast<i32>(pick(0, 40)));
    if (kind != 4 && one_in(2)) insns_.pop_back();
    bind(skip);
    if (one_in(10)) mov(R0, R10);
    emit(Op::exit);
    in_function_ = false;
}

void RandomProgram::functions() {
    for (u32 kind = 0; kind < 5; ++kind) {
        const std::size_t begin = insns_.size();
        bool used = false;
        for (const auto& [at, of] : calls_)
            if (of == kind) {
                insns_[at].imm = static_cast<i32>(begin - at - 1);
                used = true;
            }
        if (used) function_body(kind);
    }
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
