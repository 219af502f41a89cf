// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "bpf/base/types.h"

namespace xdplane {

/// How a program sees a socket: struct bpf_sock (whole, or the part that all sockets have), struct
/// bpf_tcp_sock, struct bpf_xdp_sock of the UAPI.
enum class SocketView : u8 { full, common, tcp, xdp };

/// True if a program may read `size` bytes at `off`, by Linux's rules. Sockets are read-only. There are none
/// in this data plane, so such a read is verified and never executed.
[[nodiscard]] bool socket_field_valid(SocketView view, i64 off, u32 size);

} // namespace xdplane
