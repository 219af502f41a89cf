// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "pcap_replay/slab.h"

#include "pcap_replay/crc32c.h"

namespace xdplane {

SlabWorker::SlabWorker(const Chain& chain, u32 number, const ReplayOutputs& outputs, ChainStats& stats)
    : chain_(chain),
      number_(number),
      outputs_(outputs),
      placer_(chain),
      stats_(stats),
      burst_(std::make_unique<Burst>()) {
    kept_.reserve(Slab::kItems);
}

void SlabWorker::judge(Slab& slab) {
    chain_.judge(*burst_, verdicts_, stats_);
    std::vector<u8>& written = slab.written[number_];
    for (u32 i = 0; i < burst_->count && !outputs_.idle(); ++i) {
        const XdpBuff& packet = burst_->packets[i];
        JudgedPacket& judged = slab.judged[items_[i]];
        judged = judged_packet(packet, slab.packets[items_[i]].captured, verdicts_[i]);
        if (outputs_.wants_lines()) judged.crc = crc32c(judged.data, judged.length);
        if (!placer_.writes() || !outputs_.wants(judged.verdict)) continue;
        // The frame is needed for the next burst.
        kept_.emplace_back(items_[i], written.size());
        written.insert(written.end(), packet.data, packet.data_end);
    }
    burst_->count = 0;
}

void SlabWorker::run(Slab& slab) {
    kept_.clear();
    slab.written[number_].clear();
    for (u32 i = 0; i < slab.from.count; ++i) {
        if (slab.worker[i] != number_) continue;
        placer_.place(slab.packets[i], slab.from.index + i, slab.from.ifindex, burst_->count,
                      burst_->packets[burst_->count]);
        items_[burst_->count++] = i;
        if (burst_->count == kBurst) judge(slab);
    }
    if (burst_->count != 0) judge(slab);
    // Only now is it known where the bytes have come to lie.
    for (const auto& [item, offset] : kept_) slab.judged[item].data = slab.written[number_].data() + offset;
}

} // namespace xdplane
