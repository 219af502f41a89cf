// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "bpf/remote/protocol.h"

/// The daemon's end of what clients ask by netlink. Pointers are of this process by now.
namespace xdplane::remote {

[[nodiscard]] long list_interfaces(const InterfacesCall& call);
[[nodiscard]] long set_xdp(SetXdpCall& call);

} // namespace xdplane::remote
