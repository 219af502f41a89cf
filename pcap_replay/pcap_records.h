// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <cstring>

#include "bpf/base/types.h"
#include "pcap_replay/captured_packet.h"

namespace xdplane {

/// The records of a pcap file, as its header says that they are laid out: the step from one to the next, made
/// for millions of them a second.
struct PcapRecords {
    enum class Lengths : u8 { normal, swapped, maybe_swapped };

    u32 header = 16; ///< bytes in front of each packet
    u32 longest = 0; ///< no record is longer
    u32 kept = 0;    ///< bytes of a packet that count, at most
    u32 link_type = 0;
    u32 fraction_ns = 0;               ///< what the second word of a stamp counts, in nanoseconds
    u32 fractions = 0;                 ///< of them in a second
    bool swapped = false;              ///< the file's byte order is not the host's
    bool plain = false;                ///< the file is of the kind that CaptureWriter writes
    Lengths lengths = Lengths::normal; ///< old versions of the format

    /// The same of a file that is `plain`, in words that the compiler can make constants of.
    [[nodiscard]] PcapRecords as_plain() const {
        PcapRecords same = *this;
        same.header = CapturedPacket::kRecordHeader;
        same.swapped = false;
        same.plain = true;
        same.lengths = Lengths::normal;
        return same;
    }
    [[nodiscard]] u32 word(const u8* at) const {
        u32 value;
        std::memcpy(&value, at, sizeof value);
        return swapped ? __builtin_bswap32(value) : value;
    }
    /// What the header of a record says of its bytes: those that are there, and those of the wire.
    void sizes(const u8* record, u32& captured, u32& wire_len) const {
        captured = word(record + 8);
        wire_len = word(record + 12);
        if (lengths == Lengths::swapped || (lengths == Lengths::maybe_swapped && captured > wire_len))
            std::swap(captured, wire_len);
    }

    /// The record at `at`, of which `left` bytes are there. Returns its length; 0 if it is not whole, or
    /// longer than any can be.
    [[nodiscard]] std::size_t read(const u8* at, std::size_t left, CapturedPacket& packet) const {
        if (left < header) return 0;
        u32 captured;
        u32 wire_len;
        sizes(at, captured, wire_len);
        if (captured > longest || captured > left - header) return 0;
        const u32 fraction = word(at + 4);
        packet.data = at + header;
        // Some old systems wrote more than the snapshot length that they declared; only that much counts.
        packet.captured = captured > kept ? kept : captured;
        packet.wire_len = wire_len;
        packet.timestamp_ns = word(at) * u64{1'000'000'000} + u64{fraction} * fraction_ns;
        packet.link_type = link_type;
        packet.record = plain && captured <= kept && fraction < fractions ? at : nullptr;
        return std::size_t{header} + captured;
    }
};

} // namespace xdplane
