// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "bpf/jit/backend.h"

namespace xdplane::x86_64 {

struct Features;

/// Code for any x86-64 machine with these features.
[[nodiscard]] Result<MachineCode> compile(const LoweredProgram& program, Features features);
/// Code for this machine; on another one for any x86-64.
[[nodiscard]] Result<MachineCode> compile(const LoweredProgram& program);

} // namespace xdplane::x86_64
