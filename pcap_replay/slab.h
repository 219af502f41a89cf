// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <atomic>
#include <memory>
#include <vector>

#include "dataplane/chain.h"
#include "pcap_replay/capture_reader.h"

/// Inside of replay: packets travel from the reader to the workers and on to the writers in slabs.
namespace xdplane {

/// One packet on its way. The first half is the reader's, the second its worker's.
struct SlabItem {
    const u8* data;
    u32 captured;
    u32 wire_len;
    u64 timestamp_ns;
    u32 ifindex;
    u32 worker;

    const u8* out; ///< bytes after the chain; null where nobody asked for them
    u32 out_length;
    u32 value; ///< return value of the last stage that ran
    u32 crc;
    u8 verdict;
};

/// Packets in capture order, filled by the reader, judged by all workers at once (each its own packets),
/// then written. `remaining` hands it over: the reader sets it, each worker takes one off.
struct Slab {
    static constexpr u32 kItems = 1024;

    u32 count = 0;
    u64 first_index = 0;
    std::vector<SlabItem> items{kItems};
    std::vector<u8> copies;               ///< bytes of packets whose reader does not keep them
    std::vector<std::vector<u8>> written; ///< a worker each: bytes of packets that programs changed
    std::atomic<u32> remaining{0};        ///< workers that are not done
};

/// Which results of a packet somebody wants.
struct Wanted {
    std::array<bool, kVerdicts> bytes{}; ///< by final verdict
    bool crc = false;
};

/// Runs the chain over a worker's packets of one slab after another. Owns frames to copy packets into where
/// programs write; else programs read the mapped file itself.
class SlabWorker {
public:
    SlabWorker(const Chain& chain, u32 number, const Wanted& wanted);
    /// The thread's RunScope must be open.
    void run(Slab& slab);
    [[nodiscard]] const ChainStats& stats() const { return stats_; }

private:
    void place(const SlabItem& item, u64 index, u32 slot);
    void judge(Slab& slab);
    u8* frame(u32 slot, u32 captured, u8*& end);

    const Chain& chain_;
    u32 number_;
    Wanted wanted_;
    bool has_filter_ = false;
    ChainStats stats_;
    std::unique_ptr<Burst> burst_;
    std::unique_ptr<u8[]> frames_;
    std::vector<std::vector<u8>> big_frames_; ///< per slot, for packets that no frame holds
    Verdicts verdicts_{};
    std::array<u32, kBurst> items_{};               ///< of the burst: index into Slab::items
    std::vector<std::pair<u32, std::size_t>> kept_; ///< item, offset into the slab's written bytes
};

} // namespace xdplane
