// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bpf/base/result.h"
#include "pcap_replay/capture_bytes.h"
#include "pcap_replay/pcap_records.h"

namespace xdplane {

/// What a capture file says of all its packets, as far as it is known before the first of them.
struct CaptureFormat {
    bool pcapng = false;
    bool swapped = false;     ///< the file's byte order is not the host's
    bool nanoseconds = false; ///< stamps finer than a microsecond
    u32 link_type = kLinkEthernet;
    u32 snaplen = 0; ///< 0: no limit given
};

/// Reads captures: pcap (micro- and nanoseconds, both byte orders, Kuznetzov's variant) and pcapng (sections,
/// interfaces, enhanced, simple and obsolete packet blocks), as draft-ietf-opsawg-pcap and
/// draft-ietf-opsawg-pcapng describe them. It reads what tcpdump -r reads, with the same packets.
///
/// A file that is cut or damaged gives every whole packet before the damage; then next() returns false and
/// error() names the packet, counted from 0 as everywhere in this project. One thread.
class CaptureReader {
public:
    /// "-" is standard input. Errors are without the path.
    static Result<std::unique_ptr<CaptureReader>> open(const std::string& path, const MapPolicy& policy = {});

    /// False at the end, and at damage: then error() holds the reason. The packet is valid until the next
    /// call that reads.
    [[nodiscard]] bool next(CapturedPacket& packet) {
        return format_.pcapng ? next_pcapng(packet) : pcap_burst(&packet, 1) != 0;
    }
    /// Up to `most` packets go to `out`, all valid until the next call that reads. Returns how many; 0 where
    /// next() would return false.
    [[nodiscard]] u32 next_burst(CapturedPacket* out, u32 most) {
        return format_.pcapng ? pcapng_burst(out, most) : pcap_burst(out, most);
    }
    [[nodiscard]] const std::optional<Error>& error() const { return error_; }

    [[nodiscard]] const CaptureFormat& format() const { return format_; }
    /// Whether rewind() can be expected to work.
    [[nodiscard]] bool rewindable() const { return bytes_.rewindable(); }
    /// Keeps a capture of up to `most` bytes in memory, for rewind().
    void keep(std::size_t most) { bytes_.keep(most); }
    /// Reads on in another buffer, and leaves the one with the packets given so far in its place.
    void exchange(std::vector<u8>& buffer) { bytes_.exchange(buffer); }
    /// Bytes of packets that were given may have been zeros: the file was cut under a mapping.
    [[nodiscard]] bool cut() const { return bytes_.cut(); }
    /// Packets delivered since the start or the last rewind.
    [[nodiscard]] u64 packets() const { return packets_; }
    /// For progress: bytes consumed, and in all (0: unknown).
    [[nodiscard]] u64 offset() const { return bytes_.offset(); }
    [[nodiscard]] u64 size() const { return bytes_.size(); }
    /// Back to the first packet; fails where the input cannot go back.
    Result<> rewind();

private:
    /// An interface description of pcapng.
    struct Interface {
        u32 link_type;
        u32 snaplen;
        u64 units_per_second; ///< of stamps
        i64 offset_seconds;   ///< added to stamps
        /// Nanoseconds of a unit, where stamps need no more than to be multiplied; else 0.
        u32 unit_ns;
    };

    explicit CaptureReader(CaptureBytes bytes) : bytes_(std::move(bytes)) {}
    Result<> read_header();
    Result<> read_pcap_header(u32 magic);
    void describe_records(u32 record_header, u16 major, u16 minor, const u8* header);
    /// Reads on until a whole record is at the front; false, perhaps with an error, if there is none.
    bool bring_record();
    u32 pcap_burst(CapturedPacket* out, u32 most);
    u32 walk_records(const PcapRecords& records, CapturedPacket* out, u32 most);
    u32 pcapng_burst(CapturedPacket* out, u32 most);
    bool next_pcapng(CapturedPacket& packet);
    /// The pcapng block at the front, whole and checked; null at the end or at damage.
    const u8* next_block(u32& type, u32& length);
    bool read_section(const u8* block, u32 length);
    bool read_interface(const u8* block, u32 length);
    bool read_packet_block(u32 type, const u8* block, u32 length, CapturedPacket& packet);
    /// An ordinary enhanced packet block at `at`, of which `left` bytes are there. Returns its length, or 0
    /// if it is anything else, which next_pcapng() has to look at.
    [[nodiscard]] std::size_t read_enhanced(const u8* at, std::size_t left, CapturedPacket& packet) const;
    void peek_pcapng_format();
    void set_error(std::string message);
    void set_cut(std::string_view what, u64 expected);
    /// Of a burst just counted: its packets, or none where the file was cut under them.
    u32 unless_cut(u32 count) {
        if (!bytes_.cut()) [[likely]]
            return count;
        packets_ -= count;
        set_cut("the file", bytes_.size());
        return 0;
    }

    [[nodiscard]] u16 get16(const u8* at) const;
    [[nodiscard]] u32 get32(const u8* at) const;

    CaptureBytes bytes_;
    CaptureFormat format_;
    std::optional<Error> error_;
    u64 packets_ = 0;
    PcapRecords records_;
    std::vector<Interface> interfaces_; ///< pcapng: of the section
};

} // namespace xdplane
