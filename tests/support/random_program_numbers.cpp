// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// Numbers, and the many ways to keep one below a limit.
#include <algorithm>
#include <bit>
#include <iterator>

#include "tests/support/random_program.h"
#include "tests/support/random_program_tables.h"

namespace xdplane::test {
namespace {

i32 power_below(i32 n) { return static_cast<i32>(std::bit_floor(static_cast<u32>(n))); }

} // namespace

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

} // namespace xdplane::test
