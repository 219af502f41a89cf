// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "perf/bench/harness.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>

#include "perf/bench/embedded.h"
#include "perf/bench/ticks.h"

namespace xdplane::bench {
namespace {

constexpr u32 kCheckedPackets = 1U << 16;
constexpr u32 kCheckedOneByOne = 1U << 10;
constexpr double kWarmup = 0.25; ///< of what is measured
constexpr double kAlmost = 0.7;  ///< of a slice is enough
constexpr double kWallLimit = 3; ///< slices that one may take in all
constexpr double kAtOnce = 50e6; ///< ns between two looks at the signal

double quantile(std::vector<double> values, double q) {
    if (values.empty()) return 0;
    std::ranges::sort(values);
    const double at = q * static_cast<double>(values.size() - 1);
    const auto below = static_cast<std::size_t>(at);
    const std::size_t above = std::min(below + 1, values.size() - 1);
    return std::lerp(values[below], values[above], at - static_cast<double>(below));
}

/// An engine that is ready, and where its numbers go.
struct Ready {
    std::unique_ptr<Subject> subject;
    Measurement measurement;
};

/// All of one case.
class CaseRun {
public:
    CaseRun(const Options& options, const Case& which, Report& report)
        : options_(options), which_(which), report_(report) {}

    void run(double share_before, double share) {
        const PacketSet made = options_.user_packets != nullptr
                                   ? PacketSet()
                                   : make_traffic(which_.traffic, which_.size, which_.count, which_.packets);
        const PacketSet& packets = options_.user_packets != nullptr ? *options_.user_packets : made;
        const u32 cpu = pin_to_this_cpu();
        for (const Engine* engine : options_.engines) {
            if (stopped()) return;
            say(share_before, fmt::format("{}: {} gets ready", which_.name, engine->name));
            make_ready(*engine, packets, cpu);
        }
        compare();
        for (u32 round = 0; round < options_.rounds; ++round) {
            if (!ready_.empty())
                say(share_before + share * (round + 1) / (options_.rounds + 1),
                    fmt::format("{}: round {} of {}", which_.name, round + 1, options_.rounds));
            for (Ready& ready : ready_) measure(ready);
        }
        for (Ready& ready : ready_) finish(ready);
    }

private:
    [[nodiscard]] bool stopped() const {
        return options_.stop != nullptr && options_.stop->load(std::memory_order_relaxed);
    }
    void say(double share, std::string_view what) const {
        if (options_.progress) options_.progress(share, what);
    }
    [[nodiscard]] double slice_ns() const { return options_.seconds * 1e9 / options_.rounds; }

    void make_ready(const Engine& engine, const PacketSet& packets, u32 cpu) {
        if (options_.user != nullptr && !engine.takes_user) return;
        const auto make = engine.maker(which_.work);
        if (make == nullptr) return;
        auto subject = make({which_, packets, cpu, options_.user, &shared_});
        auto checksum = subject ? (*subject)->check(checked(packets)) : fail(subject.error());
        if (!checksum) {
            const Error& error = checksum.error();
            if (error.code == ENOTSUP)
                report_.unavailable.push_back({name(), std::string(engine.name), error.message});
            else
                report_.failures.push_back(fmt::format("{}: {}: {}", name(), engine.name, error.message));
            return;
        }
        (void)(*subject)->run(std::min(kWarmup * slice_ns(), kAtOnce));
        ready_.push_back({std::move(*subject), {name(), std::string(engine.name), {}, {}, *checksum}});
    }

    /// Where the kernel is asked packet by packet, it takes a millisecond for each.
    [[nodiscard]] u32 checked(const PacketSet& packets) const {
        const bool one_by_one =
            options_.user != nullptr || embedded_object("loop_" + std::string(which_.program)).empty();
        return static_cast<u32>(
            std::min<std::size_t>(packets.size(), one_by_one ? kCheckedOneByOne : kCheckedPackets));
    }

    /// Who does not agree with the first engine is not measured.
    void compare() {
        for (auto ready = ready_.begin(); ready != ready_.end();) {
            const Measurement& first = ready_.front().measurement;
            const Measurement& own = ready->measurement;
            if (own.checksum == first.checksum) {
                ++ready;
                continue;
            }
            std::string what = fmt::format("{}: {} and {} do not come to the same results", name(),
                                           own.engine, first.engine);
            // A program may read clocks and random numbers.
            if (options_.user != nullptr && own.engine == "kernel") {
                report_.notes.push_back(std::move(what));
                ++ready;
                continue;
            }
            report_.failures.push_back(std::move(what));
            ready = ready_.erase(ready);
        }
    }

    void measure(Ready& ready) {
        // Where programs take next to nothing, laying packets ready takes most of the time.
        const double wall_limit = kWallLimit * slice_ns();
        const u64 start = Ticks::now();
        Slice all;
        do {
            if (stopped()) return;
            const auto slice = ready.subject->run(std::min(slice_ns() - all.ns, kAtOnce));
            if (!slice) {
                report_.failures.push_back(
                    fmt::format("{}: {}: {}", name(), ready.measurement.engine, slice.error().message));
                return;
            }
            if (slice->packets == 0) break;
            all.ns += slice->ns;
            all.packets += slice->packets;
            ready.measurement.updates += slice->updates;
            ready.measurement.updates_ns += slice->updates_ns;
        } while (all.ns < kAlmost * slice_ns() &&
                 static_cast<double>(Ticks::now() - start) * Ticks::ns_per_tick() < wall_limit);
        if (all.packets != 0) ready.measurement.rounds.push_back(all.ns / static_cast<double>(all.packets));
    }

    void finish(Ready& ready) {
        if (ready.measurement.rounds.empty()) return;
        if (!stopped()) {
            const std::vector<double> times = ready.subject->burst_times(std::min(slice_ns(), kAtOnce));
            if (!times.empty())
                for (const double p : kPercentiles) ready.measurement.burst_ns.push_back(quantile(times, p));
        }
        report_.results.push_back(std::move(ready.measurement));
    }

    [[nodiscard]] std::string name() const { return std::string(which_.name); }

    const Options& options_;
    const Case& which_;
    Report& report_;
    SharedPrograms shared_;
    std::vector<Ready> ready_;
};

} // namespace

double Measurement::ns_per_packet() const { return quantile(rounds, 0.5); }

std::optional<double> Measurement::updates_per_second() const {
    if (updates_ns == 0) return {};
    return static_cast<double>(updates) * 1e9 / updates_ns;
}

double Measurement::spread() const {
    const double median = ns_per_packet();
    return median > 0 ? (quantile(rounds, 0.75) - quantile(rounds, 0.25)) / median : 0;
}

double Measurement::ratio_to(const Measurement& other) const {
    std::vector<double> ratios;
    for (std::size_t i = 0; i < std::min(rounds.size(), other.rounds.size()); ++i)
        if (other.rounds[i] > 0) ratios.push_back(rounds[i] / other.rounds[i]);
    return quantile(std::move(ratios), 0.5);
}

const Measurement* Report::find(std::string_view case_name, std::string_view engine) const {
    const auto found = std::ranges::find_if(results, [&](const Measurement& measurement) {
        return measurement.case_name == case_name && measurement.engine == engine;
    });
    return found != results.end() ? &*found : nullptr;
}

Report run(const Options& options) {
    Report report{.machine = describe_machine()};
    const auto start = std::chrono::steady_clock::now();
    const auto cases = static_cast<double>(options.cases.size());
    for (std::size_t i = 0; i < options.cases.size(); ++i) {
        if (options.stop != nullptr && options.stop->load(std::memory_order_relaxed)) break;
        CaseRun(options, *options.cases[i], report).run(static_cast<double>(i) / cases, 1 / cases);
    }
    if (options.load && (options.stop == nullptr || !options.stop->load(std::memory_order_relaxed)))
        report.load = measure_load_costs();
    report.interrupted = options.stop != nullptr && options.stop->load(std::memory_order_relaxed);
    report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return report;
}

std::vector<Checksum> checksums(const Case& which, std::span<const Engine> engines, u32 packets) {
    const PacketSet traffic = make_traffic(which.traffic, which.size, which.count, packets);
    SharedPrograms shared;
    std::vector<Checksum> sums;
    std::vector<std::unique_ptr<Subject>> subjects; // all at once, as in a run
    for (const Engine& engine : engines) {
        const auto make = engine.maker(which.work);
        if (make == nullptr) continue;
        auto subject = make({which, traffic, pin_to_this_cpu(), nullptr, &shared});
        if (!subject && subject.error().code == ENOTSUP) continue;
        auto sum = subject ? (*subject)->check(packets) : fail(subject.error());
        if (subject) subjects.push_back(std::move(*subject));
        sums.push_back({std::string(engine.name), std::move(sum)});
    }
    return sums;
}

} // namespace xdplane::bench
