// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <linux/bpf.h>

namespace xdplane::test {

/// bpf(2) of the running kernel, the oracle of the tests: never wrapped, whatever the binary is linked with.
/// Returns what the kernel returns: >= 0, or -errno.
[[nodiscard]] long kernel_bpf(int command, void* attr, unsigned size);

/// close(2) of the running kernel: for fds that kernel_bpf() returned, in binaries that wrap close().
void kernel_close(int fd);

/// True if the kernel lets this process load programs and make maps; tests skip otherwise.
[[nodiscard]] bool kernel_bpf_allowed();

} // namespace xdplane::test
