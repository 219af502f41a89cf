// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "bpf/isa/opcodes.h"

/// What the parts of RandomProgram agree on. Registers: r6 context, r7 data, r8 data_end, r9 a number that
/// lives long; r0-r5 for the moment. Stack: numbers at -8, -16, -24, -32 (checked or loaded at the start), a
/// spilled pointer at -48, scratch at -40 and below -56.
namespace xdplane::test {

inline constexpr i32 kScratch = -128; ///< 64 bytes, of which the start writes all
inline constexpr Op kLoads[] = {Op::ldx8, Op::ldx16, Op::ldx32, Op::ldx64, Op::ldxs8, Op::ldxs16, Op::ldxs32};
inline constexpr i32 kLoadSizes[] = {1, 2, 4, 8, 1, 2, 4};
inline constexpr Op kStores[] = {Op::stx8, Op::stx16, Op::stx32, Op::stx64};
inline constexpr Op kStoresImm[] = {Op::st8, Op::st16, Op::st32, Op::st64};

} // namespace xdplane::test
