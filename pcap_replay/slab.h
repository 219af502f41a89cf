// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <atomic>
#include <memory>
#include <vector>

#include "dataplane/chain.h"
#include "pcap_replay/packet_placer.h"
#include "pcap_replay/replay_outputs.h"

/// Inside of replay: with several workers packets travel from the reader to the workers and on to the writers
/// in slabs.
namespace xdplane {

/// Packets in capture order, filled by the reader, judged by all workers at once (each its own packets),
/// then written. `remaining` hands it over: the reader sets it, each worker takes one off.
struct Slab {
    static constexpr u32 kItems = 2048;

    SourceBurst from;
    std::vector<CapturedPacket> packets{kItems};
    std::vector<u16> worker = std::vector<u16>(kItems); ///< whose packet it is
    std::vector<JudgedPacket> judged{kItems};           ///< where somebody asked for it
    /// The reader's last window, in which the slab before this one has its packets (see Source::exchange).
    std::vector<u8> window;
    std::vector<std::vector<u8>> written; ///< a worker each: bytes of packets that programs changed
    std::atomic<u32> remaining{0};        ///< workers that are not done
};

/// Runs the chain over a worker's packets of one slab after another.
class SlabWorker {
public:
    SlabWorker(const Chain& chain, u32 number, const ReplayOutputs& outputs, ChainStats& stats);
    /// The thread's RunScope must be open.
    void run(Slab& slab);

private:
    void judge(Slab& slab);

    const Chain& chain_;
    u32 number_;
    const ReplayOutputs& outputs_;
    PacketPlacer placer_;
    ChainStats& stats_;
    std::unique_ptr<Burst> burst_;
    Verdicts verdicts_{};
    std::array<u32, kBurst> items_{};               ///< of the burst: index into the slab
    std::vector<std::pair<u32, std::size_t>> kept_; ///< item, offset into the slab's written bytes
};

} // namespace xdplane
