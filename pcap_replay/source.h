// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "pcap_replay/capture_writer.h"
#include "pcap_replay/replay.h"

/// Inside of replay: where the packets come from.
namespace xdplane {

/// What replay knows of a packet beyond its capture.
struct Ordinal {
    u64 index;   ///< counted over all inputs and rounds
    u32 ifindex; ///< number of the input, from 1
};

/// The packets of all inputs, round after round. One thread.
class Source {
public:
    Source(std::vector<ReplayInput>& inputs, const ReplayOptions& options, bool ethernet_only);

    /// Fails where no packet could be judged, or a later round could not be read.
    [[nodiscard]] Result<> check() const;
    /// Gives the bytes of the packets so far away: they stay in `buffer`, or for good.
    void exchange(std::vector<u8>& buffer) {
        if (input_ < inputs_.size()) inputs_[input_].reader->exchange(buffer);
    }
    /// Gives up to `most` packets to `take(const CapturedPacket&, Ordinal)`, in order; their bytes are valid
    /// until the next call, or exchange(). 0: nothing is left, or something is wrong: see damage() and
    /// interrupted().
    template<class Take>
    [[nodiscard]] u32 next_burst(u32 most, Take&& take) {
        while (ready()) {
            const u64 first = index_;
            const u32 link_type = link_type_;
            const u32 ifindex = static_cast<u32>(input_ + 1);
            const u64 shift = shift_;
            const bool as_written = as_written_;
            const bool measuring = measuring_;
            u64 index = first;
            std::optional<u32> refused;
            // One function with the loop of the reader, so that a packet never lies in memory in between.
            const u32 given =
                inputs_[input_].reader->next_burst(most, [&] [[gnu::always_inline]] (CapturedPacket packet) {
                    if (packet.link_type != link_type) [[unlikely]] {
                        refused = packet.link_type;
                        return false;
                    }
                    if (measuring) measure(packet.timestamp_ns);
                    packet.timestamp_ns += shift;
                    if (!as_written) packet.record = nullptr;
                    take(packet, Ordinal{index, ifindex});
                    ++index;
                    return true;
                });
            if (given == 0) index = first; // what it gave was no packet after all
            index_ = index;
            if (refused) refuse(*refused);
            if (index != first) return static_cast<u32>(index - first);
            if (damage_ || !go_on()) return 0;
        }
        return 0;
    }

    [[nodiscard]] const std::optional<Error>& damage() const { return damage_; }
    [[nodiscard]] bool interrupted() const { return interrupted_; }
    [[nodiscard]] ReplayProgress progress() const;
    /// Of outputs: pcap has one link type for a file and one precision.
    [[nodiscard]] const CaptureWriter::Format& format() const { return format_; }

private:
    [[nodiscard]] bool ready();
    bool go_on();
    bool next_input();
    void begin_input();
    void refuse(u32 link_type);
    void measure(u64 timestamp_ns);

    std::vector<ReplayInput>& inputs_;
    const ReplayOptions& options_;
    bool ethernet_only_;
    u32 link_type_;
    CaptureWriter::Format format_;
    u64 index_ = 0; ///< of the next packet
    std::size_t input_ = 0;
    u64 round_ = 0;
    u64 bytes_done_ = 0;     ///< of inputs that were read to their ends
    bool measuring_ = false; ///< the first of several rounds: how long do they last?
    bool as_written_ = true; ///< records of this input are what the outputs want
    u64 earliest_ = ~u64{0};
    u64 latest_ = 0;
    u64 shift_ = 0; ///< added to the stamps of this round
    std::optional<Error> damage_;
    bool interrupted_ = false;
};

} // namespace xdplane
