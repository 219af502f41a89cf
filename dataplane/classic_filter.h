// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <memory>
#include <span>

#include "bpf/prog/classic.h"
#include "bpf/prog/program.h"

namespace xdplane {

/// What libpcap made of a tcpdump expression as a socket filter: translated, verified and loaded through
/// bpf(2). It is freed with its last owner. Control thread.
[[nodiscard]] Result<std::shared_ptr<const Program>> load_classic_filter(std::span<const ClassicInsn> insns);

} // namespace xdplane
