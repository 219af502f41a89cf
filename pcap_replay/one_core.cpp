// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "pcap_replay/one_core.h"

#include "pcap_replay/crc32c.h"
#include "pcap_replay/packet_placer.h"

namespace xdplane {
namespace {

class OneCore {
public:
    OneCore(const Chain& chain, Source& source, ReplayOutputs& outputs, ChainStats& stats)
        : chain_(chain),
          source_(source),
          outputs_(outputs),
          stats_(stats),
          placer_(chain),
          burst_(std::make_unique<Burst>()) {}

    /// One burst; false when nothing was left.
    bool step() {
        const SourceBurst from = source_.next_burst(captured_.data(), kBurst);
        if (from.count == 0) return false;
        burst_->count = from.count;
        placer_.place(captured_.data(), from, burst_->packets.data());
        chain_.judge(*burst_, verdicts_, stats_);
        if (!outputs_.idle()) write();
        return true;
    }

private:
    void write() {
        // First who is wanted, without a jump that nobody can foresee; then only those.
        std::array<u8, kBurst> wanted;
        u32 count = 0;
        for (u32 i = 0; i < burst_->count; ++i) {
            wanted[count] = static_cast<u8>(i);
            count += outputs_.wants(verdicts_[i]) ? 1 : 0;
        }
        for (u32 n = 0; n < count; ++n) {
            const u32 i = wanted[n];
            const XdpBuff& packet = burst_->packets[i];
            JudgedPacket judged = judged_packet(packet, captured_[i].captured, verdicts_[i]);
            if (outputs_.wants_lines()) judged.crc = crc32c(judged.data, judged.length);
            outputs_.write(packet.index, judged);
        }
        outputs_.settle();
    }

    const Chain& chain_;
    Source& source_;
    ReplayOutputs& outputs_;
    ChainStats& stats_;
    PacketPlacer placer_;
    std::unique_ptr<Burst> burst_;
    Verdicts verdicts_{};
    std::array<CapturedPacket, kBurst> captured_{};
};

} // namespace

void replay_on_one_core(const Chain& chain, Source& source, ReplayOutputs& outputs, Reporter& reporter,
                        const ReplayOptions& options, ChainStats& stats) {
    constexpr u32 kBurstsPerTick = 16;
    RunScope scope({0, options.clock, options.seed, true});
    OneCore core(chain, source, outputs, stats);
    for (u32 bursts = 0; !outputs.failed() && core.step(); ++bursts) {
        scope.quiescent();
        if (bursts % kBurstsPerTick == 0) reporter.tick();
    }
}

} // namespace xdplane
