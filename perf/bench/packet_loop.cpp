// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "perf/bench/packet_loop.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "dataplane/run_scope.h"
#include "perf/bench/ticks.h"
#include "perf/bench/updater.h"

namespace xdplane::bench {
namespace {

/// An odd number of cache lines, so that frames spread over all sets of a cache.
u64 frame_stride(u32 longest) {
    const u64 lines = (kHeadroom + longest + kFrameTail) / kCacheLine + 1;
    return (lines | 1) * kCacheLine;
}

RunSettings settings(u32 cpu) {
    return {.cpu = cpu, .clock = Clock::wall, .seed = 1, .random_by_packet = true};
}

} // namespace

PacketLoop::PacketLoop(const EngineSetup& setup)
    : packets_(setup.packets),
      cpu_(setup.cpu),
      bytes_(setup.bytes_count()),
      updates_(setup.which.updates),
      stride_(frame_stride(packets_.longest())),
      memory_(stride_ * kAhead + kCacheLine),
      ready_(new XdpBuff[kAhead]) {
    std::memset(static_cast<void*>(ready_.get()), 0, sizeof(XdpBuff) * kAhead);
}

void PacketLoop::lay_ready(u32 count) {
    u8* base = memory_.data();
    base += (kCacheLine - reinterpret_cast<std::uintptr_t>(base) % kCacheLine) % kCacheLine;
    for (u32 i = 0; i < count; ++i) {
        const auto bytes = packets_.packet(next_);
        u8* start = base + i * stride_;
        std::memcpy(start + kHeadroom, bytes.data(), bytes.size());
        XdpBuff& packet = ready_[i];
        packet.hard_start = start;
        packet.data = packet.data_meta = start + kHeadroom;
        packet.data_end = packet.data + bytes.size();
        packet.frame_end = std::min(start + stride_, packet.data_end + kFrameTail);
        packet.wire_len = static_cast<u32>(bytes.size());
        packet.ingress_ifindex = 1;
        packet.rx_queue = 0;
        packet.verdict = 0;
        packet.timestamp_ns = next_ * 1000;
        packet.index = next_;
        packet.redirect_ifindex = 0;
        packet.redirect_flags = 0;
        packet.skb_ready = 0;
        if (++next_ == packets_.size()) next_ = 0;
    }
}

u64 PacketLoop::sum_up(u32 count) const {
    u64 sum = 0;
    for (u32 i = 0; i < count; ++i) {
        const XdpBuff& packet = ready_[i];
        sum = mix_in(sum, packet.verdict);
        if (!bytes_) continue;
        sum = mix_in_packet(sum, {packet.data, packet.data_end});
    }
    return sum;
}

Result<u64> PacketLoop::check(u32 packets) {
    RunScope scope(settings(cpu_));
    if (!scope.ready()) return fail(EAGAIN, "too many threads run programs");
    t_run.clock = Clock::capture;
    begin();
    const u64 before = contents();
    u64 sum = 0;
    next_ = 0;
    for (u32 done = 0; done < packets;) {
        const u32 count = std::min(packets - done, kBurst);
        lay_ready(count);
        judge(ready_.get(), count);
        sum = mix_in(sum, sum_up(count));
        scope.quiescent();
        done += count;
    }
    return mix_in(sum, contents() - before);
}

Result<Slice> PacketLoop::run(double ns) {
    RunScope scope(settings(cpu_));
    if (!scope.ready()) return fail(EAGAIN, "too many threads run programs");
    begin();
    std::optional<Updater> updater;
    if (updates_ != 0) updater.emplace(updates_, cpu_, [this](u32 index) { update(index); });
    const double limit = ns / Ticks::ns_per_tick();
    // Laying packets ready takes time too, of which a slow memory can make a lot.
    const double wall_limit = 4 * limit;
    const u64 overhead = Ticks::overhead();
    const u64 start = Ticks::now();
    double ticks = 0;
    taken_.clear();
    do {
        lay_ready(kAhead);
        const u64 begin = Ticks::now();
        for (u32 i = 0; i < kAhead; i += kBurst) judge(&ready_[i], kBurst);
        const u64 took = Ticks::now() - begin;
        taken_.push_back(static_cast<double>(took - std::min(overhead, took)));
        ticks += taken_.back();
        scope.quiescent();
    } while (ticks < limit && static_cast<double>(Ticks::now() - start) < wall_limit);
    Slice slice = without_interruptions();
    if (updater) {
        slice.updates = updater->done();
        slice.updates_ns = static_cast<double>(Ticks::now() - start) * Ticks::ns_per_tick();
    }
    return slice;
}

Slice PacketLoop::without_interruptions() {
    constexpr double kInterrupted = 4;
    const auto middle = taken_.begin() + static_cast<std::ptrdiff_t>(taken_.size() / 2);
    std::ranges::nth_element(taken_, middle);
    const double most = *middle * kInterrupted;
    Slice slice;
    for (const double ticks : taken_) {
        if (ticks > most) continue;
        slice.ns += ticks * Ticks::ns_per_tick();
        slice.packets += kAhead;
    }
    return slice;
}

std::vector<double> PacketLoop::burst_times(double ns) {
    std::vector<double> times;
    RunScope scope(settings(cpu_));
    if (!scope.ready()) return times;
    begin();
    const double limit = ns / Ticks::ns_per_tick();
    const u64 overhead = Ticks::overhead();
    const u64 start = Ticks::now();
    do {
        lay_ready(kAhead);
        for (u32 i = 0; i < kAhead; i += kBurst) {
            const u64 begin = Ticks::now();
            judge(&ready_[i], kBurst);
            const u64 took = Ticks::now() - begin;
            times.push_back(static_cast<double>(took - std::min(overhead, took)) * Ticks::ns_per_tick());
        }
        scope.quiescent();
    } while (static_cast<double>(Ticks::now() - start) < limit);
    return times;
}

u64 mix_in_packet(u64 sum, std::span<const u8> bytes) {
    sum = mix_in(sum, bytes.size());
    for (const u8 byte : bytes) sum = mix_in(sum, byte);
    return sum;
}

u64 entry_sum(const void* key, u32 key_size, const void* value, u32 value_size) {
    u64 factor = 1;
    const auto* bytes = static_cast<const u8*>(key);
    for (u32 i = 0; i < key_size; ++i) factor = mix_in(factor, bytes[i]);
    u64 sum = 0;
    for (u32 i = 0; i < value_size; i += 8) {
        u64 word = 0;
        std::memcpy(&word, static_cast<const u8*>(value) + i, std::min(8U, value_size - i));
        sum += word * (factor | 1);
        factor = mix_in(factor, i);
    }
    return sum;
}

} // namespace xdplane::bench
