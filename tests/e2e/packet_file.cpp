// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "tests/e2e/packet_file.h"

#include <array>
#include <cstring>
#include <filesystem>
#include <memory>
#include <pcap/pcap.h>
#include <stdexcept>

namespace xdplane {
namespace {

constexpr std::size_t kPayload = 42;

using PcapHandle = std::unique_ptr<pcap_t, decltype(&pcap_close)>;

} // namespace

void write_packets(const std::string& path, const std::vector<Packet>& packets) {
    const PcapHandle handle(pcap_open_dead(DLT_EN10MB, 262144), pcap_close);
    pcap_dumper_t* dumper = pcap_dump_open(handle.get(), path.c_str());
    if (dumper == nullptr) throw std::runtime_error(pcap_geterr(handle.get()));
    pcap_pkthdr header{};
    for (const Packet& packet : packets) {
        header.ts.tv_usec += 1;
        header.caplen = header.len = static_cast<u32>(packet.size());
        pcap_dump(reinterpret_cast<u8*>(dumper), &header, packet.data());
    }
    pcap_dump_close(dumper);
}

std::vector<Packet> read_packets(const std::string& path) {
    std::array<char, PCAP_ERRBUF_SIZE> error{};
    const PcapHandle handle(pcap_open_offline(path.c_str(), error.data()), pcap_close);
    if (!handle) throw std::runtime_error(path + ": " + error.data());
    std::vector<Packet> packets;
    pcap_pkthdr* header = nullptr;
    const u8* data = nullptr;
    int got = 0;
    while ((got = pcap_next_ex(handle.get(), &header, &data)) == 1)
        packets.emplace_back(data, data + header->caplen);
    if (got != PCAP_ERROR_BREAK) throw std::runtime_error(path + ": " + pcap_geterr(handle.get()));
    return packets;
}

Packet numbered_packet(u32 number, std::size_t size) {
    Packet packet(std::max(size, kPayload + sizeof number));
    const std::array<u8, 14> ethernet{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0};
    std::memcpy(packet.data(), ethernet.data(), ethernet.size());
    packet[14] = 0x45;
    packet[16] = static_cast<u8>((packet.size() - 14) >> 8);
    packet[17] = static_cast<u8>(packet.size() - 14);
    packet[22] = 64;
    packet[23] = 17;
    std::memcpy(packet.data() + kPayload, &number, sizeof number);
    for (std::size_t i = kPayload + sizeof number; i < packet.size(); ++i)
        packet[i] = static_cast<u8>(number + i);
    return packet;
}

u32 packet_number(const Packet& packet, std::size_t skip) {
    u32 number = ~0U;
    if (packet.size() >= skip + kPayload + sizeof number)
        std::memcpy(&number, packet.data() + skip + kPayload, sizeof number);
    return number;
}

ScratchDirectory::ScratchDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "xdplane-test-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no scratch directory");
    path_ = pattern;
}

ScratchDirectory::~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

} // namespace xdplane
