// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <memory>

#include "bpf/lower/lowered.h"

namespace xdplane {

/// Where the main program can be cut in two, so that a whole burst goes through the first half before any
/// packet of it enters the second: nothing in the first half can tell, because it changes nothing but its own
/// registers and stack, and reads nothing that others change: packets, contexts, its stack, addresses of
/// array values. It ends where the program does, or at the first insn on each path that is anything else.
/// Those insns are the stops; what is reached from them is the second half, which packets enter in their
/// order.
///
/// Null unless some stop is a lookup worth fetching for ahead (MapOps::ahead), and each such lookup that
/// may be a path's first one is a stop; for programs with tail calls, whose frames pass from one to the next;
/// and for a stack of more than kMostSplitStack bytes, of which a burst needs as many as it has packets.
[[nodiscard]] std::shared_ptr<const Split> find_split(const LoweredProgram& program);

inline constexpr u32 kMostSplitStack = 192;

} // namespace xdplane
