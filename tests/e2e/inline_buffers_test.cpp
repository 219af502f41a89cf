// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// Packets in several segments, long packets, and buffers that run out.
#include <algorithm>
#include <atomic>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>

#include "tests/e2e/inline_support.h"

namespace xdplane {
namespace {

rte_ring* ring_of(const std::string& device) { return rte_ring_lookup(("ETH_RXTX0_" + device).c_str()); }

/// Reads all of a packet, as a program sees it: a wrong byte is XDP_ABORTED.
constexpr auto kReadAll = [](XdpBuff& packet) -> u32 {
    const u32 number = number_of(packet);
    const Packet expected = numbered_packet(number, packet.length());
    return std::equal(expected.begin(), expected.end(), packet.data) ? kPass : kAborted;
};

/// A pool of small buffers, and packets spread over them.
class Segments {
public:
    static constexpr u16 kPiece = 256;
    Segments() : pool_(rte_pktmbuf_pool_create("pieces", 1023, 0, 0, kPiece, SOCKET_ID_ANY)) {}
    ~Segments() {
        EXPECT_EQ(rte_mempool_in_use_count(pool_), 0U);
        rte_mempool_free(pool_);
    }
    Segments(const Segments&) = delete;
    Segments& operator=(const Segments&) = delete;

    [[nodiscard]] rte_mbuf* spread(const Packet& packet) const {
        rte_mbuf* head = nullptr;
        for (std::size_t at = 0; at < packet.size(); at += kPiece / 2) {
            const auto size = static_cast<u16>(std::min<std::size_t>(packet.size() - at, kPiece / 2));
            rte_mbuf* piece = rte_pktmbuf_alloc(pool_);
            std::memcpy(rte_pktmbuf_append(piece, size), &packet[at], size);
            if (head == nullptr)
                head = piece;
            else
                EXPECT_EQ(rte_pktmbuf_chain(head, piece), 0);
        }
        return head;
    }

private:
    rte_mempool* pool_;
};

TEST(InlineBuffers, SegmentsAreMadeOnePacket) {
    ScratchDirectory scratch;
    const Segments segments;
    auto plane = open_ports({port("in", "net_ring_in", "out", chain_of(kReadAll)),
                             port("out", "net_pcap_out,tx_pcap=" + scratch.file("out.pcap"))});
    ASSERT_TRUE(plane);
    std::vector<Packet> packets;
    for (u32 i = 0; i < 20; ++i) packets.push_back(numbered_packet(i, 100 + i * 200));
    packets.push_back(numbered_packet(20, kFrameSize));
    rte_ring* ring = ring_of("net_ring_in");
    for (const Packet& packet : packets) ASSERT_EQ(rte_ring_enqueue(ring, segments.spread(packet)), 0);
    ASSERT_EQ(rte_ring_enqueue(ring, segments.spread(numbered_packet(21, kFrameSize + 1))), 0);

    const auto reports = run_until_received(*plane, packets.size() + 1);
    EXPECT_EQ(reports[0].forwarded, packets.size());
    EXPECT_EQ(dropped(reports[0], Drop::segments), 1U) << "too long";
    EXPECT_EQ(dropped(reports[0]), 1U);
    EXPECT_EQ(reports[1].tx_bytes, reports[0].rx_bytes - kFrameSize - 1);
    EXPECT_EQ(read_packets(scratch.file("out.pcap")), packets);
}

TEST(InlineBuffers, MtuMakesRoomForLongPackets) {
    ScratchDirectory scratch;
    std::vector<Packet> packets;
    for (const std::size_t size : {60, 1514, 4096, 4097, 9000, 9018})
        packets.push_back(numbered_packet(static_cast<u32>(packets.size()), size));
    std::vector<Packet> all = packets;
    all.push_back(numbered_packet(77, 20000));
    write_packets(scratch.file("in.pcap"), all);
    InlinePort in = port("in", "net_pcap_in,rx_pcap=" + scratch.file("in.pcap"), "out", chain_of(kReadAll));
    in.spec.mtu = 9000;
    auto plane = open_ports({std::move(in), port("out", "net_pcap_out,tx_pcap=" + scratch.file("out.pcap"))});
    ASSERT_TRUE(plane);
    const auto reports = run_until_received(*plane, all.size());
    EXPECT_EQ(reports[0].forwarded, packets.size());
    EXPECT_EQ(dropped(reports[0], Drop::segments), 1U);
    EXPECT_EQ(read_packets(scratch.file("out.pcap")), packets);
}

TEST(InlineBuffers, MtuBeyondLimitsIsAnError) {
    InlinePort asked = port("a", "net_null_a");
    asked.spec.mtu = 16385;
    const auto plane = Inline::open({asked}, 1);
    ASSERT_FALSE(plane);
    EXPECT_EQ(plane.error().message, "port a: mtu = 16385 is more than 16384");
}

TEST(InlineBuffers, WhatTheReceiverKnewIsNotAskedOfTheSender) {
    rte_ring* in = rte_ring_create("bare_in", 64, SOCKET_ID_ANY, 0);
    rte_ring* out = rte_ring_create("bare_out", 64, SOCKET_ID_ANY, 0);
    ASSERT_GE(rte_eth_from_rings("bare", &in, 1, &out, 1, 0), 0);
    const Segments segments;
    auto plane = open_ports({port("bare", "net_ring_bare", "bare")});
    ASSERT_TRUE(plane);
    rte_mbuf* mbuf = segments.spread(numbered_packet(1, 100));
    mbuf->ol_flags |= RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED | RTE_MBUF_F_RX_IP_CKSUM_GOOD |
                      RTE_MBUF_F_RX_RSS_HASH | RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_IP_CKSUM;
    ASSERT_EQ(rte_ring_enqueue(in, mbuf), 0);
    (void)run_until_received(*plane, 1);
    void* sent = nullptr;
    ASSERT_EQ(rte_ring_dequeue(out, &sent), 0);
    EXPECT_EQ(static_cast<rte_mbuf*>(sent)->ol_flags, 0U);
    rte_pktmbuf_free(static_cast<rte_mbuf*>(sent));
    plane.reset();
    rte_ring_free(in);
    rte_ring_free(out);
}

/// Takes every buffer of a port's pool for as long as it lives.
class Drought {
public:
    explicit Drought(const std::string& pool) : pool_(rte_mempool_lookup(pool.c_str())) {
        EXPECT_NE(pool_, nullptr);
        const auto deadline = std::chrono::steady_clock::now() + 60s;
        // What workers hold comes back while they run; their caches keep a part.
        while (std::chrono::steady_clock::now() < deadline && misses_ < 100) {
            if (rte_mbuf* mbuf = rte_pktmbuf_alloc(pool_); mbuf != nullptr) {
                taken_.push_back(mbuf);
            } else {
                ++misses_;
                std::this_thread::sleep_for(1ms);
            }
        }
    }
    ~Drought() {
        for (rte_mbuf* mbuf : taken_) rte_pktmbuf_free(mbuf);
    }
    Drought(const Drought&) = delete;
    Drought& operator=(const Drought&) = delete;
    [[nodiscard]] std::size_t taken() const { return taken_.size(); }

private:
    rte_mempool* pool_;
    u32 misses_ = 0;
    std::vector<rte_mbuf*> taken_;
};

TEST(InlineBuffers, AnEmptyPoolIsADropAndNoMore) {
    ScratchDirectory scratch;
    const Segments segments;
    // Only what is made one packet takes buffers of this pool.
    auto plane = open_ports(
        {port("in", "net_ring_in", "out"), port("out", "net_pcap_out,tx_pcap=" + scratch.file("out.pcap"))});
    ASSERT_TRUE(plane);
    u16 id = 0;
    ASSERT_EQ(rte_eth_dev_get_port_by_name("net_ring_in", &id), 0);
    rte_ring* ring = ring_of("net_ring_in");
    {
        const Drought drought(fmt::format("xdplane_{}", id));
        EXPECT_GT(drought.taken(), 8000U);
        for (u32 i = 0; i < 10; ++i)
            ASSERT_EQ(rte_ring_enqueue(ring, segments.spread(numbered_packet(i, 300))), 0);
        ASSERT_TRUE(plane->start());
        EXPECT_TRUE(eventually([&] { return plane->ports()[0].rx_packets == 10; }));
    }
    // Rain again.
    for (u32 i = 10; i < 20; ++i)
        ASSERT_EQ(rte_ring_enqueue(ring, segments.spread(numbered_packet(i, 300))), 0);
    const auto reports = finish(*plane, [](const auto& ports) { return ports[0].rx_packets == 20; });
    EXPECT_EQ(dropped(reports[0], Drop::no_copy), 10U);
    EXPECT_EQ(reports[0].forwarded, 10U);
    const auto written = read_packets(scratch.file("out.pcap"));
    ASSERT_EQ(written.size(), 10U);
    EXPECT_EQ(written[0], numbered_packet(10, 300));
}

TEST(InlineBuffers, ReceivingGoesOnOnceBuffersAreBack) {
    auto plane = open_ports({port("a", "net_null_a", "b"), port("b", "net_null_b", "a")});
    ASSERT_TRUE(plane);
    u16 id = 0;
    ASSERT_EQ(rte_eth_dev_get_port_by_name("net_null_a", &id), 0);
    ASSERT_TRUE(plane->start());
    {
        const Drought drought(fmt::format("xdplane_{}", id));
        EXPECT_GT(drought.taken(), 4000U);
    }
    const u64 before = plane->ports()[0].rx_packets;
    const auto reports = finish(*plane, [&](const auto& now) { return now[0].rx_packets > before + 10'000; });
    EXPECT_EQ(dropped(reports[0]), 0U);
}

} // namespace
} // namespace xdplane
