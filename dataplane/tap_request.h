// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <optional>
#include <span>
#include <string>

#include "bpf/prog/classic.h"
#include "dataplane/control_server.h"
#include "dataplane/daemon.h"

/// The control socket's "capture".
namespace xdplane {

/// Instructions that a filter may have: they fit into a request.
inline constexpr u32 kMaxTapFilter = 3500;

/// A filter as a request has it: 16 hexadecimal digits per instruction: code, jt, jf, k.
[[nodiscard]] std::string filter_text(std::span<const ClassicInsn> filter);

/// What a request asks for: "ports", "verdicts" and "reasons" (arrays of names), "at" ("before" or "after"),
/// "snaplen"; each of them may be missing. Without the filter, which is not looked at. EINVAL names what is
/// wrong.
[[nodiscard]] Result<TapSpec> tap_spec(const Json& request);

/// Begins a capture with the filter in "filter", if there is one. It lasts as long as the session, which gets
/// the memory's descriptor to send. EBUSY if the session has a capture already.
[[nodiscard]] Result<Json> begin_capture(Daemon& daemon, const Json& request, ControlSession& session);

} // namespace xdplane
