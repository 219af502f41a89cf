// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <string>
#include <vector>

#include "bpf/base/types.h"

/// Linked into a test with the linker's --wrap (watched_engine_args in meson.build), this has every program
/// that the interpreter gets checked while it runs: tests/support/abstraction.h. One thread.
namespace xdplane::test {

struct WatchedPrograms {
    u64 programs = 0;
    u64 unchecked = 0; ///< of which only the bounds are: too many states
    u64 insns_checked = 0;
    u64 bounds_checked = 0; ///< results of which something is known
    std::vector<std::string> violations;
};
/// Of all programs since the last call, none of which may run any more.
[[nodiscard]] WatchedPrograms take_watched_programs();

} // namespace xdplane::test
