// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <array>
#include <span>

#include "bpf/isa/insn.h"

namespace xdplane {

/// What identifies a program in logs and in bpftool: the first 8 bytes of the SHA-1 of its instructions, with
/// the map fds in them taken as 0, as Linux up to 6.17 computes it.
[[nodiscard]] std::array<u8, 8> program_tag(std::span<const Insn> insns);

} // namespace xdplane
