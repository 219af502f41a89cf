// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <span>
#include <string>
#include <vector>

#include "bpf/base/result.h"
#include "bpf/base/types.h"

/// DPDK's environment abstraction layer (EAL): memory, lcores, drivers. One per process; control thread.
namespace xdplane {

/// Starts DPDK. Once per process, before any port. `arguments` are EAL's, without the program's name; what
/// they do not say gets a default that works on any machine: `workers` worker lcores, each on a CPU this
/// process may use, no files shared with other processes, and ordinary pages where no huge ones are free
/// (said in `notes`, a line each). DPDK's log goes to take_eal_log(), unless the arguments have a
/// --log-level: then it is written to stderr. `cpus`: of each worker; empty: the last ones that there are.
Result<> start_eal(std::vector<std::string> arguments, u32 workers, std::vector<std::string>& notes,
                   std::span<const u32> cpus = {});
/// Gives all of DPDK's memory back. After every port is gone.
void stop_eal();

/// The first line that DPDK logged since the last call, at level error or worse and without its prefix; empty
/// if none. What a driver says there is better than its error number. Any thread.
[[nodiscard]] std::string take_eal_log();

} // namespace xdplane
