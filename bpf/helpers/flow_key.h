// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "bpf/run/packet.h"

namespace xdplane {

/// What bpf_get_hash_recalc() gives a packet without a hash: of addresses, protocol and ports of IPv4 and
/// IPv6, the same in both directions, never 0. Linux's has the same properties, but a key of its own in each
/// boot; this one is always the same, so that replays agree. XdpBuff::skb must be filled. Data path.
[[nodiscard]] u32 flow_hash_of(const XdpBuff& packet) noexcept;

} // namespace xdplane
