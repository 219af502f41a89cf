// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "bpf/base/types.h"

namespace xdplane::bench {

/// What BPF_PROG_LOAD takes: verification, lowering and JIT, of one program.
struct LoadCost {
    std::string name; ///< "load_" and the filter's, with the program's where it has several
    u32 insns = 0;
    double own_ns = 0;               ///< per instruction; the fastest of several loads
    std::optional<double> kernel_ns; ///< no value: see `reason`
    std::string reason;
};

/// Of every program in filters/.
[[nodiscard]] std::vector<LoadCost> measure_load_costs();

} // namespace xdplane::bench
