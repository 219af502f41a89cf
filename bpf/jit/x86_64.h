// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "bpf/jit/backend.h"

namespace xdplane::x86_64 {

/// What the emitted code may use beyond x86-64-v1. Tests force each path.
struct Features {
    bool bmi2 = false; ///< shlx and its like: shifts by any register, without juggling rcx
};

/// Code for any x86-64 machine with these features.
[[nodiscard]] Result<MachineCode> compile(const LoweredProgram& program, Features features);
/// Code for this machine; on another one for any x86-64.
[[nodiscard]] Result<MachineCode> compile(const LoweredProgram& program);

} // namespace xdplane::x86_64
