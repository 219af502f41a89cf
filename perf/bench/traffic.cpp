// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "perf/bench/traffic.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstring>

#include "bpf/run/packet.h"
#include "pcap_replay/capture_reader.h"
#include "perf/bench/flows.h"

namespace xdplane::bench {
namespace {

constexpr u32 kShortest = 60; // 64 on the wire
constexpr u32 kImixMiddle = 590;
constexpr u32 kLongest = 1514;
constexpr u32 kMixFlows = 65536;
constexpr u8 kTcp = 6;
constexpr u8 kUdp = 17;

/// What one packet is to be.
struct Plan {
    FlowKey flow;
    u8 protocol = kTcp;
    bool vlan = false;
    bool ipv6 = false;
    std::array<u8, 16> destination6{};
};

/// Writes headers one after the other.
class Writer {
public:
    explicit Writer(std::span<u8> room) : room_(room) {}
    void put8(u32 value) { room_[at_++] = static_cast<u8>(value); }
    void put16(u32 value) {
        put8(value >> 8);
        put8(value & 0xff);
    }
    /// As it is in memory.
    void copy(const void* bytes, u32 size) {
        std::memcpy(&room_[at_], bytes, size);
        at_ += size;
    }
    void fill(u32 value, u32 count) {
        for (u32 i = 0; i < count; ++i) put8(value);
    }
    [[nodiscard]] u32 at() const { return at_; }

private:
    std::span<u8> room_;
    u32 at_ = 0;
};

u32 headers_length(const Plan& plan) {
    return 14U + (plan.vlan ? 4 : 0) + (plan.ipv6 ? 40 : 20) + (plan.protocol == kTcp ? 20 : 8);
}

void put_ipv4(Writer& out, const Plan& plan, u32 length, std::span<u8> packet) {
    const u32 begin = out.at();
    out.put16(0x4500);
    out.put16(length);
    out.put16(0);
    out.put16(0x4000); // not to be fragmented
    out.put8(64);
    out.put8(plan.protocol);
    out.put16(0);
    out.copy(&plan.flow.source, 4);
    out.copy(&plan.flow.destination, 4);
    u32 sum = 0;
    for (u32 i = begin; i < out.at(); i += 2) sum += static_cast<u32>(packet[i] << 8 | packet[i + 1]);
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
    packet[begin + 10] = static_cast<u8>(~sum >> 8);
    packet[begin + 11] = static_cast<u8>(~sum);
}

void put_ipv6(Writer& out, const Plan& plan, u32 payload) {
    out.put16(0x6000);
    out.put16(0);
    out.put16(payload);
    out.put8(plan.protocol);
    out.put8(64);
    out.put16(0x2001);
    out.fill(0, 10);
    out.copy(&plan.flow.source, 4);
    out.copy(plan.destination6.data(), 16);
}

void put_packet(const Plan& plan, std::span<u8> packet) {
    std::ranges::fill(packet, u8{0});
    const auto length = static_cast<u32>(packet.size());
    Writer out(packet);
    out.put16(0x0200); // local addresses, host 1 and host 2
    out.fill(0, 3);
    out.put8(1);
    out.put16(0x0200);
    out.fill(0, 3);
    out.put8(2);
    if (plan.vlan) {
        out.put16(0x8100);
        out.put16(5);
    }
    out.put16(plan.ipv6 ? 0x86dd : 0x0800);
    if (plan.ipv6)
        put_ipv6(out, plan, length - out.at() - 40);
    else
        put_ipv4(out, plan, length - out.at(), packet);
    const u32 transport = length - out.at();
    out.copy(&plan.flow.source_port, 2);
    out.copy(&plan.flow.destination_port, 2);
    if (plan.protocol == kUdp) {
        out.put16(transport);
        return;
    }
    out.fill(0, 8);
    out.put16(0x5010); // five words of header, ACK
    out.put16(0xffff);
}

u32 frame_length(FrameSize size, Random& random) {
    if (size == FrameSize::most) return kLongest;
    if (size == FrameSize::least) return kShortest;
    const u32 of_twelve = random.below(12);
    return of_twelve < 7 ? kShortest : of_twelve < 11 ? kImixMiddle : kLongest;
}

/// Random bits behind a prefix.
template<class Prefix>
void pick_address(const Prefix& prefix, Random& random, u8* address) {
    for (u32 i = 0; i < sizeof prefix.address; ++i) {
        const u32 begin = i * 8;
        const u32 kept = prefix.length > begin ? std::min(prefix.length - begin, 8U) : 0;
        const auto mask = static_cast<u8>(0xff >> kept);
        address[i] = static_cast<u8>(prefix.address[i] | (random() & mask));
    }
}

void make_mixed(Plan& plan, Random& random) {
    const u32 kind = random.below(100);
    plan.ipv6 = random.below(100) < 15;
    plan.vlan = random.below(100) < 10;
    if (kind < 25) {
        plan.protocol = kUdp;
    } else if (kind < 45) {
        plan.flow.destination_port = htons(80);
    } else if (kind == 99) {
        plan.flow.destination_port = htons(23);
    }
    if (plan.ipv6) {
        plan.destination6 = {0x20, 0x01};
        std::memcpy(&plan.destination6[12], &plan.flow.destination, 4);
    }
}

} // namespace

void PacketSet::add(std::span<const u8> packet) {
    const u64 offset = (bytes_.size() + 7) / 8 * 8;
    bytes_.resize(offset + packet.size());
    std::memcpy(&bytes_[offset], packet.data(), packet.size());
    packets_.push_back({offset, static_cast<u32>(packet.size())});
    longest_ = std::max(longest_, packets_.back().length);
}

PacketSet make_traffic(Traffic traffic, FrameSize size, u32 count, u32 packets) {
    PacketSet set;
    Random random(1);
    const auto prefixes4 = make_prefixes4(traffic == Traffic::prefixes4 ? count : 0);
    const auto prefixes6 = make_prefixes6(traffic == Traffic::prefixes6 ? count : 0);
    std::array<u8, kLongest> bytes;
    for (u32 i = 0; i < packets; ++i) {
        Plan plan{.flow = tcp_flow(random.below(traffic == Traffic::flows ? count : kMixFlows))};
        if (traffic == Traffic::mix) make_mixed(plan, random);
        if (traffic == Traffic::prefixes4)
            pick_address(prefixes4[random.below(count)], random,
                         reinterpret_cast<u8*>(&plan.flow.destination));
        if (traffic == Traffic::prefixes6) {
            plan.ipv6 = true;
            pick_address(prefixes6[random.below(count)], random, plan.destination6.data());
        }
        if (traffic == Traffic::services) {
            const u32 client = random.below(count);
            const ServiceKey to = service(client % 64);
            plan.flow = tcp_flow(client);
            plan.flow.destination = to.address;
            plan.flow.destination_port = to.port;
        }
        const std::span<u8> packet(bytes.data(), std::max(frame_length(size, random), headers_length(plan)));
        put_packet(plan, packet);
        set.add(packet);
    }
    return set;
}

Result<CapturedTraffic> read_traffic(const std::string& path, u32 most) {
    auto reader = CaptureReader::open(path);
    if (!reader) return fail(reader.error(), path);
    CapturedTraffic traffic{.longest = kFrameSize - kHeadroom - kFrameTail};
    CapturedPacket packet;
    while ((*reader)->next(packet)) {
        if (packet.link_type != kLinkEthernet)
            return fail(EINVAL, "{}: has packets of another link type than Ethernet", path);
        traffic.first = traffic.packets.size() == most;
        if (traffic.first) break;
        if (packet.captured <= traffic.longest)
            traffic.packets.add({packet.data, packet.captured});
        else
            ++traffic.too_long;
    }
    // Part of a capture would be measured as if it were all of it.
    if ((*reader)->error()) return fail(*(*reader)->error(), path);
    if (traffic.packets.size() == 0)
        return fail(EINVAL, "{}: holds no packet of up to {} bytes", path, traffic.longest);
    return traffic;
}

} // namespace xdplane::bench
