// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "bpf/base/types.h"

namespace xdplane {

/// Which flow an Ethernet frame belongs to, for sharing packets out to workers: the two IPv4 or IPv6
/// addresses (behind VLAN tags too), or the two MAC addresses of anything else. Both directions give the same
/// number. Ports are left out on purpose: all fragments of a packet, and every flow between two hosts, stay
/// together, so that no program that counts by a pair of hosts or by something finer sees packets in another
/// order. Data path.
[[nodiscard]] u64 flow_hash(const u8* frame, u32 size) noexcept;

} // namespace xdplane
