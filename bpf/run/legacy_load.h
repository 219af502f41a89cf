// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "bpf/run/packet.h"

namespace xdplane {

/// What ld_abs and ld_ind load (RFC 9669 section 5.5, and Linux's linux/filter.h for negative offsets):
/// `size` bytes (1, 2, 4) in network byte order at `offset` from the start of the packet, as a host integer.
///   offset >= 0              from the first byte of the packet
///   SKF_NET_OFF <= offset    from the network header
///   SKF_LL_OFF <= offset     from the link-layer header
/// Without XdpBuff::skb packets start with their link-layer header, which is an Ethernet header.
/// Returns -EFAULT for bytes outside the packet and for other negative offsets: then the BPF function that
/// loads returns 0. Both engines call this; JIT-compiled code does the first case itself. Data path.
[[nodiscard]] i64 legacy_load(const XdpBuff* packet, i32 offset, u32 size) noexcept;

} // namespace xdplane
