// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "pcap_replay/replay.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>

#include "dataplane/flow_hash.h"
#include "pcap_replay/link_type.h"
#include "pcap_replay/replay_outputs.h"
#include "pcap_replay/slab.h"

namespace xdplane {
namespace {

using SteadyClock = std::chrono::steady_clock;

bool has_xdp(const Chain& chain) {
    return std::any_of(chain.stages().begin(), chain.stages().end(),
                       [](const Stage& stage) { return stage.kind == StageKind::xdp; });
}

std::string xdp_refusal(u32 link_type) {
    return fmt::format("link type {}: XDP programs judge Ethernet frames only", link_type_name(link_type));
}

/// The packets of all inputs, round after round, cut into slabs.
class Source {
public:
    Source(std::vector<ReplayInput>& inputs, const ReplayOptions& options, bool ethernet_only)
        : inputs_(inputs), options_(options), ethernet_only_(ethernet_only) {}

    /// Fails where no packet could be judged, or a later round could not be read.
    Result<> check() const;
    /// False when nothing was left. An error is in damage().
    bool fill(Slab& slab);
    [[nodiscard]] const std::optional<Error>& damage() const { return damage_; }
    [[nodiscard]] bool interrupted() const { return interrupted_; }
    [[nodiscard]] ReplayProgress progress() const;
    /// Pcap has one link type for a file and one precision.
    [[nodiscard]] CaptureWriter::Format format() const;

private:
    bool next(CapturedPacket& packet);
    bool next_input();
    bool accept(const CapturedPacket& packet);

    std::vector<ReplayInput>& inputs_;
    const ReplayOptions& options_;
    bool ethernet_only_;
    std::size_t input_ = 0;
    u64 round_ = 0;
    u64 index_ = 0;
    u64 bytes_done_ = 0; ///< of inputs that were read to their ends
    u64 earliest_ = ~u64{0};
    u64 latest_ = 0;
    u64 shift_ = 0; ///< added to the stamps of this round
    std::vector<std::pair<u32, std::size_t>> copied_;
    std::optional<Error> damage_;
    bool interrupted_ = false;
};

Result<> Source::check() const {
    const u32 link_type = inputs_.front().reader->format().link_type;
    for (const ReplayInput& input : inputs_) {
        const CaptureFormat& format = input.reader->format();
        if (ethernet_only_ && format.link_type != kLinkEthernet)
            return fail(EPROTONOSUPPORT, "{}: {}", input.path, xdp_refusal(format.link_type));
        if (format.link_type != link_type)
            return fail(EPROTONOSUPPORT, "{}: link type {} is not that of {} ({})", input.path,
                        link_type_name(format.link_type), inputs_.front().path, link_type_name(link_type));
        if (options_.loops > 1 && !input.reader->stable())
            return fail(ESPIPE, "{}: cannot be read twice, and --loop asks for it", input.path);
    }
    return {};
}

CaptureWriter::Format Source::format() const {
    CaptureWriter::Format format{.link_type = inputs_.front().reader->format().link_type};
    for (const ReplayInput& input : inputs_) format.nanoseconds |= input.reader->format().nanoseconds;
    return format;
}

/// Goes on to the next file or round; false after the last.
bool Source::next_input() {
    bytes_done_ += inputs_[input_].reader->offset();
    if (++input_ < inputs_.size()) return true;
    if (++round_ >= options_.loops || index_ == 0) return false;
    input_ = 0;
    shift_ += latest_ - earliest_ + 1000;
    for (ReplayInput& input : inputs_) {
        if (auto rewound = input.reader->rewind(); !rewound) {
            damage_ = rewound.error().context(input.path);
            return false;
        }
    }
    return true;
}

/// False, with damage, for a packet that the chain cannot judge.
bool Source::accept(const CapturedPacket& packet) {
    const ReplayInput& input = inputs_[input_];
    if (packet.link_type == inputs_.front().reader->format().link_type) return true;
    const u64 number = input.reader->packets() - 1;
    damage_ = Error{EPROTONOSUPPORT,
                    ethernet_only_
                        ? fmt::format("{}: packet {}: {}", input.path, number, xdp_refusal(packet.link_type))
                        : fmt::format("{}: packet {}: link type {} is not that of the first packet",
                                      input.path, number, link_type_name(packet.link_type))};
    return false;
}

bool Source::next(CapturedPacket& packet) {
    if (damage_ || input_ >= inputs_.size()) return false;
    while (!inputs_[input_].reader->next(packet)) {
        if (options_.stop != nullptr && *options_.stop) interrupted_ = true;
        if (const auto& error = inputs_[input_].reader->error(); error) {
            damage_ = error->context(inputs_[input_].path);
            return false;
        }
        if (interrupted_ || !next_input()) return false;
    }
    return accept(packet);
}

bool Source::fill(Slab& slab) {
    slab.count = 0;
    slab.first_index = index_;
    slab.copies.clear();
    copied_.clear();
    if (options_.stop != nullptr && *options_.stop) {
        interrupted_ = true;
        return false;
    }
    CapturedPacket packet;
    while (slab.count < Slab::kItems && next(packet)) {
        __builtin_prefetch(packet.data + 256);
        SlabItem& item = slab.items[slab.count];
        item.data = packet.data;
        item.captured = packet.captured;
        item.wire_len = packet.wire_len;
        item.timestamp_ns = packet.timestamp_ns + shift_;
        item.ifindex = static_cast<u32>(input_ + 1);
        item.worker = 0;
        if (options_.workers > 1)
            item.worker =
                static_cast<u32>((packet.link_type == kLinkEthernet ? flow_hash(packet.data, packet.captured)
                                                                    : index_ / kBurst) %
                                 options_.workers);
        if (!inputs_[input_].reader->stable()) {
            copied_.emplace_back(slab.count, slab.copies.size());
            slab.copies.insert(slab.copies.end(), packet.data, packet.data + packet.captured);
        }
        if (round_ == 0) {
            earliest_ = std::min(earliest_, packet.timestamp_ns);
            latest_ = std::max(latest_, packet.timestamp_ns);
        }
        ++index_;
        ++slab.count;
    }
    for (const auto& [number, offset] : copied_) slab.items[number].data = slab.copies.data() + offset;
    return slab.count != 0;
}

ReplayProgress Source::progress() const {
    ReplayProgress progress{.packets = index_, .bytes_read = bytes_done_};
    if (input_ < inputs_.size()) progress.bytes_read += inputs_[input_].reader->offset();
    for (const ReplayInput& input : inputs_) {
        if (input.reader->size() == 0) return progress;
        progress.bytes_total += input.reader->size() * options_.loops;
    }
    if (std::any_of(inputs_.begin(), inputs_.end(), [](const auto& i) { return i.reader->size() == 0; }))
        progress.bytes_total = 0;
    return progress;
}

/// The threads of more than one worker: they take slab after slab of a ring, each its own packets.
class Crew {
public:
    Crew(std::vector<std::unique_ptr<SlabWorker>>& workers, std::vector<Slab>& ring,
         const ReplayOptions& options)
        : ring_(ring) {
        for (u32 number = 0; number < workers.size(); ++number)
            threads_.emplace_back([this, number, &worker = *workers[number], &options] {
                work(worker, {number, options.clock, options.seed, true});
            });
    }
    ~Crew() {
        published_.fetch_or(kClosed, std::memory_order_release);
        published_.notify_all();
        for (std::thread& thread : threads_) thread.join();
    }

    /// The next slab of the ring is filled.
    void publish(Slab& slab) {
        slab.remaining.store(static_cast<u32>(threads_.size()), std::memory_order_relaxed);
        published_.fetch_add(1, std::memory_order_release);
        published_.notify_all();
    }
    static void wait(Slab& slab) {
        for (u32 left; (left = slab.remaining.load(std::memory_order_acquire)) != 0;)
            slab.remaining.wait(left, std::memory_order_acquire);
    }

private:
    static constexpr u64 kClosed = u64{1} << 63;

    void work(SlabWorker& worker, const RunSettings& settings) {
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

    std::vector<Slab>& ring_;
    std::atomic<u64> published_{0}; ///< slabs so far, and kClosed; written by the reader, read by workers
    std::vector<std::thread> threads_;
};

ReplaySummary summarize(const Chain& chain, const std::vector<std::unique_ptr<SlabWorker>>& workers) {
    ReplaySummary summary;
    for (const Stage& stage : chain.stages()) summary.stages.push_back({.name = stage.name});
    for (const auto& worker : workers) {
        const ChainStats& stats = worker->stats();
        summary.packets += stats.total.packets.get();
        summary.bytes += stats.bytes.get();
        for (u32 v = 0; v < kVerdicts; ++v) summary.verdicts[v] += stats.total.verdicts[v].get();
        for (std::size_t s = 0; s < summary.stages.size(); ++s) {
            summary.stages[s].packets += stats.stages[s].packets.get();
            for (u32 v = 0; v < kVerdicts; ++v)
                summary.stages[s].verdicts[v] += stats.stages[s].verdicts[v].get();
        }
    }
    return summary;
}

/// Tells the caller how far it is, ten times a second.
class Reporter {
public:
    Reporter(const ReplayOptions& options, const Source& source) : options_(options), source_(source) {}
    [[nodiscard]] double seconds() const {
        return std::chrono::duration<double>(SteadyClock::now() - start_).count();
    }
    void tick() {
        if (!options_.progress) return;
        const double now = seconds();
        if (now < next_) return;
        next_ = now + 0.1;
        ReplayProgress progress = source_.progress();
        progress.seconds = now;
        options_.progress(progress);
    }

private:
    const ReplayOptions& options_;
    const Source& source_;
    SteadyClock::time_point start_ = SteadyClock::now();
    double next_ = 0.1;
};

/// One worker: no threads, and packets are still in the cache when they are written.
void replay_here(SlabWorker& worker, Source& source, ReplayOutputs& outputs, Reporter& reporter,
                 const ReplayOptions& options) {
    RunScope scope({0, options.clock, options.seed, true});
    Slab slab;
    slab.written.resize(1);
    while (!outputs.failed() && source.fill(slab)) {
        worker.run(slab);
        scope.quiescent();
        outputs.write(slab);
        reporter.tick();
    }
}

void replay_in_threads(std::vector<std::unique_ptr<SlabWorker>>& workers, Source& source,
                       ReplayOutputs& outputs, Reporter& reporter, const ReplayOptions& options) {
    std::vector<Slab> ring(8);
    for (Slab& slab : ring) slab.written.resize(workers.size());
    u64 filled = 0;
    u64 emptied = 0;
    Crew crew(workers, ring, options);
    const auto empty_one = [&] {
        Slab& slab = ring[emptied++ % ring.size()];
        Crew::wait(slab);
        outputs.write(slab);
        reporter.tick();
    };
    while (!outputs.failed() && source.fill(ring[filled % ring.size()])) {
        crew.publish(ring[filled % ring.size()]);
        ++filled;
        if (filled - emptied == ring.size()) empty_one();
    }
    while (emptied != filled) empty_one();
}

} // namespace

Result<std::vector<ReplayInput>> open_inputs(const std::vector<std::string>& paths) {
    std::vector<ReplayInput> inputs;
    for (const std::string& path : paths) {
        auto reader = CaptureReader::open(path);
        if (!reader) return fail(reader.error(), path);
        inputs.push_back({path, std::move(*reader)});
    }
    return inputs;
}

Result<ReplaySummary> replay(const Chain& chain, std::vector<ReplayInput>& inputs,
                             const ReplayOptions& options) {
    if (inputs.empty()) return fail(EINVAL, "no capture to replay");
    if (options.workers == 0 || options.workers > num_possible_cpus())
        return fail(EINVAL, "{} workers: 1 to {} (the processors of this machine) are possible",
                    options.workers, num_possible_cpus());
    Source source(inputs, options, has_xdp(chain));
    if (auto checked = source.check(); !checked) return fail(checked.error());
    auto outputs = ReplayOutputs::open(options, source.format());
    if (!outputs) return fail(outputs.error());

    std::vector<std::unique_ptr<SlabWorker>> workers;
    for (u32 number = 0; number < options.workers; ++number)
        workers.push_back(std::make_unique<SlabWorker>(chain, number, outputs->wanted()));
    Reporter reporter(options, source);
    if (options.workers == 1)
        replay_here(*workers[0], source, *outputs, reporter, options);
    else
        replay_in_threads(workers, source, *outputs, reporter, options);
    if (auto finished = outputs->finish(); !finished) return fail(finished.error());

    ReplaySummary summary = summarize(chain, workers);
    summary.seconds = reporter.seconds();
    summary.interrupted = source.interrupted();
    summary.damage = source.damage();
    return summary;
}

} // namespace xdplane
