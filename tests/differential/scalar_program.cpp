// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "tests/differential/scalar_program.h"

#include <algorithm>
#include <iterator>

namespace xdplane {
namespace {

constexpr u32 kMaxJumps = 6; ///< each may double the paths
constexpr u64 kMapBytes = 64;

constexpr Op kArithmetic[] = {
    Op::add64_imm, Op::add64_reg, Op::add32_imm,  Op::add32_reg,  Op::sub64_imm,  Op::sub64_reg,
    Op::sub32_imm, Op::sub32_reg, Op::mul64_imm,  Op::mul64_reg,  Op::mul32_imm,  Op::mul32_reg,
    Op::and64_imm, Op::and64_reg, Op::and32_imm,  Op::and32_reg,  Op::or64_imm,   Op::or64_reg,
    Op::or32_imm,  Op::or32_reg,  Op::xor64_imm,  Op::xor64_reg,  Op::xor32_imm,  Op::xor32_reg,
    Op::lsh64_imm, Op::lsh64_reg, Op::lsh32_imm,  Op::lsh32_reg,  Op::rsh64_imm,  Op::rsh64_reg,
    Op::rsh32_imm, Op::rsh32_reg, Op::arsh64_imm, Op::arsh64_reg, Op::arsh32_imm, Op::arsh32_reg,
    Op::neg64,     Op::neg32,
};
/// What makes numbers unknown again: rarer.
constexpr Op kForgetting[] = {
    Op::div64_imm,  Op::div64_reg,  Op::div32_imm,  Op::div32_reg,  Op::mod64_imm,
    Op::mod64_reg,  Op::mod32_imm,  Op::mod32_reg,  Op::sdiv64_imm, Op::sdiv64_reg,
    Op::sdiv32_imm, Op::sdiv32_reg, Op::smod64_imm, Op::smod64_reg, Op::smod32_imm,
    Op::smod32_reg, Op::le16,       Op::le32,       Op::le64,       Op::be16,
    Op::be32,       Op::be64,       Op::bswap16,    Op::bswap32,    Op::bswap64,
};
constexpr Op kMoves[] = {
    Op::mov64_imm, Op::mov64_reg,  Op::mov64_reg,  Op::mov32_imm, Op::mov32_reg,  Op::mov32_reg,
    Op::movsx8_64, Op::movsx16_64, Op::movsx32_64, Op::movsx8_32, Op::movsx16_32,
};
constexpr Op kLoads[] = {Op::ldx8,  Op::ldx16, Op::ldx32,  Op::ldx64,
                         Op::ldx64, Op::ldxs8, Op::ldxs16, Op::ldxs32};
constexpr Op kJumps[] = {
    Op::jeq64_imm,  Op::jeq64_reg,  Op::jeq32_imm,  Op::jeq32_reg,  Op::jgt64_imm,  Op::jgt64_reg,
    Op::jgt32_imm,  Op::jgt32_reg,  Op::jge64_imm,  Op::jge64_reg,  Op::jge32_imm,  Op::jge32_reg,
    Op::jset64_imm, Op::jset64_reg, Op::jset32_imm, Op::jset32_reg, Op::jne64_imm,  Op::jne64_reg,
    Op::jne32_imm,  Op::jne32_reg,  Op::jsgt64_imm, Op::jsgt64_reg, Op::jsgt32_imm, Op::jsgt32_reg,
    Op::jsge64_imm, Op::jsge64_reg, Op::jsge32_imm, Op::jsge32_reg, Op::jlt64_imm,  Op::jlt64_reg,
    Op::jlt32_imm,  Op::jlt32_reg,  Op::jle64_imm,  Op::jle64_reg,  Op::jle32_imm,  Op::jle32_reg,
    Op::jslt64_imm, Op::jslt64_reg, Op::jslt32_imm, Op::jslt32_reg, Op::jsle64_imm, Op::jsle64_reg,
    Op::jsle32_imm, Op::jsle32_reg,
};

bool is_shift(Code code) { return code == Code::lsh || code == Code::rsh || code == Code::arsh; }
bool is_division(Code code) {
    return code == Code::div || code == Code::mod || code == Code::sdiv || code == Code::smod;
}
i16 fixed_offset(Rule rule) {
    switch (rule) {
    case Rule::one: return 1;
    case Rule::eight: return 8;
    case Rule::sixteen: return 16;
    case Rule::thirty_two: return 32;
    default: return 0;
    }
}

} // namespace

ScalarProgram::ScalarProgram(u64 seed) : random_(seed) {
    for (u8 reg = 1; reg <= kRegs; ++reg) add_start(reg);
    const u64 length = 3 + random(22);
    for (u64 i = 0; i < length; ++i) {
        const u64 kind = random(20);
        if (kind < 10)
            add_alu();
        else if (kind < 13)
            add_move();
        else if (kind < 19)
            add_jump();
        else
            add_load(random_reg());
    }
    for (Item& item : items_) item.target = std::min(item.target, items_.size());
}

void ScalarProgram::add(Op op, u8 dst, u8 src, i32 imm, i16 off) {
    const OpcodeInfo& row = info(op);
    Item item;
    item.insn = {row.opcode, static_cast<u8>(dst & 15), static_cast<u8>(src & 15), off, imm};
    items_.push_back(item);
}

/// Numbers near which bounds wrap, change sign or width.
i32 ScalarProgram::random_number() {
    switch (random(5)) {
    case 0: return static_cast<i32>(random(7)) - 3;
    case 1: return static_cast<i32>(random_());
    case 2: return static_cast<i32>((u32{1} << random(32)) - static_cast<u32>(random(2)));
    case 3: return static_cast<i32>(random_() & 0xff);
    default: return static_cast<i32>(static_cast<u32>(random_()) >> random(32));
    }
}

void ScalarProgram::add_load(u8 reg) {
    const Op op = kLoads[random(std::size(kLoads))];
    add(op, reg, R0, 0, static_cast<i16>(random(kMapBytes / 8) * 8));
}

void ScalarProgram::add_start(u8 reg) {
    switch (random(5)) {
    case 0: add(Op::mov64_imm, reg, 0, random_number()); break;
    case 1:
        add(Op::ld_imm64, reg, 0, random_number());
        items_.push_back({.insn = {0, 0, 0, 0, random_number()}});
        break;
    case 2:
        add_load(reg);
        add(random(2) == 0 ? Op::and64_imm : Op::and32_imm, reg, 0, random_number());
        break;
    case 3:
        add_load(reg);
        add(random(2) == 0 ? Op::rsh64_imm : Op::arsh64_imm, reg, 0, static_cast<i32>(random(64)));
        break;
    default: add_load(reg); break;
    }
}

void ScalarProgram::add_alu() {
    const Op op = random(12) == 0 ? kForgetting[random(std::size(kForgetting))]
                                  : kArithmetic[random(std::size(kArithmetic))];
    const OpcodeInfo& row = info(op);
    const u8 dst = random_reg();
    if (row.kind == OpKind::endian) {
        add(op, dst, 0, static_cast<i32>(row.width));
        return;
    }
    const u8 src = row.operand == Operand::reg ? random_reg() : u8{0};
    i32 imm = row.operand == Operand::imm ? random_number() : 0;
    if (row.operand == Operand::imm && is_shift(row.code)) imm = static_cast<i32>(random(row.width));
    if (row.operand == Operand::imm && is_division(row.code) && imm == 0) imm = 1;
    if (row.operand == Operand::reg && is_shift(row.code) && random(4) != 0)
        add(Op::mov64_imm, src, 0, static_cast<i32>(random(row.width)));
    add(op, dst, src, imm, fixed_offset(row.off));
}

void ScalarProgram::add_move() {
    const Op op = kMoves[random(std::size(kMoves))];
    const OpcodeInfo& row = info(op);
    const bool with_reg = row.operand == Operand::reg;
    add(op, random_reg(), with_reg ? random_reg() : u8{0}, with_reg ? 0 : random_number(),
        fixed_offset(row.off));
}

void ScalarProgram::add_jump() {
    if (jumps_ == kMaxJumps) return;
    ++jumps_;
    const Op op = kJumps[random(std::size(kJumps))];
    const bool with_reg = info(op).operand == Operand::reg;
    add(op, random_reg(), with_reg ? random_reg() : u8{0}, with_reg ? 0 : random_number());
    // Not to the next insn: which way was taken could not be told from the log.
    items_.back().target = random(3) == 0 ? ~std::size_t{0} : items_.size() + 1 + random(5);
}

std::vector<Insn> ScalarProgram::insns(int map_fd) const {
    std::vector<Insn> out = {{info(Op::ld_imm64).opcode, R0, kMapValue, 0, map_fd}, {0, 0, 0, 0, 0}};
    for (std::size_t i = 0; i < items_.size(); ++i) {
        Insn insn = items_[i].insn;
        if (items_[i].target != 0) insn.off = static_cast<i16>(items_[i].target - i - 1);
        out.push_back(insn);
    }
    out.push_back({info(Op::mov64_imm).opcode, R0, 0, 0, 0});
    out.push_back({info(Op::exit).opcode, 0, 0, 0, 0});
    return out;
}

ScalarProgram ScalarProgram::without(std::size_t item) const {
    ScalarProgram less;
    const auto is_wide = [](const Item& i) { return i.insn.opcode == info(Op::ld_imm64).opcode; };
    const std::size_t count = is_wide(items_[item]) ? 2 : 1;
    for (std::size_t i = 0; i < items_.size(); ++i) {
        if (i >= item && i < item + count) continue;
        Item kept = items_[i];
        if (kept.target > item) kept.target -= count;
        less.items_.push_back(kept);
    }
    return less;
}

} // namespace xdplane
