// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "tests/support/engines.h"

#include "bpf/interp/interpreter.h"
#include "bpf/jit/jit.h"

namespace xdplane {
namespace {

Result<std::unique_ptr<Executable>> make_interpreter(LoweredProgram program) {
    return interpret(std::move(program));
}

Result<std::unique_ptr<Executable>> make_jit(LoweredProgram program) { return jit(program); }

constexpr TestEngine kEngines[] = {{"Interpreter", make_interpreter}, {"Jit", make_jit}};

} // namespace

std::span<const TestEngine> test_engines() {
    return std::span(kEngines).first(host_backend() != nullptr ? 2 : 1);
}

} // namespace xdplane
