// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <span>
#include <vector>

#include "bpf/lower/lowered.h"

namespace xdplane {

/// The keys of lookups that lie at a known place of the frame's stack, and which stores made them; by insn.
/// A walk over the placed insns of each function, in order, that knows at every insn what it knows on every
/// path to it; at the head of a loop nothing. Linear in time.
[[nodiscard]] std::vector<LookupKey> find_lookup_keys(const LoweredProgram& program,
                                                      const VerifiedProgram& verified);

} // namespace xdplane
