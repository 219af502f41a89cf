// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "pcap_replay/packet_placer.h"

namespace xdplane {
namespace {

/// Captured bytes that a frame of the usual size holds.
constexpr u32 kFrameRoom = kFrameSize - kHeadroom - kFrameTail;

/// All that is another field in each packet, or may be, is one that PacketPlacer gives anew.
bool leaves_alone(const ContextUse& use) {
    return !use.changes && !use.may_read(offsetof(XdpBuff, data_meta)) &&
           !use.may_read(offsetof(XdpBuff, frame_end));
}

} // namespace

PacketPlacer::PacketPlacer(const Chain& chain)
    : writes_(chain.writes_packet()),
      leaves_alone_(!writes_ && leaves_alone(chain.context_use())),
      big_frames_(kBurst) {
    if (writes_) frames_ = std::make_unique<u8[]>(std::size_t{kBurst} * kFrameSize);
    const auto is_filter = [](const Stage& stage) { return stage.kind == StageKind::filter; };
    wants_protocol_ = std::ranges::any_of(chain.stages(), is_filter) &&
                      chain.context_use().may_read(offsetof(XdpBuff, protocol));
}

void PacketPlacer::copy(const CapturedPacket& from, u32 slot, XdpBuff& packet) {
    u8* start = frames_.get() + std::size_t{slot} * kFrameSize;
    packet.frame_end = start + kFrameSize - kFrameTail;
    if (from.captured > kFrameRoom) {
        std::vector<u8>& big = big_frames_[slot];
        if (big.size() < std::size_t{kHeadroom} + from.captured) big.resize(kHeadroom + from.captured);
        start = big.data();
        packet.frame_end = start + kHeadroom + from.captured;
    }
    // What an earlier packet left in front must not show when a program grows this one.
    std::memset(start, 0, kHeadroom);
    std::memcpy(start + kHeadroom, from.data, from.captured);
    packet.hard_start = start;
    packet.origin = nullptr;
    packet.data = start + kHeadroom;
}

} // namespace xdplane
