// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Captures: from a file and from a pipe with the same outcome, and as libpcap reads them.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <pcap/pcap.h>
#include <vector>

#include "pcap_replay/capture_reader.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/target.h"

using namespace xdplane;

namespace {

struct Seen {
    std::vector<u8> bytes;
    u32 wire_len;
    u64 timestamp_ns;
    u32 link_type;
    bool operator==(const Seen&) const = default;
};
struct Contents {
    bool opened = false;
    bool rewound = false;
    std::string error;
    std::vector<Seen> packets;
};

std::vector<Seen> drain(CaptureReader& reader) {
    std::vector<Seen> packets;
    CapturedPacket packet;
    while (reader.next(packet))
        packets.push_back({{packet.data, packet.data + packet.captured},
                           packet.wire_len,
                           packet.timestamp_ns,
                           packet.link_type});
    if (reader.packets() != packets.size()) std::abort();
    return packets;
}

Contents read(const std::string& path) {
    Contents contents;
    const auto reader = CaptureReader::open(path);
    if (!reader) {
        contents.error = reader.error().message;
        if (contents.error.empty() || contents.error.find('\n') != std::string::npos) std::abort();
        return contents;
    }
    contents.opened = true;
    contents.packets = drain(**reader);
    if ((*reader)->error()) contents.error = (*reader)->error()->message;
    if (contents.error.find('\n') != std::string::npos) std::abort();
    if ((*reader)->rewind()) {
        contents.rewound = true;
        if (drain(**reader) != contents.packets) std::abort();
    }
    return contents;
}

/// The same packets as libpcap's, as far as both go; who finds no fault with a file reads all that libpcap
/// reads. (Damage that libpcap does not notice may be an error here, and link types may be mixed.)
void compare_with_libpcap(const Contents& ours, std::span<const u8> bytes) {
    std::FILE* file = ::fmemopen(const_cast<u8*>(bytes.data()), bytes.size(), "r");
    if (file == nullptr) return;
    char text[PCAP_ERRBUF_SIZE] = {};
    pcap_t* pcap = ::pcap_fopen_offline_with_tstamp_precision(file, PCAP_TSTAMP_PRECISION_NANO, text);
    if (pcap == nullptr) {
        std::fclose(file);
        return;
    }
    std::size_t count = 0;
    pcap_pkthdr* header = nullptr;
    const u_char* packet = nullptr;
    while (::pcap_next_ex(pcap, &header, &packet) == 1) {
        if (count == ours.packets.size()) {
            if (!ours.error.empty()) break;
            std::fprintf(stderr, "libpcap reads packet %zu, we end before\n", count);
            std::abort();
        }
        const Seen& own = ours.packets[count++];
        if (own.bytes != std::vector<u8>(packet, packet + header->caplen) || own.wire_len != header->len) {
            std::fprintf(stderr, "libpcap reads packet %zu otherwise\n", count - 1);
            std::abort();
        }
    }
    ::pcap_close(pcap);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::span<const u8> bytes(data, size);
    const fuzz::MemoryFile file(bytes);
    const Contents mapped = read(file.path());

    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) std::abort();
    const UniqueFd out(ends[0]);
    UniqueFd in(ends[1]);
    constexpr int kRoom = 1 << 20;
    if (size < kRoom && ::fcntl(in.get(), F_SETPIPE_SZ, kRoom) >= static_cast<int>(size)) {
        if (::write(in.get(), data, size) != static_cast<ssize_t>(size)) std::abort();
        in = UniqueFd();
        const Contents piped = read("/proc/self/fd/" + std::to_string(out.get()));
        if (piped.rewound || mapped.packets != piped.packets || mapped.error.empty() != piped.error.empty()) {
            std::fprintf(stderr, "file: %zu packets, '%s'; pipe: %zu packets, '%s'\n", mapped.packets.size(),
                         mapped.error.c_str(), piped.packets.size(), piped.error.c_str());
            std::abort();
        }
    }
    compare_with_libpcap(mapped, bytes);
    return 0;
}
