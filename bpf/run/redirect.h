// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "bpf/run/packet.h"

/// Where a packet goes whose verdict is XDP_REDIRECT: what bpf_redirect and bpf_redirect_map leave in
/// XdpBuff::redirect_ifindex and redirect_flags, and what the data plane acts on. The last call before the
/// program ends counts, as on Linux.
namespace xdplane {

enum class RedirectKind : u8 {
    port,      ///< redirect_ifindex is the port's ifindex (bpf_redirect; a devmap's entry without a program)
    entry,     ///< a devmap's entry with a program to run first: redirect_ifindex is its key
    broadcast, ///< every entry of a devmap; redirect_ifindex means nothing
    cpu,       ///< redirect_ifindex is the CPU, a key of a cpumap
    socket,    ///< redirect_ifindex is the queue of an xskmap
    neighbour, ///< bpf_redirect_neigh: a port, the addresses still to be found
    peer,      ///< bpf_redirect_peer: the other end of a port
};

/// redirect_flags: the helper's flags (BPF_F_INGRESS, BPF_F_EXCLUDE_INGRESS) in bits 0-7, the kind in bits
/// 8-15, the number of the map (DevMap::number(), CpuMap::number()) in bits 16-30.
struct Redirect {
    RedirectKind kind = RedirectKind::port;
    u32 target = 0; ///< redirect_ifindex
    u8 flags = 0;
    u16 map = 0; ///< entry, broadcast and cpu

    [[nodiscard]] static Redirect of(const XdpBuff& packet) noexcept {
        return {static_cast<RedirectKind>(packet.redirect_flags >> 8 & 0xff), packet.redirect_ifindex,
                static_cast<u8>(packet.redirect_flags), static_cast<u16>(packet.redirect_flags >> 16)};
    }
    void store(XdpBuff& packet) const noexcept {
        packet.redirect_ifindex = target;
        packet.redirect_flags = (flags | static_cast<u32>(kind) << 8 | u32{map} << 16) & 0x7fffffff;
    }
};

} // namespace xdplane
