// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <memory>

#include "bpf/jit/backend.h"
#include "bpf/prog/program.h"

namespace xdplane {

/// Compiles for the host and seals the code. `jited`, if given, gets a copy of the machine code.
[[nodiscard]] Result<std::unique_ptr<Executable>> jit(const LoweredProgram& program,
                                                      std::vector<u8>* jited = nullptr);

} // namespace xdplane
