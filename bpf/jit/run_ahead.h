// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <memory>

#include "bpf/jit/backend.h"
#include "bpf/lower/lowered.h"
#include "bpf/prog/program.h"

namespace xdplane {

/// What there is of a program; not both of the last two are null.
struct AheadParts {
    std::unique_ptr<Executable> program;
    RunSplit* run_split = nullptr; ///< the program in two halves
    std::unique_ptr<Executable> slice;
};

/// The program, and in front of each of its bursts, where it pays, passes of the slice: for each depth of
/// lookups the keys of all packets, then the maps' cache lines. Two halves stand for the first pass and the
/// program. `lowered` is what the program was compiled from. Bursts of few packets, and single ones, go to
/// the program as they are.
[[nodiscard]] std::unique_ptr<Executable> run_ahead(AheadParts parts, const LoweredProgram& lowered);

} // namespace xdplane
