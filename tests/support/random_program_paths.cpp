// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// Loops, branches and sub-programs: what one path proves and another uses.
#include <algorithm>
#include <iterator>
#include <linux/bpf.h>

#include "tests/support/random_program.h"
#include "tests/support/random_program_tables.h"

namespace xdplane::test {

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

} // namespace xdplane::test
