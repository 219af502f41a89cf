// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <memory>
#include <span>

#include "bpf/base/result.h"
#include "bpf/lower/lowered.h"
#include "bpf/prog/program.h"

namespace xdplane {

/// An engine that can run on this machine.
struct TestEngine {
    const char* name; ///< "Interpreter", "Jit": part of test names
    Result<std::unique_ptr<Executable>> (*make)(LoweredProgram program);
};

/// The interpreter first, then the host's JIT where there is one.
[[nodiscard]] std::span<const TestEngine> test_engines();

} // namespace xdplane
