// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "bpf/base/result.h"
#include "bpf/isa/insn.h"

namespace xdplane {

/// One program of tests/isa/*.data and what it must do. The format, a directive a line, values in hex or
/// decimal, "#" for comments:
///
///   case NAME          starts a case; the indented lines that follow are its program (isa/assembler.h)
///   mem HEX            bytes of memory: r1 points to a copy of them, r2 is their length
///   mem64 N N...       the same as 64-bit numbers, between spaces or commas
///   packet HEX         instead of mem: r1 is the context of a packet of these bytes, as ld_abs needs it;
///                      results are 32 bits
///   result N           r0 at exit, all 64 bits
///   after HEX          memory afterwards; after64 N N... as numbers. Without it memory is not looked at
///   error TEXT         instead of result: the program is refused, and the message holds TEXT
///   kernel no REASON   Linux refuses it or differs: do not ask the running kernel
///   with A=B C="D E"...    makes a case of its own, NAME_1, NAME_2, ...: $A stands for B everywhere above;
///                      `result`, `after64` and `error` may be given here as well
struct IsaCase {
    std::string file;
    u32 line = 0; ///< of "case", or of "with"
    std::string name;
    std::string text;
    std::vector<Insn> insns;
    std::vector<u8> memory;
    bool packet = false;
    u64 result = 0;
    std::optional<std::vector<u8>> after;
    std::string error;       ///< empty: the program runs
    std::string kernel_skip; ///< why the kernel is not asked; empty: it is
};

/// Reads every *.data of a directory, sorted by name. Errors name file and line.
[[nodiscard]] Result<std::vector<IsaCase>> read_isa_cases(const std::filesystem::path& directory);

} // namespace xdplane
