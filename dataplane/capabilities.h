// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "bpf/base/result.h"
#include "bpf/base/types.h"

namespace xdplane {

/// Sets of capabilities (capabilities(7)) as bits, capability 0 first.
using Capabilities = u64;

/// What a data plane whose ports are open still needs: to read files that a reload names and to remove its
/// sockets, as far as the process could; and, if it has `kernel_interfaces`, to give them back as they were.
[[nodiscard]] Capabilities needed_capabilities(bool kernel_interfaces);

/// Takes all capabilities but `keep` from every thread of the process, for good: from the effective,
/// permitted, inheritable and ambient sets, and what it executes can not get them back. Threads are
/// interrupted by a signal (SIGRTMIN) and do it themselves, as Linux wants it; those made later inherit it.
/// Call it when no other thread makes threads. Error: a thread that did not; none of the others has the
/// capabilities any more.
[[nodiscard]] Result<> drop_capabilities(Capabilities keep);

} // namespace xdplane
