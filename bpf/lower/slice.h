// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <memory>
#include <optional>
#include <vector>

#include "bpf/lower/draft.h"
#include "bpf/maps/run_ahead.h"

namespace xdplane {

/// A program's slice that runs ahead: its own instructions, from the entry to its expensive lookups, without
/// whatever changes anything. In the place of each lookup it calls ahead_visit(); see maps/run_ahead.h.
///
/// It is as safe as the program, because each of its executions is the beginning of one that the verifier has
/// followed: of one where memory that others may write at any time (packets, contexts, map values) held what
/// the slice has read there. What it writes is its own stack, and all that the program writes there; where
/// anything else would be needed (a call that writes the stack, moves the packet or takes a lock) it ends.
struct Slice {
    Draft draft;
    /// What its calls of ahead_visit() point at.
    std::shared_ptr<std::vector<AheadSite>> sites;
};

/// Of what translate() has made, before any pass; nothing if no expensive lookup and no tail call can be
/// reached.
[[nodiscard]] std::optional<Slice> slice(const Draft& draft);

} // namespace xdplane
