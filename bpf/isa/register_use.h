// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "bpf/isa/opcodes.h"

namespace xdplane {

/// A bit for each BPF register.
using RegisterSet = u16;

[[nodiscard]] constexpr RegisterSet register_bit(u8 reg) { return static_cast<RegisterSet>(1U << reg); }
/// Those from `first` to `last`.
[[nodiscard]] constexpr RegisterSet register_bits(u8 first, u8 last) {
    return static_cast<RegisterSet>((2U << last) - (1U << first));
}

/// Those that hold the arguments of calls, and those that calls do not preserve.
inline constexpr RegisterSet kArguments = register_bits(R1, R5);
inline constexpr RegisterSet kCallerSaved = register_bits(R0, R5);

/// What an insn does to registers. `writes` are those that hold something else behind it on every path.
struct RegisterUse {
    RegisterSet reads = 0;
    RegisterSet writes = 0;
};

/// Of an insn of that row, with these registers. Calls are said to read all of r1-r5, and write r0-r5; of
/// operations that only lowering makes nothing is said.
[[nodiscard]] RegisterUse register_use(const OpcodeInfo& row, u8 dst, u8 src);

} // namespace xdplane
