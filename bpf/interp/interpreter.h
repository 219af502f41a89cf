// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <memory>

#include "bpf/lower/lowered.h"
#include "bpf/prog/program.h"

namespace xdplane {

/// An executable that interprets the lowered program; it owns the program. The reference engine: JITs are
/// compared with it.
[[nodiscard]] std::unique_ptr<Executable> interpret(LoweredProgram program);

} // namespace xdplane
