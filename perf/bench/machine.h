// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <string>

#include "bpf/base/types.h"

namespace xdplane::bench {

/// Where a run was measured: what a reader needs to judge it.
struct Machine {
    std::string cpu_model;
    u32 cores = 0; ///< that this process may use
    std::string kernel;
    std::string compiler;        ///< of xdplane
    std::string native_compiler; ///< of the native engine
    std::string build;           ///< "optimized", or what is wrong with it
    std::string huge_pages;      ///< /sys/kernel/mm/transparent_hugepage/enabled: the word in brackets
    u64 memory_bytes = 0;
    u64 cache_bytes = 0; ///< of the last level; 0: not known
    bool virtual_machine = false;
    std::string date; ///< UTC, ISO 8601
    std::string version;
};

[[nodiscard]] Machine describe_machine();
/// MemAvailable of /proc/meminfo.
[[nodiscard]] u64 available_memory();
/// Keeps the calling thread on the CPU it is on; returns its number.
u32 pin_to_this_cpu();

} // namespace xdplane::bench
