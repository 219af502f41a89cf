// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "pcap_replay/capture_writer.h"
#include "pcap_replay/replay.h"

/// Inside of replay: where the packets come from.
namespace xdplane {

/// Neighbours of one input.
struct SourceBurst {
    u32 count = 0;   ///< 0: nothing is left, or something is wrong: see damage() and interrupted()
    u32 ifindex = 0; ///< number of the input, from 1
    u64 index = 0;   ///< of the first packet, counted over all inputs and rounds
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
    /// Up to `most` packets go to `out`, in order; their bytes are valid until the next call, or exchange().
    [[nodiscard]] SourceBurst next_burst(CapturedPacket* out, u32 most);

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
    [[nodiscard]] u32 accept(CapturedPacket* packets, u32 count);
    void refuse(u32 link_type, u64 number);

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
