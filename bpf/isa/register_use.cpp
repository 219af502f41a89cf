// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/isa/register_use.h"

namespace xdplane {
namespace {

bool replaces(Code code) {
    return code == Code::mov || code == Code::movsx8 || code == Code::movsx16 || code == Code::movsx32;
}

/// cmpxchg compares r0, and leaves there what it found; others that fetch leave it in src.
RegisterUse use_of_atomic(const OpcodeInfo& row, RegisterSet dst, RegisterSet src) {
    constexpr RegisterSet kR0 = register_bit(R0);
    const bool compares = row.code == Code::cmpxchg;
    const auto reads = static_cast<RegisterSet>(dst | src | (compares ? kR0 : 0));
    if (row.operand != Operand::fetch) return {reads, 0};
    return {reads, compares ? kR0 : src};
}

} // namespace

RegisterUse register_use(const OpcodeInfo& row, u8 dst_register, u8 src_register) {
    const RegisterSet dst = register_bit(dst_register);
    const RegisterSet src = register_bit(src_register);
    const RegisterSet operand = row.operand == Operand::reg ? src : RegisterSet{0};
    switch (row.kind) {
    case OpKind::alu: return {static_cast<RegisterSet>((replaces(row.code) ? 0 : dst) | operand), dst};
    case OpKind::endian: return {dst, dst};
    case OpKind::ldx:
    case OpKind::load_acquire: return {src, dst};
    case OpKind::st: return {dst, 0};
    case OpKind::stx:
    case OpKind::store_release: return {static_cast<RegisterSet>(dst | src), 0};
    case OpKind::atomic: return use_of_atomic(row, dst, src);
    case OpKind::jump: return {static_cast<RegisterSet>(dst | operand), 0};
    case OpKind::may_goto:
    case OpKind::ja: return {};
    case OpKind::call: return {kArguments, kCallerSaved};
    case OpKind::exit: return {register_bit(R0), 0};
    case OpKind::ld_imm64: return {0, dst};
    case OpKind::ld_abs: return {register_bit(R6), kCallerSaved};
    case OpKind::ld_ind: return {static_cast<RegisterSet>(register_bit(R6) | src), kCallerSaved};
    case OpKind::lowered: return {};
    }
    return {};
}

} // namespace xdplane
