// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "dataplane/chain.h"
#include "pcap_replay/source.h"

namespace xdplane {

/// Lays packets of captures out as packet.h promises. Programs that write get a copy in a frame of its own,
/// one per slot of a burst; others read the bytes where they are. One thread.
class PacketPlacer {
public:
    explicit PacketPlacer(const Chain& chain);

    /// Fills slot `slot` of a burst. `origin` becomes the packet's record, if that is what an output gets as
    /// long as no program writes.
    void place(const CapturedPacket& from, const Ordinal& ordinal, u32 slot, XdpBuff& packet) {
        if (writes_) {
            copy(from, slot, packet);
        } else {
            // The frame around the bytes is only ever compared with.
            packet.data = const_cast<u8*>(from.data);
            packet.hard_start = packet.data - kHeadroom;
            packet.frame_end =
                packet.hard_start + std::max(kFrameSize - kFrameTail, kHeadroom + from.captured);
            packet.origin = const_cast<u8*>(from.record);
        }
        // Field by field: the compiler makes a slow instruction of clearing both lines at once.
        packet.data_meta = packet.data;
        packet.data_end = packet.data + from.captured;
        packet.wire_len = from.wire_len;
        packet.ingress_ifindex = ordinal.ifindex;
        packet.timestamp_ns = from.timestamp_ns;
        packet.rx_queue = 0;
        packet.verdict = 0;
        packet.index = ordinal.index;
        std::memset(&packet.redirect_ifindex, 0,
                    offsetof(XdpBuff, skb) - offsetof(XdpBuff, redirect_ifindex));
        if (has_filter_ && from.captured >= 14) std::memcpy(&packet.protocol, packet.data + 12, 2);
    }
    /// True if programs get copies: bytes at `data` stay until the slot is filled again.
    [[nodiscard]] bool writes() const { return writes_; }

private:
    void copy(const CapturedPacket& from, u32 slot, XdpBuff& packet);

    bool writes_;
    bool has_filter_ = false;
    std::unique_ptr<u8[]> frames_;
    std::vector<std::vector<u8>> big_frames_; ///< per slot, for packets that no frame holds
};

} // namespace xdplane
