// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <span>
#include <string>

#include "bpf/base/result.h"
#include "bpf/base/types.h"

namespace xdplane {

/// Machine code of this host as text, for `xdplane dump --jited`: a line per instruction with its address,
/// its bytes and its name and operands. `address` is that of the first byte, or 0. Bytes that are no
/// instruction are shown as data. Any thread.
[[nodiscard]] Result<std::string> disassemble_machine_code(std::span<const u8> code, u64 address);

} // namespace xdplane
