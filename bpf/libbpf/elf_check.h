// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <set>
#include <span>
#include <string>

#include "bpf/base/result.h"
#include "bpf/base/types.h"

namespace xdplane {

/// What the check learned on the way.
struct ElfFacts {
    /// Functions that a map refers to (`.values` of a program array): they must be loaded with it.
    std::set<std::string> map_programs;
};

/// Checks a BPF object file (ELF64, little-endian, relocatable, EM_BPF) before libbpf sees it, for libbpf
/// trusts its input in places: every offset, size, index and string that libbpf follows lies where it should.
/// EINVAL with the first defect. Reads nothing outside of `file`, takes time linear in it.
[[nodiscard]] Result<ElfFacts> check_elf(std::span<const u8> file);

} // namespace xdplane
