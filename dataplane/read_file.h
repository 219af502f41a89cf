// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <string>

#include "bpf/base/result.h"
#include "bpf/base/types.h"

namespace xdplane {

/// What may be read: anything (a pipe, too), or a regular file alone, which nobody can make us wait for.
enum class FileKind : u8 { any, regular };

/// All bytes of a file, or EFBIG if there are more than `most`, a number of whole MiB: an endless one is not
/// read until memory is. Errors are without the path.
[[nodiscard]] Result<std::string> read_file(const std::string& path, std::size_t most,
                                            FileKind kind = FileKind::any);

} // namespace xdplane
