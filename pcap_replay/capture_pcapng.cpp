// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <cerrno>
#include <cstring>
#include <limits>

#include "pcap_replay/capture_reader.h"

/// The pcapng half of CaptureReader. A block is: type, total length, body padded to 4 bytes, total length.
namespace xdplane {
namespace {

enum BlockType : u32 {
    kSection = 0x0a0d0d0a,
    kInterface = 1,
    kObsoletePacket = 2,
    kSimplePacket = 3,
    kEnhancedPacket = 6,
};
constexpr u32 kByteOrderMagic = 0x1a2b3c4d;
constexpr u32 kLongestBlock = 256U << 20; ///< longer than any real packet with its options
constexpr u32 kMostInterfaces = 1U << 20; ///< a section that describes more is not a capture
enum InterfaceOption : u16 { kEndOfOptions = 0, kTimeResolution = 9, kTimeOffset = 14 };

/// if_tsresol: units per second; 0 if they do not fit.
u64 units_per_second(u8 resolution) {
    const u32 exponent = resolution & 0x7f;
    if ((resolution & 0x80) != 0) return exponent < 64 ? u64{1} << exponent : 0;
    if (exponent > 19) return 0;
    u64 units = 1;
    for (u32 i = 0; i < exponent; ++i) units *= 10;
    return units;
}

/// Saturates: stamps outside 1970..2554 are no times.
u64 to_nanoseconds(u64 stamp, u64 units, i64 offset_seconds) {
    using Wide = __int128;
    const Wide whole = static_cast<Wide>(stamp / units) + offset_seconds;
    const Wide rest = static_cast<Wide>(stamp % units) * 1'000'000'000 / static_cast<Wide>(units);
    const Wide total = whole * 1'000'000'000 + rest;
    if (total < 0) return 0;
    if (total > std::numeric_limits<u64>::max()) return std::numeric_limits<u64>::max();
    return static_cast<u64>(total);
}

} // namespace

const u8* CaptureReader::next_block(u32& type, u32& length) {
    const u8* start = bytes_.need(8);
    if (start == nullptr) {
        if (bytes_.left() != 0 || bytes_.read_error() != 0 || bytes_.shrunk()) set_cut("a block header", 8);
        return nullptr;
    }
    type = get32(start);
    if (type == kSection) {
        // The length can only be read once the byte order is known, which the magic behind it tells.
        start = bytes_.need(12);
        if (start == nullptr) {
            set_cut("a section header", 28);
            return nullptr;
        }
        format_.swapped = false;
        if (get32(start + 8) != kByteOrderMagic) {
            format_.swapped = true;
            if (get32(start + 8) != kByteOrderMagic) {
                set_error("a section header has no byte-order magic");
                return nullptr;
            }
        }
    }
    length = get32(start + 4);
    if (length < 12 || length % 4 != 0 || length > kLongestBlock) {
        set_error(fmt::format("a block of {} bytes is impossible", length));
        return nullptr;
    }
    start = bytes_.need(length);
    if (start == nullptr) {
        set_cut("a block", length);
        return nullptr;
    }
    if (get32(start + length - 4) != length) {
        set_error(fmt::format("a block says that it has {} bytes at its start and {} at its end", length,
                              get32(start + length - 4)));
        return nullptr;
    }
    return start;
}

bool CaptureReader::read_section(const u8* block, u32 length) {
    if (length < 28) {
        set_error(fmt::format("a section header of {} bytes is too short", length));
        return false;
    }
    if (const u16 major = get16(block + 12); major != 1) {
        set_error(fmt::format("pcapng version {}.{} is not known", major, get16(block + 14)));
        return false;
    }
    interfaces_.clear();
    return true;
}

bool CaptureReader::read_interface(const u8* block, u32 length) {
    if (length < 20) {
        set_error(fmt::format("an interface description of {} bytes is too short", length));
        return false;
    }
    if (interfaces_.size() >= kMostInterfaces) {
        set_error("too many interface descriptions");
        return false;
    }
    Interface interface{.link_type = get16(block + 8),
                        .snaplen = get32(block + 12),
                        .units_per_second = 1'000'000,
                        .offset_seconds = 0,
                        .unit_ns = 0};
    const u8* at = block + 16;
    const u8* end = block + length - 4;
    while (end - at >= 4) {
        const u16 code = get16(at);
        const u16 size = get16(at + 2);
        at += 4;
        if (code == kEndOfOptions) break;
        if (size > end - at) {
            set_error("an option of an interface description is longer than its block");
            return false;
        }
        if (code == kTimeResolution && size >= 1) {
            interface.units_per_second = units_per_second(*at);
            if (interface.units_per_second == 0) {
                set_error(fmt::format("time resolution {:#04x} of an interface is too fine", *at));
                return false;
            }
        } else if (code == kTimeOffset && size >= 8) {
            u64 value;
            std::memcpy(&value, at, sizeof value);
            interface.offset_seconds = static_cast<i64>(format_.swapped ? __builtin_bswap64(value) : value);
        }
        const u32 padded = (size + 3U) & ~3U;
        if (padded > end - at) break;
        at += padded;
    }
    if (interface.offset_seconds == 0 && 1'000'000'000 % interface.units_per_second == 0)
        interface.unit_ns = static_cast<u32>(1'000'000'000 / interface.units_per_second);
    interfaces_.push_back(interface);
    return true;
}

bool CaptureReader::read_packet_block(u32 type, const u8* block, u32 length, CapturedPacket& packet) {
    const u32 fixed = type == kSimplePacket ? 12 : 28; // bytes in front of the packet
    if (length < fixed + 4) {
        set_error(fmt::format("a packet block of {} bytes is too short", length));
        return false;
    }
    const u32 number = type == kEnhancedPacket   ? get32(block + 8)
                       : type == kObsoletePacket ? get16(block + 8)
                                                 : 0;
    if (number >= interfaces_.size()) {
        set_error(fmt::format("interface {} has no description", number));
        return false;
    }
    const Interface& interface = interfaces_[number];
    const u32 room = length - fixed - 4;
    if (type == kSimplePacket) {
        packet.wire_len = get32(block + 8);
        packet.captured = packet.wire_len;
        if (interface.snaplen != 0 && packet.captured > interface.snaplen)
            packet.captured = interface.snaplen;
        packet.timestamp_ns = 0; // these blocks carry no time
    } else {
        packet.captured = get32(block + 20);
        packet.wire_len = get32(block + 24);
        const u64 stamp = u64{get32(block + 12)} << 32 | get32(block + 16);
        packet.timestamp_ns = to_nanoseconds(stamp, interface.units_per_second, interface.offset_seconds);
    }
    if (packet.captured > room) {
        set_error(
            fmt::format("{} bytes of packet do not fit their block of {} bytes", packet.captured, length));
        return false;
    }
    packet.data = block + fixed;
    packet.link_type = interface.link_type;
    packet.record = nullptr;
    return true;
}

std::size_t CaptureReader::read_enhanced(const u8* at, std::size_t left, CapturedPacket& packet) const {
    constexpr u32 kFixed = 28; // bytes in front of the packet
    if (left < kFixed + 4 || get32(at) != kEnhancedPacket) return 0;
    const u32 length = get32(at + 4);
    if (length < kFixed + 4 || length % 4 != 0 || length > left || get32(at + length - 4) != length) return 0;
    const u32 number = get32(at + 8);
    if (number >= interfaces_.size()) return 0;
    const Interface& interface = interfaces_[number];
    packet.captured = get32(at + 20);
    packet.wire_len = get32(at + 24);
    const u64 stamp = u64{get32(at + 12)} << 32 | get32(at + 16);
    if (packet.captured > length - kFixed - 4 || interface.unit_ns == 0 ||
        __builtin_mul_overflow(stamp, interface.unit_ns, &packet.timestamp_ns))
        return 0;
    packet.data = at + kFixed;
    packet.link_type = interface.link_type;
    packet.record = nullptr;
    return length;
}

bool CaptureReader::next_pcapng(CapturedPacket& packet) {
    while (!error_) {
        u32 type = 0;
        u32 length = 0;
        const u8* block = next_block(type, length);
        if (block == nullptr) return false;
        bytes_.skip(length);
        switch (type) {
        case kSection:
            if (!read_section(block, length)) return false;
            break;
        case kInterface:
            if (!read_interface(block, length)) return false;
            break;
        case kEnhancedPacket:
        case kSimplePacket:
        case kObsoletePacket:
            if (!read_packet_block(type, block, length, packet)) return false;
            ++packets_;
            return true;
        default: break; // statistics, names, secrets, other people's blocks
        }
    }
    return false;
}

/// Reads on to the first packet block without consuming it: the interfaces in front of it say what link type
/// and precision the capture has.
void CaptureReader::peek_pcapng_format() {
    while (true) {
        u32 type = 0;
        u32 length = 0;
        const u8* block = next_block(type, length);
        if (block == nullptr || type == kEnhancedPacket || type == kSimplePacket || type == kObsoletePacket)
            break;
        if (type == kSection && !read_section(block, length)) break;
        if (type == kInterface && !read_interface(block, length)) break;
        bytes_.skip(length);
    }
    // Damage, if there is any, stays in error_ and is what next() reports.
    if (interfaces_.empty()) return;
    format_.link_type = interfaces_.front().link_type;
    format_.snaplen = interfaces_.front().snaplen;
    for (const Interface& interface : interfaces_)
        if (interface.units_per_second > 1'000'000) format_.nanoseconds = true;
}

u32 CaptureReader::pcapng_burst(CapturedPacket* out, u32 most) {
    if (!next_pcapng(*out)) return 0;
    u32 count = 1;
    // The others are those that are whole in the window already: nothing moves under the first.
    const u8* at = bytes_.front();
    std::size_t left = bytes_.left();
    while (count < most) {
        const std::size_t length = read_enhanced(at, left, out[count]);
        if (length == 0) break;
        at += length;
        left -= length;
        ++count;
    }
    bytes_.skip(bytes_.left() - left);
    packets_ += count - 1; // next_pcapng() has counted one
    return unless_cut(count);
}

} // namespace xdplane
