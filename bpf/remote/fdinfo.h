// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <string>

#include "bpf/syscall/object_table.h"

namespace xdplane::remote {

/// What Linux shows of an object in /proc/PID/fdinfo/N, without the first lines, which are the file's. Empty
/// for no object.
[[nodiscard]] std::string fdinfo(const ObjectRef& object);

} // namespace xdplane::remote
