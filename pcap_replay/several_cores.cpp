// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "pcap_replay/several_cores.h"

#include <thread>

#include "dataplane/flow_hash.h"
#include "pcap_replay/slab.h"

namespace xdplane {
namespace {

/// The threads: they take slab after slab of a ring, each its own packets.
class Crew {
public:
    Crew(std::vector<std::unique_ptr<SlabWorker>>& workers, std::vector<Slab>& ring,
         const ReplayOptions& options);
    /// Waits for what was published.
    ~Crew();
    Crew(const Crew&) = delete;
    Crew& operator=(const Crew&) = delete;

    /// The next slab of the ring is filled.
    void publish(Slab& slab);
    /// Until all workers are done with it.
    static void wait(Slab& slab);

private:
    static constexpr u64 kClosed = u64{1} << 63;
    void work(SlabWorker& worker, const RunSettings& settings);

    std::vector<Slab>& ring_;
    std::atomic<u64> published_{0}; ///< slabs so far, and kClosed; written by the maker, read by workers
    std::vector<std::thread> threads_;
};

Crew::Crew(std::vector<std::unique_ptr<SlabWorker>>& workers, std::vector<Slab>& ring,
           const ReplayOptions& options)
    : ring_(ring) {
    for (u32 number = 0; number < workers.size(); ++number)
        threads_.emplace_back([this, number, &worker = *workers[number], &options] {
            work(worker, {number, options.clock, options.seed, true});
        });
}

Crew::~Crew() {
    published_.fetch_or(kClosed, std::memory_order_release);
    published_.notify_all();
    for (std::thread& thread : threads_) thread.join();
}

void Crew::publish(Slab& slab) {
    slab.remaining.store(static_cast<u32>(threads_.size()), std::memory_order_relaxed);
    published_.fetch_add(1, std::memory_order_release);
    published_.notify_all();
}

void Crew::wait(Slab& slab) {
    for (u32 left; (left = slab.remaining.load(std::memory_order_acquire)) != 0;)
        slab.remaining.wait(left, std::memory_order_acquire);
}

void Crew::work(SlabWorker& worker, const RunSettings& settings) {
    RunScope scope(settings);
    for (u64 number = 0;; ++number) {
        for (u64 seen; ((seen = published_.load(std::memory_order_acquire)) & ~kClosed) <= number;) {
            if ((seen & kClosed) != 0) return;
            scope.offline();
            published_.wait(seen, std::memory_order_acquire);
            scope.online();
        }
        Slab& slab = ring_[number % ring_.size()];
        worker.run(slab);
        scope.quiescent();
        if (slab.remaining.fetch_sub(1, std::memory_order_acq_rel) == 1) slab.remaining.notify_one();
    }
}

/// Reads a slab, and says who judges which of its packets. `number` counts slabs.
bool fill(Slab& slab, u64 number, Source& source, const Chain& chain, u32 workers) {
    source.exchange(slab.window);
    slab.from = source.next_burst(slab.packets.data(), Slab::kItems);
    for (u32 i = 0; i < slab.from.count; ++i) {
        const CapturedPacket& packet = slab.packets[i];
        u64 share = number;
        if (!chain.stateless())
            share = packet.link_type == kLinkEthernet ? flow_hash(packet.data, packet.captured)
                                                      : (slab.from.index + i) / kBurst;
        slab.worker[i] = static_cast<u16>(share % workers);
    }
    return slab.from.count != 0;
}

void write(const Slab& slab, ReplayOutputs& outputs) {
    if (outputs.idle()) return;
    for (u32 i = 0; i < slab.from.count; ++i) outputs.write(slab.from.index + i, slab.judged[i]);
    outputs.settle();
}

} // namespace

void replay_on_several_cores(const Chain& chain, Source& source, ReplayOutputs& outputs, Reporter& reporter,
                             const ReplayOptions& options, std::deque<ChainStats>& stats) {
    std::vector<std::unique_ptr<SlabWorker>> workers;
    for (u32 number = 0; number < options.workers; ++number)
        workers.push_back(std::make_unique<SlabWorker>(chain, number, outputs, stats[number]));
    std::vector<Slab> ring(8);
    for (Slab& slab : ring) slab.written.resize(workers.size());
    u64 filled = 0;
    u64 emptied = 0;
    Crew crew(workers, ring, options);
    const auto empty_one = [&] {
        Slab& slab = ring[emptied++ % ring.size()];
        Crew::wait(slab);
        write(slab, outputs);
        reporter.tick();
    };
    while (!outputs.failed() && fill(ring[filled % ring.size()], filled, source, chain, options.workers)) {
        crew.publish(ring[filled % ring.size()]);
        ++filled;
        if (filled - emptied == ring.size()) empty_one();
    }
    while (emptied != filled) empty_one();
}

} // namespace xdplane
