// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <span>
#include <string>

#include "bpf/base/types.h"

/// Preload library: memory that a program names in a call, and may name wrongly. A kernel would say EFAULT.
namespace xdplane::remote {

/// How many bytes are there to read, at most to.size(); they are copied.
[[nodiscard]] std::size_t read_memory(u64 address, std::span<u8> to);
[[nodiscard]] bool write_memory(u64 address, std::span<const u8> from);

/// The directories of the daemon's bpf file system are below this one.
inline constexpr const char* kPinRoot = "/sys/fs/bpf";
/// From the root, without "." and "..", by its letters.
[[nodiscard]] std::string absolute_path(const std::string& path);
[[nodiscard]] bool is_pin_path(const std::string& absolute);

} // namespace xdplane::remote
