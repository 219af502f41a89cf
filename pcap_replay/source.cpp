// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "pcap_replay/source.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "pcap_replay/link_type.h"

namespace xdplane {
namespace {

/// Captures that are read more than once are kept in memory up to this many bytes in all.
constexpr u64 kLoopMemory = 128U << 20;

std::string xdp_refusal(u32 link_type) {
    return fmt::format("link type {}: XDP programs judge Ethernet frames only", link_type_name(link_type));
}

} // namespace

Source::Source(std::vector<ReplayInput>& inputs, const ReplayOptions& options, bool ethernet_only)
    : inputs_(inputs),
      options_(options),
      ethernet_only_(ethernet_only),
      link_type_(inputs.front().reader->format().link_type),
      measuring_(options.loops > 1) {
    format_.link_type = link_type_;
    u64 memory = options.loops > 1 ? kLoopMemory : 0;
    for (const ReplayInput& input : inputs) {
        format_.nanoseconds |= input.reader->format().nanoseconds;
        if (input.reader->size() > memory) continue;
        memory -= input.reader->size();
        input.reader->keep(input.reader->size());
    }
    begin_input();
}

Result<> Source::check() const {
    for (const ReplayInput& input : inputs_) {
        const CaptureFormat& format = input.reader->format();
        if (ethernet_only_ && format.link_type != kLinkEthernet)
            return fail(EPROTONOSUPPORT, "{}: {}", input.path, xdp_refusal(format.link_type));
        if (format.link_type != link_type_)
            return fail(EPROTONOSUPPORT, "{}: link type {} is not that of {} ({})", input.path,
                        link_type_name(format.link_type), inputs_.front().path, link_type_name(link_type_));
        if (options_.loops > 1 && !input.reader->rewindable())
            return fail(ESPIPE, "{}: cannot be read twice, and --loop asks for it", input.path);
    }
    return {};
}

void Source::begin_input() {
    as_written_ = shift_ == 0 && inputs_[input_].reader->format().nanoseconds == format_.nanoseconds;
}

/// Whether there is an input to read from.
bool Source::ready() {
    if (options_.stop != nullptr && options_.stop->load(std::memory_order_relaxed)) interrupted_ = true;
    return !interrupted_ && !damage_ && input_ < inputs_.size();
}

/// At the end of an input, or where it cannot be read any further.
bool Source::go_on() {
    // A signal may have ended the read: that is not the end of the input.
    const bool more = ready();
    if (const auto& error = inputs_[input_].reader->error(); error)
        damage_ = error->context(inputs_[input_].path);
    return more && !damage_ && next_input();
}

/// Goes on to the next file or round; false after the last.
bool Source::next_input() {
    bytes_done_ += inputs_[input_].reader->offset();
    if (++input_ == inputs_.size()) {
        if (++round_ >= options_.loops || index_ == 0) return false;
        input_ = 0;
        measuring_ = false;
        shift_ += latest_ - earliest_ + 1000;
        for (ReplayInput& input : inputs_) {
            if (auto rewound = input.reader->rewind(); !rewound) {
                damage_ = rewound.error().context(input.path);
                return false;
            }
        }
    }
    begin_input();
    return true;
}

/// Makes what was read from an input the packets that are replayed. Returns how many can be.
u32 Source::accept(CapturedPacket* packets, u32 count) {
    u32 others = 0;
    for (u32 i = 0; i < count; ++i) others |= packets[i].link_type ^ link_type_;
    if (others != 0) [[unlikely]] {
        const CapturedPacket* const first = std::find_if(
            packets, packets + count, [&](const auto& packet) { return packet.link_type != link_type_; });
        const auto accepted = static_cast<u32>(first - packets);
        refuse(first->link_type, inputs_[input_].reader->packets() - count + accepted);
        count = accepted;
    }
    for (u32 i = 0; measuring_ && i < count; ++i) {
        earliest_ = std::min(earliest_, packets[i].timestamp_ns);
        latest_ = std::max(latest_, packets[i].timestamp_ns);
    }
    for (u32 i = 0; shift_ != 0 && i < count; ++i) packets[i].timestamp_ns += shift_;
    for (u32 i = 0; !as_written_ && i < count; ++i) packets[i].record = nullptr;
    return count;
}

SourceBurst Source::next_burst(CapturedPacket* out, u32 most) {
    while (ready()) {
        const u32 count = accept(out, inputs_[input_].reader->next_burst(out, most));
        if (count != 0) return {count, static_cast<u32>(input_ + 1), std::exchange(index_, index_ + count)};
        if (damage_ || !go_on()) break;
    }
    return {};
}

/// The chain cannot judge this packet of the input.
void Source::refuse(u32 link_type, u64 number) {
    const std::string& path = inputs_[input_].path;
    damage_ =
        Error{EPROTONOSUPPORT,
              ethernet_only_ ? fmt::format("{}: packet {}: {}", path, number, xdp_refusal(link_type))
                             : fmt::format("{}: packet {}: link type {} is not that of the first packet",
                                           path, number, link_type_name(link_type))};
}

ReplayProgress Source::progress() const {
    ReplayProgress progress{.packets = index_, .bytes_read = bytes_done_};
    if (input_ < inputs_.size()) progress.bytes_read += inputs_[input_].reader->offset();
    for (const ReplayInput& input : inputs_) {
        if (input.reader->size() == 0) {
            progress.bytes_total = 0;
            return progress;
        }
        progress.bytes_total += input.reader->size() * options_.loops;
    }
    return progress;
}

} // namespace xdplane
