// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "pcap_replay/slab.h"

#include <algorithm>
#include <cstring>

#include "pcap_replay/crc32c.h"

namespace xdplane {
namespace {

/// Captured bytes that a frame of the usual size holds.
constexpr u32 kFrameRoom = kFrameSize - kHeadroom - kFrameTail;

} // namespace

SlabWorker::SlabWorker(const Chain& chain, u32 number, const Wanted& wanted)
    : chain_(chain),
      number_(number),
      wanted_(wanted),
      stats_(chain.stages().size()),
      burst_(std::make_unique<Burst>()),
      big_frames_(kBurst) {
    if (chain.writes_packet()) frames_ = std::make_unique<u8[]>(std::size_t{kBurst} * kFrameSize);
    kept_.reserve(Slab::kItems);
    for (const Stage& stage : chain.stages()) has_filter_ |= stage.kind == StageKind::filter;
}

/// Room for a packet as packet.h lays it out: the frame's start, and its end.
u8* SlabWorker::frame(u32 slot, u32 captured, u8*& end) {
    if (captured <= kFrameRoom) {
        u8* start = frames_.get() + std::size_t{slot} * kFrameSize;
        end = start + kFrameSize - kFrameTail;
        return start;
    }
    std::vector<u8>& big = big_frames_[slot];
    if (big.size() < std::size_t{kHeadroom} + captured) big.resize(std::size_t{kHeadroom} + captured);
    end = big.data() + kHeadroom + captured;
    return big.data();
}

void SlabWorker::place(const SlabItem& item, u64 index, u32 slot) {
    XdpBuff& packet = burst_->packets[slot];
    packet = XdpBuff{};
    if (chain_.writes_packet()) {
        u8* start = frame(slot, item.captured, packet.frame_end);
        // What an earlier packet left in front must not show when a program grows this one.
        std::memset(start, 0, kHeadroom);
        std::memcpy(start + kHeadroom, item.data, item.captured);
        packet.hard_start = start;
        packet.data = start + kHeadroom;
    } else {
        // No stage writes or moves: the programs read the file's own bytes, and the frame around them is
        // only ever compared with.
        packet.data = const_cast<u8*>(item.data);
        packet.hard_start = packet.data - kHeadroom;
        packet.frame_end = packet.hard_start + std::max(kFrameSize - kFrameTail, kHeadroom + item.captured);
    }
    packet.data_meta = packet.data;
    packet.data_end = packet.data + item.captured;
    packet.wire_len = item.wire_len;
    packet.ingress_ifindex = item.ifindex;
    packet.timestamp_ns = item.timestamp_ns;
    packet.index = index;
    if (has_filter_ && item.captured >= 14) std::memcpy(&packet.protocol, packet.data + 12, 2);
}

void SlabWorker::judge(Slab& slab) {
    chain_.judge(*burst_, verdicts_, stats_);
    std::vector<u8>& written = slab.written[number_];
    for (u32 i = 0; i < burst_->count; ++i) {
        const XdpBuff& packet = burst_->packets[i];
        SlabItem& item = slab.items[items_[i]];
        item.verdict = verdicts_[i];
        item.value = packet.verdict;
        item.out_length = packet.length();
        item.out = nullptr;
        if (wanted_.crc) item.crc = crc32c(packet.data, item.out_length);
        if (!wanted_.bytes[item.verdict]) continue;
        if (chain_.writes_packet()) {
            kept_.emplace_back(items_[i], written.size());
            written.insert(written.end(), packet.data, packet.data_end);
        } else {
            item.out = item.data;
        }
    }
    burst_->count = 0;
}

void SlabWorker::run(Slab& slab) {
    kept_.clear();
    slab.written[number_].clear();
    for (u32 i = 0; i < slab.count; ++i) {
        const SlabItem& item = slab.items[i];
        if (item.worker != number_) continue;
        place(item, slab.first_index + i, burst_->count);
        items_[burst_->count++] = i;
        if (burst_->count == kBurst) judge(slab);
    }
    if (burst_->count != 0) judge(slab);
    // Only now is it known where the bytes have come to lie.
    for (const auto& [item, offset] : kept_) slab.items[item].out = slab.written[number_].data() + offset;
}

} // namespace xdplane
