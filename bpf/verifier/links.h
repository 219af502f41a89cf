// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <span>
#include <vector>

#include "bpf/verifier/state.h"

/// Linked scalars: copies of one number in registers and spills, at a fixed distance perhaps. What a
/// comparison tells of one holds for the others.
namespace xdplane {

/// Linux follows so many at a jump; the links of the others are cut.
inline constexpr std::size_t kMaxLinks = 6;

/// Adds to `out` who is linked by `id`, up to kMaxLinks in all: spills, and registers that may still be read
/// (live[i] is of insn i; `insn` is where the youngest frame is). `id` 0 links nobody.
void collect_links(State& state, u32 id, const std::vector<u16>& live, u32 insn, std::vector<Link>& out);

/// Tells those of `links` that are linked with `known`, a scalar of this state, what is known of it.
void tell_links(State& state, const RegState& known, std::span<const Link> links);

/// If `reg` is a scalar linked with `known`: what was learnt of `known` told of `reg`. Not across additions
/// of different widths: their distance is another one where the low half wraps.
void follow_link(RegState& reg, const RegState& known);

} // namespace xdplane
