// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "bpf/base/types.h"

/// Memory at addresses that nobody has checked: what programs may read on Linux with bpf_probe_read_kernel()
/// and %s. The memory of this process plays the part of the kernel's. A system call each, so that a bad
/// address is an error and not the end of the process.
namespace xdplane {

/// Copies `size` bytes. False, and nothing copied that counts, if any of them cannot be read.
[[nodiscard]] bool safe_read(void* to, u64 from, u32 size) noexcept;

/// Copies a string and its NUL, cut to `size` bytes (at least 1) with a NUL at the end. Returns the bytes
/// written, the NUL included, or -EFAULT if it cannot be read; then `to` is garbage.
[[nodiscard]] i64 safe_read_string(char* to, u64 from, u32 size) noexcept;

} // namespace xdplane
