// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <span>
#include <string>
#include <vector>

#include "bpf/base/result.h"
#include "bpf/base/types.h"

namespace xdplane::bench {

/// Packets, one after the other in memory, each on a multiple of 8 bytes.
class PacketSet {
public:
    void add(std::span<const u8> packet);
    [[nodiscard]] std::size_t size() const { return packets_.size(); }
    [[nodiscard]] std::span<const u8> packet(std::size_t i) const {
        return {bytes_.data() + packets_[i].offset, packets_[i].length};
    }
    [[nodiscard]] u32 longest() const { return longest_; }

private:
    struct Place {
        u64 offset;
        u32 length;
    };
    std::vector<u8> bytes_;
    std::vector<Place> packets_;
    u32 longest_ = 0;
};

/// What packets are made of.
enum class Traffic : u8 {
    mix,   ///< 15 % IPv6, 10 % with a VLAN tag, 25 % UDP, 20 % to TCP port 80, 1 % to the one that `parse`
           ///< drops
    flows, ///< TCP over IPv4, of flows below `count`, evenly
    prefixes4, ///< TCP over IPv4, to addresses under one of `count` prefixes, evenly
    prefixes6, ///< the same of IPv6
    services,  ///< TCP over IPv4 to the services of the load balancer, of `count` clients
};

/// Lengths of frames, without the checksum.
enum class FrameSize : u8 {
    least, ///< 64 bytes on the wire, or what the headers take
    imix,  ///< seven of 64, four of 594, one of 1518
    most,  ///< 1518
};

/// `packets` packets, the same in every run. `count`: of flows or prefixes.
[[nodiscard]] PacketSet make_traffic(Traffic traffic, FrameSize size, u32 count, u32 packets);

/// Packets of a capture, and what was left out.
struct CapturedTraffic {
    PacketSet packets;
    u64 too_long = 0;   ///< packets of more than `longest` bytes
    u32 longest = 0;    ///< what a Linux page has room for
    bool first = false; ///< there are more packets behind these
};
/// The first `most` packets of a capture. Errors name the file; EINVAL if it holds none, or other link types
/// than Ethernet.
[[nodiscard]] Result<CapturedTraffic> read_traffic(const std::string& path, u32 most);

} // namespace xdplane::bench
