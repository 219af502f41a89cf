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

    /// Fills slot `slot` of a burst with packet `index` of input `ifindex`. `origin` becomes the packet's
    /// record, if that is what an output gets as long as no program writes.
    void place(const CapturedPacket& from, u64 index, u32 ifindex, u32 slot, XdpBuff& packet) {
        if (writes_)
            copy(from, slot, packet);
        else
            point(from, packet);
        fill_in_rest(from, packet);
        describe(from, index, ifindex, packet);
    }
    /// The same for all of a burst, from its first slot on, where nobody else has changed it since the last.
    void place(const CapturedPacket* from, const SourceBurst& burst, XdpBuff* packets) {
        if (burst.count > settled_) {
            for (u32 i = 0; i < burst.count; ++i)
                place(from[i], burst.index + i, burst.ifindex, i, packets[i]);
            if (leaves_alone_) settled_ = burst.count;
            return;
        }
        for (u32 i = 0; i < burst.count; ++i) {
            point(from[i], packets[i]);
            describe(from[i], burst.index + i, burst.ifindex, packets[i]);
        }
    }
    /// True if programs get copies: bytes at `data` stay until the slot is filled again.
    [[nodiscard]] bool writes() const { return writes_; }

private:
    void copy(const CapturedPacket& from, u32 slot, XdpBuff& packet);
    static void point(const CapturedPacket& from, XdpBuff& packet) {
        packet.data = const_cast<u8*>(from.data);
        packet.hard_start = packet.data - kHeadroom;
        packet.origin = const_cast<u8*>(from.record);
    }
    /// With point(): what is another one in each packet, but for data_meta and frame_end.
    void describe(const CapturedPacket& from, u64 index, u32 ifindex, XdpBuff& packet) const {
        packet.data_end = packet.data + from.captured;
        packet.wire_len = from.wire_len;
        packet.ingress_ifindex = ifindex;
        packet.timestamp_ns = from.timestamp_ns;
        packet.index = index;
        if (wants_protocol_) packet.protocol = protocol_of(from);
    }
    void fill_in_rest(const CapturedPacket& from, XdpBuff& packet) const {
        packet.data_meta = packet.data;
        // The frame around bytes that stay where they are is only ever compared with.
        if (!writes_)
            packet.frame_end =
                packet.hard_start + std::max(kFrameSize - kFrameTail, kHeadroom + from.captured);
        // Field by field: the compiler makes a slow instruction of clearing both lines at once.
        packet.rx_queue = 0;
        packet.verdict = 0;
        std::memset(&packet.redirect_ifindex, 0,
                    offsetof(XdpBuff, skb) - offsetof(XdpBuff, redirect_ifindex));
    }
    static u16 protocol_of(const CapturedPacket& from) {
        u16 protocol = 0;
        if (from.captured >= 14) std::memcpy(&protocol, from.data + 12, sizeof protocol);
        return protocol;
    }

    bool writes_;
    bool wants_protocol_ = false;
    /// Programs read what they are given, and leave the fields as they are.
    bool leaves_alone_;
    u32 settled_ = 0; ///< slots of which the rest is filled in
    std::unique_ptr<u8[]> frames_;
    std::vector<std::vector<u8>> big_frames_; ///< per slot, for packets that no frame holds
};

} // namespace xdplane
