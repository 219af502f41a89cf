// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/isa/opcodes.h"

namespace xdplane {
namespace {

constexpr u32 atomic_imm(OpKind kind, Code code, Operand operand) {
    if (kind == OpKind::load_acquire) return kLoadAcquire;
    if (kind == OpKind::store_release) return kStoreRelease;
    if (kind != OpKind::atomic) return 0;
    const u32 fetch = operand == Operand::fetch ? u32{kFetch} : 0;
    switch (code) {
    case Code::add: return kAtomicAdd | fetch;
    case Code::or_: return kAtomicOr | fetch;
    case Code::and_: return kAtomicAnd | fetch;
    case Code::xor_: return kAtomicXor | fetch;
    case Code::xchg: return kAtomicXchg;
    case Code::cmpxchg: return kAtomicCmpxchg;
    default: return ~0U;
    }
}

} // namespace

// clang-format off
constexpr std::array<OpcodeInfo, kOps> kOpcodes = {{
#define X(name, byte, kind, code, width, operand, off, imm, version)                                  \
    {Op::name, #name, u8(byte), OpKind::kind, Code::code, width, Operand::operand, Rule::off, Rule::imm, \
     version, atomic_imm(OpKind::kind, Code::code, Operand::operand)},
    XDPLANE_OPS(X)
#undef X
}};
// clang-format on

namespace {

/// The value a rule fixes; -1 where the field is free.
constexpr i32 fixed_value(Rule rule) {
    switch (rule) {
    case Rule::zero: return 0;
    case Rule::one: return 1;
    case Rule::eight: return 8;
    case Rule::sixteen: return 16;
    case Rule::thirty_two: return 32;
    case Rule::sixty_four: return 64;
    case Rule::any:
    case Rule::target:
    case Rule::atomic: return -1;
    }
    return -1;
}

constexpr bool obeys(const OpcodeInfo& row, Rule rule, i32 value) {
    if (rule == Rule::atomic) return static_cast<u32>(value) == row.atomic;
    return fixed_value(rule) < 0 || value == fixed_value(rule);
}

/// Registers that a row does not name must be 0, as Linux asks; src of call and ld_imm64 has meanings.
constexpr bool registers_fit(const OpcodeInfo& row, const Insn& insn) {
    const bool src_is_zero = insn.src == 0;
    const bool dst_is_zero = insn.dst == 0;
    switch (row.kind) {
    case OpKind::alu:
    case OpKind::endian:
    case OpKind::jump: return row.operand == Operand::reg || src_is_zero;
    case OpKind::st: return src_is_zero;
    case OpKind::may_goto:
    case OpKind::ja:
    case OpKind::exit:
    case OpKind::ld_abs: return src_is_zero && dst_is_zero;
    case OpKind::ld_ind:
    case OpKind::call: return dst_is_zero;
    default: return true;
    }
}

constexpr u8 kNoRow = static_cast<u8>(Op::invalid);
static_assert(kOps < 256);

/// The rows of one opcode byte, chained in table order.
struct RowIndex {
    std::array<u8, 256> first{};
    std::array<u8, kOps> next{};
};

constexpr RowIndex make_row_index() {
    RowIndex index;
    index.first.fill(kNoRow);
    index.next.fill(kNoRow);
    for (u32 i = kOps; i-- > 0;) {
        if (kOpcodes[i].version == 0) continue;
        index.next[i] = index.first[kOpcodes[i].opcode];
        index.first[kOpcodes[i].opcode] = static_cast<u8>(i);
    }
    return index;
}

constexpr RowIndex kRows = make_row_index();

} // namespace

Op decode(const Insn& insn) noexcept {
    for (u8 row = kRows.first[insn.opcode]; row != kNoRow; row = kRows.next[row]) {
        const OpcodeInfo& candidate = kOpcodes[row];
        if (obeys(candidate, candidate.off, insn.off) && obeys(candidate, candidate.imm, insn.imm) &&
            registers_fit(candidate, insn))
            return candidate.op;
    }
    return Op::invalid;
}

Insn encode(Op op, u8 dst, u8 src, i16 off, i32 imm) noexcept {
    const OpcodeInfo& row = info(op);
    const i32 fixed_off = fixed_value(row.off);
    const i32 fixed_imm = fixed_value(row.imm);
    Insn insn{};
    insn.opcode = row.opcode;
    insn.dst = dst & 15;
    insn.src = src & 15;
    insn.off = fixed_off < 0 ? off : static_cast<i16>(fixed_off);
    insn.imm = row.imm == Rule::atomic ? static_cast<i32>(row.atomic) : fixed_imm < 0 ? imm : fixed_imm;
    return insn;
}

} // namespace xdplane
