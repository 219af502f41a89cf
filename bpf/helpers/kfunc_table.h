// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <span>
#include <string_view>

#include "bpf/helpers/helper.h"

/// Kernel functions that programs may call (Documentation/bpf/kfuncs.rst), by name. Programs name them by
/// their id in the kernel's BTF, which bpf/btf/vmlinux.h turns into a name; what one is called with and what
/// it does is a HelperProto with is_kfunc set.
namespace xdplane {

/// Row i has id i.
[[nodiscard]] std::span<const HelperProto> kfunc_table();
/// Null if there is none of this name.
[[nodiscard]] const HelperProto* find_kfunc(std::string_view name);

} // namespace xdplane
