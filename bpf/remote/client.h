// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "bpf/remote/protocol.h"

/// Preload library: the client's end of a call.
namespace xdplane::remote {

/// Where the daemon listens: set by `xdplane exec` for what it starts.
inline constexpr const char* kSocketVariable = "XDPLANE_BPF_SOCKET";

/// An answer takes no longer, or the daemon counts as gone.
inline constexpr u32 kAnswerSeconds = 60;

/// Forwards a call of bpf(2), or one of Extra: what the daemon's returns, an fd of this process where it
/// makes one, or -errno. -EIO if the daemon is gone, and one line on stderr at the first time. Any thread;
/// one call after the other. Each process has a connection of its own, made at its first call.
[[nodiscard]] long forward(u32 command, void* attributes, u32 size);
/// Of a call whose result does not tell of its fd: that, or -1.
[[nodiscard]] long forward(u32 command, void* attributes, u32 size, int& fd);

/// True for what may be an object's: false costs no question.
[[nodiscard]] bool may_be_handle(int fd);

/// One line on stderr: "xdplane: exec: ...", once in a process for each `said`.
void say_once(bool& said, const char* what, const char* why);

} // namespace xdplane::remote
