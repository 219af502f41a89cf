// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <array>
#include <string_view>

#include "bpf/isa/insn.h"

/// The instruction set as a table: one row per operation of RFC 9669 (versions 1 to 4 of the compilers'
/// -mcpu), plus the few operations that only lowering makes. Decoding checks, assembler, disassembler,
/// verifier dispatch, engines and the tests' coverage are all driven by these rows; an engine that forgets
/// one does not compile (a switch over Op without default, under -Werror=switch).
///
/// Row: X(name, opcode byte, kind, code, width, operand, off rule, imm rule, ISA version)
///   width    bits of the operation or of the memory access
///   operand  where the second operand comes from
///   rules    what the off and imm fields of the encoded instruction must hold
namespace xdplane {

enum class OpKind : u8 {
    alu,
    endian,
    ldx,
    st,
    stx,
    atomic,
    load_acquire,  ///< registers as ldx
    store_release, ///< registers as stx
    jump,
    may_goto, ///< a jump that is taken once the frame's budget of loops is used up
    ja,
    call,
    exit,
    ld_imm64,
    ld_abs,
    ld_ind,
    lowered
};

/// The operation within alu, endian, ldx (sign extension), jump and atomic rows.
enum class Code : u8 {
    none,
    add,
    sub,
    mul,
    div,
    or_,
    and_,
    lsh,
    rsh,
    neg,
    mod,
    xor_,
    mov,
    arsh,
    sdiv,
    smod,
    movsx8,
    movsx16,
    movsx32,
    to_le,
    to_be,
    bswap,
    jeq,
    jgt,
    jge,
    jset,
    jne,
    jsgt,
    jsge,
    jlt,
    jle,
    jslt,
    jsle,
    xchg,
    cmpxchg,
};

enum class Operand : u8 {
    none,  ///< no second operand
    imm,   ///< imm, sign-extended; src must be 0
    reg,   ///< src register
    fetch, ///< atomics that write the old value to src (cmpxchg: to r0)
};

/// What a field of the encoded instruction must hold.
enum class Rule : u8 {
    zero,
    any,    ///< free: an operand
    target, ///< a jump or call distance in insns
    one,
    eight,
    sixteen,
    thirty_two,
    sixty_four, ///< exactly 1, 8, 16, 32, 64
    atomic,     ///< imm holds OpcodeInfo::atomic: the atomic's code and fetch bit
};

// clang-format off
#define XDPLANE_ALU_ROWS(X, name, bits, code, version) \
    X(name##64_imm, 0x07 | bits, alu, code, 64, imm, zero, any,  version) \
    X(name##64_reg, 0x0f | bits, alu, code, 64, reg, zero, zero, version) \
    X(name##32_imm, 0x04 | bits, alu, code, 32, imm, zero, any,  version) \
    X(name##32_reg, 0x0c | bits, alu, code, 32, reg, zero, zero, version)
#define XDPLANE_SIGNED_ROWS(X, name, bits, code) \
    X(name##64_imm, 0x07 | bits, alu, code, 64, imm, one, any,  4) \
    X(name##64_reg, 0x0f | bits, alu, code, 64, reg, one, zero, 4) \
    X(name##32_imm, 0x04 | bits, alu, code, 32, imm, one, any,  4) \
    X(name##32_reg, 0x0c | bits, alu, code, 32, reg, one, zero, 4)
#define XDPLANE_JUMP_ROWS(X, name, bits, version) \
    X(name##64_imm, 0x05 | bits, jump, name, 64, imm, target, any,  version) \
    X(name##64_reg, 0x0d | bits, jump, name, 64, reg, target, zero, version) \
    X(name##32_imm, 0x06 | bits, jump, name, 32, imm, target, any,  3) \
    X(name##32_reg, 0x0e | bits, jump, name, 32, reg, target, zero, 3)
#define XDPLANE_ATOMIC_ROWS(X, name, code) \
    X(atomic_##name##32,       0xc3, atomic, code, 32, reg,   any, atomic, 1) \
    X(atomic_##name##64,       0xdb, atomic, code, 64, reg,   any, atomic, 1) \
    X(atomic_fetch_##name##32, 0xc3, atomic, code, 32, fetch, any, atomic, 3) \
    X(atomic_fetch_##name##64, 0xdb, atomic, code, 64, fetch, any, atomic, 3)
#define XDPLANE_ORDERED_ROWS(X, name) \
    X(name##8,  0xd3, name, none,  8, reg, any, atomic, 4) \
    X(name##16, 0xcb, name, none, 16, reg, any, atomic, 4) \
    X(name##32, 0xc3, name, none, 32, reg, any, atomic, 4) \
    X(name##64, 0xdb, name, none, 64, reg, any, atomic, 4)

#define XDPLANE_OPS(X) \
    XDPLANE_ALU_ROWS(X, add,  0x00, add, 1) \
    XDPLANE_ALU_ROWS(X, sub,  0x10, sub, 1) \
    XDPLANE_ALU_ROWS(X, mul,  0x20, mul, 1) \
    XDPLANE_ALU_ROWS(X, div,  0x30, div, 1) \
    XDPLANE_ALU_ROWS(X, or,   0x40, or_, 1) \
    XDPLANE_ALU_ROWS(X, and,  0x50, and_, 1) \
    XDPLANE_ALU_ROWS(X, lsh,  0x60, lsh, 1) \
    XDPLANE_ALU_ROWS(X, rsh,  0x70, rsh, 1) \
    XDPLANE_ALU_ROWS(X, mod,  0x90, mod, 1) \
    XDPLANE_ALU_ROWS(X, xor,  0xa0, xor_, 1) \
    XDPLANE_ALU_ROWS(X, mov,  0xb0, mov, 1) \
    XDPLANE_ALU_ROWS(X, arsh, 0xc0, arsh, 1) \
    XDPLANE_SIGNED_ROWS(X, sdiv, 0x30, sdiv) \
    XDPLANE_SIGNED_ROWS(X, smod, 0x90, smod) \
    X(neg64,      0x87, alu, neg,     64, none, zero, zero, 1) \
    X(neg32,      0x84, alu, neg,     32, none, zero, zero, 1) \
    X(movsx8_64,  0xbf, alu, movsx8,  64, reg, eight,      zero, 4) \
    X(movsx16_64, 0xbf, alu, movsx16, 64, reg, sixteen,    zero, 4) \
    X(movsx32_64, 0xbf, alu, movsx32, 64, reg, thirty_two, zero, 4) \
    X(movsx8_32,  0xbc, alu, movsx8,  32, reg, eight,      zero, 4) \
    X(movsx16_32, 0xbc, alu, movsx16, 32, reg, sixteen,    zero, 4) \
    X(le16,       0xd4, endian, to_le, 16, none, zero, sixteen,    1) \
    X(le32,       0xd4, endian, to_le, 32, none, zero, thirty_two, 1) \
    X(le64,       0xd4, endian, to_le, 64, none, zero, sixty_four, 1) \
    X(be16,       0xdc, endian, to_be, 16, none, zero, sixteen,    1) \
    X(be32,       0xdc, endian, to_be, 32, none, zero, thirty_two, 1) \
    X(be64,       0xdc, endian, to_be, 64, none, zero, sixty_four, 1) \
    X(bswap16,    0xd7, endian, bswap, 16, none, zero, sixteen,    4) \
    X(bswap32,    0xd7, endian, bswap, 32, none, zero, thirty_two, 4) \
    X(bswap64,    0xd7, endian, bswap, 64, none, zero, sixty_four, 4) \
    X(ldx8,  0x71, ldx, none,  8, reg, any, zero, 1) \
    X(ldx16, 0x69, ldx, none, 16, reg, any, zero, 1) \
    X(ldx32, 0x61, ldx, none, 32, reg, any, zero, 1) \
    X(ldx64, 0x79, ldx, none, 64, reg, any, zero, 1) \
    X(ldxs8,  0x91, ldx, movsx8,   8, reg, any, zero, 4) \
    X(ldxs16, 0x89, ldx, movsx16, 16, reg, any, zero, 4) \
    X(ldxs32, 0x81, ldx, movsx32, 32, reg, any, zero, 4) \
    X(st8,  0x72, st, none,  8, imm, any, any, 1) \
    X(st16, 0x6a, st, none, 16, imm, any, any, 1) \
    X(st32, 0x62, st, none, 32, imm, any, any, 1) \
    X(st64, 0x7a, st, none, 64, imm, any, any, 1) \
    X(stx8,  0x73, stx, none,  8, reg, any, zero, 1) \
    X(stx16, 0x6b, stx, none, 16, reg, any, zero, 1) \
    X(stx32, 0x63, stx, none, 32, reg, any, zero, 1) \
    X(stx64, 0x7b, stx, none, 64, reg, any, zero, 1) \
    XDPLANE_ATOMIC_ROWS(X, add, add) \
    XDPLANE_ATOMIC_ROWS(X, or,  or_) \
    XDPLANE_ATOMIC_ROWS(X, and, and_) \
    XDPLANE_ATOMIC_ROWS(X, xor, xor_) \
    X(atomic_xchg32,    0xc3, atomic, xchg,    32, fetch, any, atomic, 3) \
    X(atomic_xchg64,    0xdb, atomic, xchg,    64, fetch, any, atomic, 3) \
    X(atomic_cmpxchg32, 0xc3, atomic, cmpxchg, 32, fetch, any, atomic, 3) \
    X(atomic_cmpxchg64, 0xdb, atomic, cmpxchg, 64, fetch, any, atomic, 3) \
    XDPLANE_ORDERED_ROWS(X, load_acquire) \
    XDPLANE_ORDERED_ROWS(X, store_release) \
    XDPLANE_JUMP_ROWS(X, jeq,  0x10, 1) \
    XDPLANE_JUMP_ROWS(X, jgt,  0x20, 1) \
    XDPLANE_JUMP_ROWS(X, jge,  0x30, 1) \
    XDPLANE_JUMP_ROWS(X, jset, 0x40, 1) \
    XDPLANE_JUMP_ROWS(X, jne,  0x50, 1) \
    XDPLANE_JUMP_ROWS(X, jsgt, 0x60, 1) \
    XDPLANE_JUMP_ROWS(X, jsge, 0x70, 1) \
    XDPLANE_JUMP_ROWS(X, jlt,  0xa0, 2) \
    XDPLANE_JUMP_ROWS(X, jle,  0xb0, 2) \
    XDPLANE_JUMP_ROWS(X, jslt, 0xc0, 2) \
    XDPLANE_JUMP_ROWS(X, jsle, 0xd0, 2) \
    X(may_goto, 0xe5, may_goto, none, 64, none, target, zero, 4) \
    X(ja,   0x05, ja, none, 64, none, target, zero, 1) \
    X(ja32, 0x06, ja, none, 32, none, zero, target, 4) \
    X(call, 0x85, call, none, 64, none, zero, any, 1) \
    X(exit, 0x95, exit, none, 64, none, zero, zero, 1) \
    X(ld_imm64, 0x18, ld_imm64, none, 64, none, zero, any, 1) \
    X(ld_abs8,  0x30, ld_abs, none,  8, none, zero, any, 1) \
    X(ld_abs16, 0x28, ld_abs, none, 16, none, zero, any, 1) \
    X(ld_abs32, 0x20, ld_abs, none, 32, none, zero, any, 1) \
    X(ld_ind8,  0x50, ld_ind, none,  8, reg, zero, any, 1) \
    X(ld_ind16, 0x48, ld_ind, none, 16, reg, zero, any, 1) \
    X(ld_ind32, 0x40, ld_ind, none, 32, reg, zero, any, 1) \
    /* Only lowering makes these; decode() never returns them. */ \
    X(call_helper, 0, lowered, none, 64, none, any, any, 0) \
    X(map_lookup,  0, lowered, none, 64, none, any, any, 0) \
    X(call_local,  0, lowered, none, 64, none, any, any, 0) \
    X(call_loop,   0, lowered, none, 64, none, any, any, 0) \
    X(tail_call,   0, lowered, none, 64, none, any, any, 0) \
    X(ctx_length,  0, lowered, none, 32, none, any, any, 0) \
    X(nop,         0, lowered, none, 64, none, any, any, 0)
// clang-format on

enum class Op : u8 {
#define X(name, ...) name,
    XDPLANE_OPS(X)
#undef X
        invalid,
};
inline constexpr u32 kOps = static_cast<u32>(Op::invalid);

struct OpcodeInfo {
    Op op;
    std::string_view name;
    u8 opcode; ///< the encoded byte; 0 in rows that only lowering makes
    OpKind kind;
    Code code;
    u8 width; ///< bits
    Operand operand;
    Rule off;
    Rule imm;
    u8 version; ///< ISA version (clang -mcpu=vN) that introduced it; 0: lowered only
    u32 atomic; ///< kinds atomic, load_acquire, store_release: what imm holds
};

/// Indexed by Op.
extern const std::array<OpcodeInfo, kOps> kOpcodes;
[[nodiscard]] inline const OpcodeInfo& info(Op op) { return kOpcodes[static_cast<u32>(op)]; }

/// The row of an encoded instruction, chosen by its opcode byte and, where rows share one, by off or imm;
/// Op::invalid if there is none. Fields that must be zero are checked too, except src of ld_imm64 and call,
/// whose legal values depend on who asks. The second slot of ld_imm64 has no row.
[[nodiscard]] Op decode(const Insn& insn) noexcept;

/// Encodes a row; off and imm are replaced where the row's rules fix them.
[[nodiscard]] Insn encode(Op op, u8 dst, u8 src, i16 off, i32 imm) noexcept;

} // namespace xdplane
