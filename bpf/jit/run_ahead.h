// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <memory>

#include "bpf/jit/backend.h"
#include "bpf/lower/lowered.h"
#include "bpf/prog/program.h"

namespace xdplane {

/// `program`, and in front of each of its bursts, where it pays, passes of `slice`: for each depth of lookups
/// the keys of all packets, then the maps' cache lines. Where `run_split` is not null, the program in two
/// halves, it stands for the first pass and the program. `lowered` is what the slice was
/// compiled from. Bursts of few packets, and single ones, go to the program as they are.
[[nodiscard]] std::unique_ptr<Executable> run_ahead(std::unique_ptr<Executable> program, RunSplit* run_split,
                                                    std::unique_ptr<Executable> slice,
                                                    const LoweredProgram& lowered);

} // namespace xdplane
