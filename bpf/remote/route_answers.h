// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <span>
#include <string>
#include <vector>

#include "bpf/remote/protocol.h"

/// Preload library: what a netlink route socket (RFC 3549, rtnetlink(7)) answers where the interfaces are the
/// daemon's. As Linux in all that has to do with XDP; interfaces have no addresses, routes, queues or
/// filters.
namespace xdplane::remote {

/// Who knows the interfaces.
class RouteSource {
public:
    virtual ~RouteSource() = default;
    /// 0 or -errno.
    [[nodiscard]] virtual int list(std::vector<InterfaceRecord>& interfaces) = 0;
    /// As protocol.h's SetXdpCall: 0 or -errno.
    [[nodiscard]] virtual int set_xdp(SetXdpCall& call) = 0;
};

/// What one socket was told.
struct RouteOptions {
    u32 port = 0;         ///< its address
    bool ext_ack = false; ///< NETLINK_EXT_ACK
    bool cap_ack = false; ///< NETLINK_CAP_ACK
    bool generic = false; ///< of NETLINK_GENERIC, where no family is: younger libbpfs look for "netdev"
};

/// What the socket then receives, each to be read at once. Any bytes may come in.
[[nodiscard]] std::vector<std::vector<u8>> answer_route(std::span<const u8> request,
                                                        const RouteOptions& options, RouteSource& source);

/// The daemon's, by forward().
[[nodiscard]] RouteSource& forwarded_routes();

/// Linux's length of a name with its NUL.
inline constexpr std::size_t kInterfaceName = 16;
/// The name as programs see it.
[[nodiscard]] std::string interface_name(const InterfaceRecord& record);

} // namespace xdplane::remote
