// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <string>
#include <vector>

#include "bpf/base/types.h"

/// Capture files as tests need them: the packets' bytes, through libpcap.
namespace xdplane {

using Packet = std::vector<u8>;

/// Writes an Ethernet capture. Throws std::runtime_error.
void write_packets(const std::string& path, const std::vector<Packet>& packets);
/// The packets of a capture, in order. Throws std::runtime_error.
[[nodiscard]] std::vector<Packet> read_packets(const std::string& path);

/// An Ethernet/IPv4/UDP packet of `size` bytes at least 42, whose payload starts with `number`: tests tell
/// packets apart by it.
[[nodiscard]] Packet numbered_packet(u32 number, std::size_t size);
/// The number in a packet made by numbered_packet, looked for behind `skip` bytes put in front of it.
[[nodiscard]] u32 packet_number(const Packet& packet, std::size_t skip = 0);

/// A directory of its own, removed with everything in it.
class ScratchDirectory {
public:
    ScratchDirectory();
    ~ScratchDirectory();
    ScratchDirectory(const ScratchDirectory&) = delete;
    ScratchDirectory& operator=(const ScratchDirectory&) = delete;
    [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }

private:
    std::string path_;
};

} // namespace xdplane
