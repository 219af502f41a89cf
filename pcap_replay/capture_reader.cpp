// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "pcap_replay/capture_reader.h"

#include <bit>
#include <cerrno>
#include <cstring>

namespace xdplane {
namespace {

constexpr u32 kMagicMicroseconds = 0xa1b2c3d4;
constexpr u32 kMagicNanoseconds = 0xa1b23c4d;
constexpr u32 kMagicKuznetzov = 0xa1b2cd34; ///< records have 8 bytes more
constexpr u32 kMagicSection = 0x0a0d0d0a;   ///< pcapng; reads the same in both orders
constexpr u32 kHeader = 24;
constexpr u32 kLinkTypeMask = 0x03ffffff; ///< the bits above hold the length of the frame check sequence

/// The longest packet of a link type that can be real; libpcap draws the same lines.
u32 longest_packet(u32 link_type) {
    switch (link_type) {
    case 231: // D-Bus
    case 249: // USBPcap
        return 128U << 20;
    case 279: // EBHSCR
        return 8U << 20;
    default: return 262144;
    }
}

/// Asks for bytes ahead of those in hand, line by line: where the next headers are is not known yet.
class Prefetcher {
public:
    /// A window is in a cache already, though not the nearest one.
    Prefetcher(const u8* at, bool mapped) : next_(at + (mapped ? kMapped : kInWindow)), ahead_(next_ - at) {}
    void go_on(const u8* at) {
        for (; next_ < at + ahead_; next_ += kCacheLine) __builtin_prefetch(next_);
    }

private:
    static constexpr std::ptrdiff_t kInWindow = 512;
    static constexpr std::ptrdiff_t kMapped = 4096;
    const u8* next_;
    std::ptrdiff_t ahead_;
};

} // namespace

u16 CaptureReader::get16(const u8* at) const {
    u16 value;
    std::memcpy(&value, at, sizeof value);
    return format_.swapped ? __builtin_bswap16(value) : value;
}

u32 CaptureReader::get32(const u8* at) const {
    u32 value;
    std::memcpy(&value, at, sizeof value);
    return format_.swapped ? __builtin_bswap32(value) : value;
}

void CaptureReader::set_error(std::string message) {
    error_ = Error{EINVAL, fmt::format("packet {}: {}", packets_, message)};
}

/// The input ended early: says so, or says which read failed.
void CaptureReader::set_cut(std::string_view what, u64 expected) {
    if (const int code = bytes_.read_error(); code == EINTR)
        return; // a signal asked to stop: the end, and no damage
    else if (code != 0)
        error_ = Error{code, fmt::format("packet {}: {}", packets_, std::strerror(code))};
    else if (bytes_.shrunk() || bytes_.cut())
        set_error("the file became shorter while it was read");
    else
        set_error(fmt::format("{} is cut: {} of {} bytes are there", what, bytes_.left(), expected));
}

Result<std::unique_ptr<CaptureReader>> CaptureReader::open(const std::string& path, const MapPolicy& policy) {
    auto bytes = CaptureBytes::open(path, policy);
    if (!bytes) return fail(bytes.error());
    std::unique_ptr<CaptureReader> reader(new CaptureReader(std::move(*bytes)));
    if (auto read = reader->read_header(); !read) return fail(read.error());
    return reader;
}

Result<> CaptureReader::rewind() {
    if (!bytes_.rewind()) return fail(ESPIPE, "cannot be read twice");
    packets_ = 0;
    error_.reset();
    return read_header();
}

Result<> CaptureReader::read_header() {
    const u8* start = bytes_.need(4);
    if (start == nullptr) {
        if (const int code = bytes_.read_error(); code != 0) return fail(code, "{}", std::strerror(code));
        if (bytes_.left() == 0) return fail(EINVAL, "is empty, not a capture file");
        return fail(EINVAL, "is {} bytes long, too short for a capture file", bytes_.left());
    }
    u32 magic;
    std::memcpy(&magic, start, sizeof magic);
    if (magic == kMagicSection) {
        format_ = {.pcapng = true};
        interfaces_.clear();
        u32 type = 0;
        u32 length = 0;
        // The section header is checked here, so that a file that merely starts like one is refused at once.
        const u8* block = next_block(type, length);
        if (block == nullptr || !read_section(block, length)) {
            if (!error_) return fail(EINTR, "{}", std::strerror(EINTR));
            return fail(EINVAL, "not a capture file: {}",
                        error_->message.substr(error_->message.find(": ") + 2));
        }
        bytes_.skip(length);
        peek_pcapng_format();
        return {};
    }
    return read_pcap_header(magic);
}

Result<> CaptureReader::read_pcap_header(u32 magic) {
    format_ = {};
    const u32 other = __builtin_bswap32(magic);
    for (const u32 known : {kMagicMicroseconds, kMagicNanoseconds, kMagicKuznetzov}) {
        if (magic != known && other != known) continue;
        format_.swapped = magic != known;
        format_.nanoseconds = known == kMagicNanoseconds;
        const u8* header = bytes_.need(kHeader);
        if (header == nullptr)
            return fail(EINVAL, "the file header is cut: {} of {} bytes are there", bytes_.left(), kHeader);
        const u16 major = get16(header + 4);
        const u16 minor = get16(header + 6);
        // Version 543 is AIX's name for 2.
        if (major != 2 && major != 543) return fail(EINVAL, "pcap version {}.{} is not known", major, minor);
        describe_records(known == kMagicKuznetzov ? 24 : 16, major, minor, header);
        bytes_.skip(kHeader);
        return {};
    }
    u8 first[4];
    std::memcpy(first, &magic, sizeof first);
    struct Packer {
        std::string_view begin;
        const char* name;
        const char* reader;
    };
    constexpr Packer kPackers[] = {{"\x1f\x8b", "gzip", "zcat"},
                                   {"\x28\xb5\x2f\xfd", "zstd", "zstdcat"},
                                   {"\xfd\x37zX", "xz", "xzcat"},
                                   {"BZh", "bzip2", "bzcat"}};
    for (const Packer& packer : kPackers)
        if (std::string_view(reinterpret_cast<const char*>(first), sizeof first).starts_with(packer.begin))
            return fail(EINVAL, "is compressed by {}: unpack it first, as in {} FILE | xdplane replay -r -",
                        packer.name, packer.reader);
    return fail(EINVAL, "not a pcap or pcapng file (it starts with {:02x} {:02x} {:02x} {:02x})", first[0],
                first[1], first[2], first[3]);
}

/// What the header of a pcap file says of its records.
void CaptureReader::describe_records(u32 record_header, u16 major, u16 minor, const u8* header) {
    format_.link_type = get32(header + 20) & kLinkTypeMask;
    records_ = {.header = record_header,
                .longest = longest_packet(format_.link_type),
                .link_type = format_.link_type,
                .fraction_ns = format_.nanoseconds ? 1U : 1000U,
                .fractions = format_.nanoseconds ? 1'000'000'000U : 1'000'000U,
                .swapped = format_.swapped};
    // Before 2.3 the two lengths of a record stood the other way round; of 2.3 there are both kinds.
    if (major != 543 && minor <= 3)
        records_.lengths = minor < 3 ? PcapRecords::Lengths::swapped : PcapRecords::Lengths::maybe_swapped;
    records_.plain = !format_.swapped && record_header == CapturedPacket::kRecordHeader &&
                     records_.lengths == PcapRecords::Lengths::normal;
    format_.snaplen = get32(header + 16);
    if (format_.snaplen > records_.longest) format_.snaplen = 0;
    records_.kept = format_.snaplen != 0 ? format_.snaplen : records_.longest;
}

bool CaptureReader::bring_record() {
    if (error_) return false;
    const u8* record = bytes_.need(records_.header);
    if (record == nullptr) {
        if (bytes_.left() != 0 || bytes_.read_error() != 0 || bytes_.shrunk())
            set_cut("the record header", records_.header);
        return false;
    }
    u32 captured;
    u32 wire_len;
    records_.sizes(record, captured, wire_len);
    if (captured > records_.longest) {
        set_error(
            fmt::format("a record of {} bytes is impossible (the limit is {})", captured, records_.longest));
        return false;
    }
    if (bytes_.need(std::size_t{records_.header} + captured) != nullptr) return true;
    bytes_.skip(records_.header);
    set_cut("the record", captured);
    return false;
}

/// Those that are whole in the window. In line twice: `records` of the usual kind are constants.
[[gnu::always_inline]] inline u32 CaptureReader::walk_records(const PcapRecords& records, CapturedPacket* out,
                                                              u32 most) {
    Prefetcher ahead(bytes_.front(), bytes_.mapped());
    const u8* at = bytes_.front();
    std::size_t left = bytes_.left();
    u32 count = 0;
    for (; count < most; ++count) {
        const std::size_t length = records.read(at, left, out[count]);
        if (length == 0) break;
        at += length;
        left -= length;
        ahead.go_on(at);
    }
    bytes_.skip(bytes_.left() - left);
    return count;
}

u32 CaptureReader::pcap_burst(CapturedPacket* out, u32 most) {
    // A copy: what is written may be anything, as far as the compiler knows.
    PcapRecords records = records_;
    u32 count = 0;
    do {
        count =
            records.plain ? walk_records(records.as_plain(), out, most) : walk_records(records, out, most);
    } while (count == 0 && bring_record());
    packets_ += count;
    return unless_cut(count);
}

} // namespace xdplane
