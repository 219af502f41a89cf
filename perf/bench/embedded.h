// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <span>
#include <string_view>

#include "bpf/base/types.h"

namespace xdplane::bench {

/// The bytes of an object file that the benchmark brings along; empty if there is none of this name.
[[nodiscard]] std::span<const u8> embedded_object(std::string_view name);

} // namespace xdplane::bench
