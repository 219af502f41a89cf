// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bpf/base/result.h"
#include "pcap_replay/capture_bytes.h"

namespace xdplane {

inline constexpr u32 kLinkEthernet = 1; ///< LINKTYPE_ETHERNET

/// What a capture file says of all its packets, as far as it is known before the first of them.
struct CaptureFormat {
    bool pcapng = false;
    bool swapped = false;     ///< the file's byte order is not the host's
    bool nanoseconds = false; ///< stamps finer than a microsecond
    u32 link_type = kLinkEthernet;
    u32 snaplen = 0; ///< 0: no limit given
};

/// One packet of a capture. `data` is valid for as long as the reader if reader.stable(), else until the next
/// next().
struct CapturedPacket {
    const u8* data = nullptr;
    u32 captured = 0; ///< bytes at data
    u32 wire_len = 0; ///< bytes the packet had on the wire
    u64 timestamp_ns = 0;
    u32 link_type = kLinkEthernet;
};

/// Reads captures: pcap (micro- and nanoseconds, both byte orders, Kuznetzov's variant) and pcapng (sections,
/// interfaces, enhanced, simple and obsolete packet blocks), as draft-ietf-opsawg-pcap and
/// draft-ietf-opsawg-pcapng describe them. It reads what tcpdump -r reads, with the same packets; regular
/// files are mapped, not copied.
///
/// A file that is cut or damaged gives every whole packet before the damage; then next() returns false and
/// error() names the packet, counted from 0 as everywhere in this project. One thread.
class CaptureReader {
public:
    /// "-" is standard input. Errors are without the path.
    static Result<std::unique_ptr<CaptureReader>> open(const std::string& path);

    /// False at the end, and at damage: then error() holds the reason.
    [[nodiscard]] bool next(CapturedPacket& packet) {
        return format_.pcapng ? next_pcapng(packet) : next_pcap(packet);
    }
    [[nodiscard]] const std::optional<Error>& error() const { return error_; }

    [[nodiscard]] const CaptureFormat& format() const { return format_; }
    /// True if bytes of packets stay where they are until the reader is destroyed.
    [[nodiscard]] bool stable() const { return bytes_.mapped(); }
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
    };

    explicit CaptureReader(CaptureBytes bytes) : bytes_(std::move(bytes)) {}
    Result<> read_header();
    Result<> read_pcap_header(u32 magic);
    bool next_pcap(CapturedPacket& packet);
    bool next_pcapng(CapturedPacket& packet);
    /// The pcapng block at the front, whole and checked; null at the end or at damage.
    const u8* next_block(u32& type, u32& length);
    bool read_section(const u8* block, u32 length);
    bool read_interface(const u8* block, u32 length);
    bool read_packet_block(u32 type, const u8* block, u32 length, CapturedPacket& packet);
    void peek_pcapng_format();
    void set_error(std::string message);
    void set_cut(std::string_view what, u64 expected);

    [[nodiscard]] u16 get16(const u8* at) const;
    [[nodiscard]] u32 get32(const u8* at) const;

    CaptureBytes bytes_;
    CaptureFormat format_;
    std::optional<Error> error_;
    u64 packets_ = 0;
    u32 record_header_ = 16; ///< pcap: bytes in front of each packet
    u32 longest_ = 0;        ///< pcap: no record is longer
    enum class Lengths : u8 {
        normal,
        swapped,
        maybe_swapped
    } lengths_ = Lengths::normal;       ///< old pcap versions
    std::vector<Interface> interfaces_; ///< pcapng: of the section
};

} // namespace xdplane
