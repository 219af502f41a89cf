// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <functional>
#include <optional>
#include <span>
#include <string_view>

#include "bpf/base/result.h"
#include "bpf/btf/btf.h"

namespace xdplane {

/// Checks a .BTF.ext section: func_info, line_info and CO-RE relocations, each in the order of the code it
/// belongs to. `code_size` gives the bytes of a code section by name. EINVAL with the first defect.
[[nodiscard]] Result<> check_btf_ext(std::span<const u8> bytes, const Btf& btf,
                                     const std::function<std::optional<u64>(std::string_view)>& code_size);

} // namespace xdplane
