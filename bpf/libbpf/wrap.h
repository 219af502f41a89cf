// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once

namespace xdplane {

/// True, and a reference that makes the linker take the wrappers along.
[[nodiscard]] bool libbpf_is_wrapped();

} // namespace xdplane
