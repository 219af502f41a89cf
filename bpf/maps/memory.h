// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <string_view>

#include "bpf/base/mapping.h"
#include "bpf/base/result.h"
#include "bpf/base/unique_fd.h"

/// Where maps keep their entries: page-aligned, zeroed, committed by the kernel page by page as it is
/// touched.
namespace xdplane {

/// The most that one map may take: the machine's memory, as for Linux's own allocations. -ENOMEM beyond it.
[[nodiscard]] u64 max_map_bytes();

/// Private memory. `sparse` lifts the limit of max_map_bytes() (BPF_F_NO_PREALLOC): pages that are never
/// touched cost nothing. Huge pages are asked for where the size makes them worth it.
[[nodiscard]] Result<Mapping> map_memory(u64 bytes, bool sparse = false);

/// The pages of a new memfd, whose size is sealed: what BPF_F_MMAPABLE arrays share with user space.
[[nodiscard]] Result<Mapping> map_shared_memory(u64 bytes, std::string_view name, UniqueFd& fd);

} // namespace xdplane
