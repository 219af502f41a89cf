// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/tap.h"

#include <algorithm>
#include <ctime>

namespace xdplane {
namespace {

/// Copies of a burst, each as long as a packet can be.
constexpr std::size_t kStaging = std::size_t{2} * kBurst * (sizeof(TapRecord) + kMaxTapSnaplen + 1);

u64 wall_clock() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return static_cast<u64>(now.tv_sec) * 1'000'000'000 + static_cast<u64>(now.tv_nsec);
}

} // namespace

TapLane::TapLane(const TapSpec& spec, const TapMemory& memory, u32 worker)
    : spec_(&spec), writer_(memory, worker), copies_(std::make_unique_for_overwrite<u8[]>(kStaging)) {}

/// The filter gets a description of its own: nothing that it leaves there concerns the chain.
bool TapLane::passes(const XdpBuff& packet) const noexcept {
    if (spec_->filter == nullptr) return true;
    XdpBuff view = packet;
    view.wire_len = packet.length();
    view.skb_ready = 0;
    return spec_->filter->run(view) != 0;
}

void TapLane::copy(const XdpBuff& packet, const void* origin, const TapRecord& header) noexcept {
    u8* const to = copies_.get() + used_;
    std::memcpy(to, &header, sizeof header);
    std::memcpy(to + sizeof header, packet.data, header.captured);
    staged_[count_++] = {.origin = origin, .at = used_, .size = header.size()};
    used_ += header.size();
}

void TapLane::stage(const XdpBuff& packet, const void* origin, u16 port, u64 now) noexcept {
    if (!passes(packet)) return;
    copy(packet, origin,
         {.timestamp_ns = now,
          .captured = std::min(packet.length(), spec_->snaplen),
          .wire_len = packet.length(),
          .port = port,
          .verdict = TapRecord::kNone,
          .reason = TapRecord::kNone,
          .unused = 0});
}

void TapLane::stage_unfit(const XdpBuff& packet, u16 port, u32 wire_len, u8 reason, u64 now) noexcept {
    if (!passes(packet)) return;
    copy(packet, nullptr,
         {.timestamp_ns = now,
          .captured = std::min(packet.length(), spec_->snaplen),
          .wire_len = wire_len,
          .port = port,
          .verdict = TapRecord::kNone,
          .reason = reason,
          .unused = 0});
}

TapRecord& TapLane::record(const Staged& staged) noexcept {
    return *reinterpret_cast<TapRecord*>(copies_.get() + staged.at);
}

void TapLane::judge(const Burst& burst, const Verdicts& verdicts) noexcept {
    // Both are in the order of arrival.
    u32 i = 0;
    for (u32 k = 0; k < count_; ++k) {
        if (staged_[k].origin == nullptr) continue;
        while (i < burst.count && burst.packets[i].origin != staged_[k].origin) ++i;
        if (i < burst.count) record(staged_[k]).verdict = verdicts[i];
    }
}

void TapLane::left(const void* origin) noexcept {
    for (u32 k = 0; k < count_; ++k)
        if (staged_[k].origin == origin) staged_[k].origin = nullptr;
}

void TapLane::died(const void* origin, u8 reason) noexcept {
    for (u32 k = 0; k < count_; ++k) {
        if (staged_[k].origin != origin) continue;
        record(staged_[k]).reason = reason;
        staged_[k].origin = nullptr;
    }
}

bool TapLane::wanted(const TapRecord& record) const noexcept {
    const auto holds = [](u32 bits, u8 value) {
        return bits == 0 || (value != TapRecord::kNone && (bits >> value & 1) != 0);
    };
    return holds(spec_->verdicts, record.verdict) && holds(spec_->reasons, record.reason);
}

void TapLane::settle() noexcept {
    if (count_ == 0) return;
    for (u32 k = 0; k < count_; ++k)
        if (wanted(record(staged_[k]))) writer_.put(copies_.get() + staged_[k].at, staged_[k].size);
    writer_.publish();
    count_ = 0;
    used_ = 0;
}

Result<std::unique_ptr<Tap>> Tap::make(TapSpec spec, std::vector<bool> ports, u32 workers) {
    auto tap = std::make_unique<Tap>();
    auto memory = TapMemory::make(workers);
    if (!memory) return fail(memory.error());
    tap->spec_ = std::move(spec);
    tap->ports_ = std::move(ports);
    tap->memory_ = std::move(*memory);
    for (u32 worker = 0; worker < workers; ++worker)
        tap->lanes_.push_back(std::make_unique<TapLane>(tap->spec_, tap->memory_, worker));
    return tap;
}

void WorkerTaps::begin(u16 port) noexcept {
    port_ = port;
    now_ = wall_clock();
}

void WorkerTaps::unfit(const XdpBuff& packet, u32 wire_len, u8 reason) noexcept {
    each([&](TapLane& lane) { lane.stage_unfit(packet, port_, wire_len, reason, now_); });
}

void WorkerTaps::received(const Burst& burst) noexcept {
    each([&](TapLane& lane) {
        if (lane.at() != TapPoint::before) return;
        for (u32 i = 0; i < burst.count; ++i)
            lane.stage(burst.packets[i], burst.packets[i].origin, port_, now_);
    });
}

void WorkerTaps::judged(const Burst& burst, const Verdicts& verdicts) noexcept {
    each([&](TapLane& lane) {
        if (lane.at() == TapPoint::after)
            for (u32 i = 0; i < burst.count; ++i)
                if (lane.wants_verdict(verdicts[i]))
                    lane.stage(burst.packets[i], burst.packets[i].origin, port_, now_);
        lane.judge(burst, verdicts);
    });
}

void WorkerTaps::left(const void* origin) noexcept {
    each([&](TapLane& lane) { lane.left(origin); });
}

void WorkerTaps::died(const void* origin, u8 reason) noexcept {
    each([&](TapLane& lane) { lane.died(origin, reason); });
}

void WorkerTaps::settle() noexcept {
    each([&](TapLane& lane) { lane.settle(); });
}

} // namespace xdplane
