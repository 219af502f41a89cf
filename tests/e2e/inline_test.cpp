// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// The inline data plane in this process, on DPDK's software ports.
#include "tests/e2e/inline_support.h"

namespace xdplane {
namespace {

TEST(Inline, WithoutChainEveryPacketPassesToThePeer) {
    Files files;
    const std::vector<Packet> packets = numbered(1000);
    const auto reports = files.run(packets, nullptr);
    EXPECT_EQ(reports[0].rx_packets, 1000U);
    EXPECT_EQ(reports[0].forwarded, 1000U);
    EXPECT_EQ(reports[1].tx_packets, 1000U);
    EXPECT_EQ(reports[1].tx_bytes, reports[0].rx_bytes);
    EXPECT_EQ(files.written(), packets);
}

TEST(Inline, EveryVerdictIsCountedUnderItsReason) {
    Files files;
    // By number: aborted, drop, pass, redirect to nowhere, and a verdict that does not exist.
    constexpr auto kVerdictsInTurn = [](XdpBuff& packet) -> u32 {
        constexpr std::array<u32, 5> turn{kAborted, kDrop, kPass, kRedirect, 77};
        packet.redirect_ifindex = 4711;
        return turn[number_of(packet) % turn.size()];
    };
    const auto reports = files.run(numbered(500), chain_of(kVerdictsInTurn));
    EXPECT_EQ(reports[0].rx_packets, 500U);
    EXPECT_EQ(reports[0].forwarded, 100U);
    EXPECT_EQ(dropped(reports[0], Drop::verdict), 100U);
    EXPECT_EQ(dropped(reports[0], Drop::aborted), 200U);
    EXPECT_EQ(dropped(reports[0], Drop::no_such_port), 100U);
    const std::vector<Packet> written = files.written();
    ASSERT_EQ(written.size(), 100U);
    for (u32 i = 0; i < written.size(); ++i) EXPECT_EQ(packet_number(written[i]), i * 5 + 2) << "order";
}

TEST(Inline, GrowsIntoAllOfTheHeadroomAndTheTail) {
    constexpr std::size_t kFront = kHeadroom - kFrameHeader;
    constexpr auto kGrow = [](XdpBuff& packet) -> u32 {
        EXPECT_EQ(packet.data - packet.hard_start, kHeadroom);
        EXPECT_EQ(packet.frame_end - packet.hard_start, kFrameSize - kFrameTail);
        const u32 number = number_of(packet);
        const std::size_t front = number % (kFront + 1);
        packet.data -= front;
        packet.data_meta = packet.data;
        std::memset(packet.data, 0xaa, front);
        if (number % 3 == 0) {
            std::memset(packet.data_end, 0xbb, static_cast<std::size_t>(packet.frame_end - packet.data_end));
            packet.data_end = packet.frame_end;
        }
        return kPass;
    };
    Files files;
    const std::vector<Packet> packets = numbered(kFront * 3);
    (void)files.run(packets, chain_of(kGrow));
    const std::vector<Packet> written = files.written();
    ASSERT_EQ(written.size(), packets.size());
    for (u32 i = 0; i < packets.size(); ++i) {
        const std::size_t front = i % (kFront + 1);
        Packet expected(front, 0xaa);
        expected.insert(expected.end(), packets[i].begin(), packets[i].end());
        if (i % 3 == 0) expected.resize(kFrameSize - kFrameTail - kHeadroom + front, 0xbb);
        ASSERT_EQ(written[i], expected) << "packet " << i;
    }
}

TEST(Inline, ShrinksAtBothEnds) {
    constexpr auto kShrink = [](XdpBuff& packet) -> u32 {
        packet.data += 14;
        packet.data_end -= 5;
        packet.data_meta = packet.data;
        return kPass;
    };
    Files files;
    const std::vector<Packet> packets = numbered(100);
    (void)files.run(packets, chain_of(kShrink));
    const std::vector<Packet> written = files.written();
    ASSERT_EQ(written.size(), packets.size());
    for (u32 i = 0; i < packets.size(); ++i)
        EXPECT_EQ(written[i], Packet(packets[i].begin() + 14, packets[i].end() - 5));
}

TEST(Inline, PacketsInSeveralSegmentsAreDroppedByName) {
    Files files;
    std::vector<Packet> packets = numbered(10);
    packets.insert(packets.begin() + 5, numbered_packet(99, 9000));
    const auto reports = files.run(packets, nullptr);
    EXPECT_EQ(reports[0].rx_packets, 11U);
    EXPECT_EQ(dropped(reports[0], Drop::segments), 1U);
    EXPECT_EQ(files.written(), numbered(10));
}

TEST(Inline, EmptyAndLongPackets) {
    Files files;
    std::vector<Packet> packets{{}, {1}, Packet(13, 7)};
    packets.push_back(numbered_packet(3, kFrameSize)); // fills the buffer to its end
    const auto reports = files.run(packets, nullptr);
    EXPECT_EQ(reports[0].rx_packets, 4U);
    EXPECT_EQ(files.written(), packets);
}

TEST(Inline, TransmitsOnTheSamePort) {
    ScratchDirectory scratch;
    const std::vector<Packet> packets = numbered(200);
    write_packets(scratch.file("in.pcap"), packets);
    constexpr auto kHairpin = [](XdpBuff&) -> u32 { return kTx; };
    auto plane = open_ports({port(
        "both", "net_pcap_both,rx_pcap=" + scratch.file("in.pcap") + ",tx_pcap=" + scratch.file("out.pcap"),
        "", chain_of(kHairpin))});
    ASSERT_TRUE(plane);
    const auto reports = run_until_received(*plane, packets.size());
    EXPECT_EQ(reports[0].tx_packets, packets.size());
    EXPECT_EQ(read_packets(scratch.file("out.pcap")), packets);
}

TEST(Inline, PassWithoutPeerIsADropWithItsName) {
    ScratchDirectory scratch;
    write_packets(scratch.file("in.pcap"), numbered(30));
    auto plane = open_ports({port("in", "net_pcap_in,rx_pcap=" + scratch.file("in.pcap"))});
    ASSERT_TRUE(plane);
    const auto reports = run_until_received(*plane, 30);
    EXPECT_EQ(dropped(reports[0], Drop::no_peer), 30U);
}

TEST(Inline, TwoWorkersShareATransmitQueue) {
    ScratchDirectory scratch;
    constexpr u32 kEach = 20000;
    write_packets(scratch.file("a.pcap"), numbered(kEach));
    write_packets(scratch.file("b.pcap"), numbered(kEach, 60, kEach));
    constexpr auto kToOut = [](XdpBuff& packet) -> u32 {
        packet.redirect_ifindex = 42;
        return kRedirect;
    };
    const auto chain = chain_of(kToOut);
    auto plane =
        open_ports({port("a", "net_pcap_a,rx_pcap=" + scratch.file("a.pcap"), "", chain),
                    port("b", "net_pcap_b,rx_pcap=" + scratch.file("b.pcap"), "", chain),
                    port("out", "net_pcap_out,tx_pcap=" + scratch.file("out.pcap"), "", nullptr, 42)},
                   2);
    ASSERT_TRUE(plane);
    ASSERT_EQ(plane->workers(), 2U);
    const auto reports = run_until_received(*plane, 2 * kEach);
    EXPECT_NE(reports[0].queues[0].worker, reports[1].queues[0].worker);
    EXPECT_EQ(reports[2].tx_packets, 2 * kEach);
    // Every packet once, and in order within its port.
    std::array<u32, 2> next{0, kEach};
    const std::vector<Packet> written = read_packets(scratch.file("out.pcap"));
    ASSERT_EQ(written.size(), 2 * kEach);
    for (const Packet& packet : written) {
        const u32 number = packet_number(packet);
        ASSERT_EQ(number, next[number >= kEach]++);
    }
    const auto chains = plane->chains();
    ASSERT_EQ(chains.size(), 1U);
    EXPECT_EQ(chains[0].verdicts[kRedirect], 2 * kEach);
}

TEST(Inline, NullPortsUnderLoadLoseNoBuffer) {
    for (const u32 workers : {1U, 2U}) {
        constexpr auto kHalf = [](XdpBuff& packet) -> u32 { return packet.index % 2 == 0 ? kPass : kDrop; };
        const auto chain = chain_of(kHalf);
        auto plane = open_ports({port("a", "net_null_a", "b", chain), port("b", "net_null_b", "a"),
                                 port("c", "net_null_c", "c", chain)},
                                workers);
        ASSERT_TRUE(plane);
        EXPECT_EQ(plane->workers(), workers);
        const auto reports = run_until_received(*plane, 2'000'000);
        EXPECT_EQ(reports[0].queues[0].worker, reports[1].queues[0].worker) << "peers share a worker";
        EXPECT_GT(reports[2].rx_packets, 0U);
        EXPECT_EQ(dropped(reports[0]), dropped(reports[0], Drop::verdict));
    }
}

/// DPDK's own name of the ring behind a net_ring device.
rte_ring* ring_of(const std::string& device) { return rte_ring_lookup(("ETH_RXTX0_" + device).c_str()); }

TEST(Inline, BuffersOfOthers) {
    static u8 external[kFrameSize];
    static rte_mbuf_ext_shared_info shared;
    shared.free_cb = [](void*, void*) {};
    rte_mbuf_ext_refcnt_set(&shared, 1);
    rte_mempool* pool = rte_pktmbuf_pool_create("foreign", 255, 0, 0, 2048, SOCKET_ID_ANY);
    ASSERT_NE(pool, nullptr);
    constexpr auto kGrow = [](XdpBuff& packet) -> u32 {
        // Whatever room there is, and not a byte more.
        const auto room = packet.data - packet.hard_start;
        EXPECT_LE(room, RTE_PKTMBUF_HEADROOM);
        EXPECT_LE(packet.frame_end - packet.hard_start, 2048);
        packet.data = packet.data_meta = packet.hard_start + kFrameHeader;
        std::memset(packet.data, 0xaa, static_cast<std::size_t>(room) - kFrameHeader);
        return kPass;
    };
    ScratchDirectory scratch;
    auto plane = open_ports({port("in", "net_ring_in", "out", chain_of(kGrow)),
                             port("out", "net_pcap_out,tx_pcap=" + scratch.file("out.pcap"))});
    ASSERT_TRUE(plane);
    rte_ring* ring = ring_of("net_ring_in");
    ASSERT_NE(ring, nullptr);

    const Packet packet = numbered_packet(1, 100);
    const auto put = [&](rte_mbuf* mbuf) {
        std::memcpy(rte_pktmbuf_append(mbuf, static_cast<u16>(packet.size())), packet.data(), packet.size());
        return mbuf;
    };
    rte_mbuf* plain = put(rte_pktmbuf_alloc(pool));
    rte_mbuf* original = put(rte_pktmbuf_alloc(pool));
    rte_mbuf* clone = rte_pktmbuf_clone(original, pool);
    rte_mbuf* bare = rte_pktmbuf_alloc(pool); // external memory, packet at its very beginning
    rte_pktmbuf_attach_extbuf(bare, external, 0, sizeof external, &shared);
    bare->data_off = 0;
    put(bare);
    rte_pktmbuf_free(original);
    for (rte_mbuf* mbuf : {plain, clone, bare}) ASSERT_EQ(rte_ring_enqueue(ring, mbuf), 0);

    const auto reports = run_until_received(*plane, 3);
    EXPECT_EQ(reports[0].forwarded, 2U);
    EXPECT_EQ(dropped(reports[0], Drop::no_room), 1U);
    const std::vector<Packet> written = read_packets(scratch.file("out.pcap"));
    ASSERT_EQ(written.size(), 2U);
    constexpr std::size_t kRoom = RTE_PKTMBUF_HEADROOM - kFrameHeader;
    for (const Packet& sent : written) {
        EXPECT_EQ(sent.size(), packet.size() + kRoom);
        EXPECT_EQ(packet_number(sent, kRoom), 1U);
    }
    plane.reset();
    EXPECT_EQ(rte_mempool_in_use_count(pool), 0U);
    rte_mempool_free(pool);
}

TEST(Inline, PacketsLeftInARingComeBack) {
    ScratchDirectory scratch;
    write_packets(scratch.file("in.pcap"), numbered(300));
    // The ring gives back what it is sent; its own chain is to keep it going round for ever.
    auto plane = open_ports({port("in", "net_pcap_in,rx_pcap=" + scratch.file("in.pcap"), "ring"),
                             port("ring", "net_ring_loop", "ring")});
    ASSERT_TRUE(plane);
    const auto reports = run_until_received(*plane, 5000);
    EXPECT_EQ(reports[0].forwarded, 300U);
    EXPECT_EQ(reports[1].tx_packets, reports[1].forwarded + 300);
}

TEST(Inline, FullTransmitQueueIsADropWithItsName) {
    ScratchDirectory scratch;
    write_packets(scratch.file("in.pcap"), numbered(5000));
    // Nobody takes packets out of the second ring.
    auto plane = open_ports(
        {port("in", "net_pcap_in,rx_pcap=" + scratch.file("in.pcap"), "out"), port("out", "net_ring_full")});
    ASSERT_TRUE(plane);
    rte_ring* ring = ring_of("net_ring_full");
    rte_mempool* pool = rte_pktmbuf_pool_create("filler", 2047, 0, 0, 256, SOCKET_ID_ANY);
    while (rte_ring_free_count(ring) > 0) ASSERT_EQ(rte_ring_enqueue(ring, rte_pktmbuf_alloc(pool)), 0);
    const auto reports = run(*plane, [](const auto& ports) { return ports[0].rx_packets == 5000; });
    EXPECT_GT(dropped(reports[0], Drop::tx_full), 0U);
    plane.reset();
    EXPECT_EQ(rte_mempool_in_use_count(pool), 0U);
    rte_mempool_free(pool);
}

/// What opening says.
std::string error_of(std::vector<InlinePort> ports) {
    const auto plane = Inline::open(std::move(ports), 1);
    return plane ? "opened" : plane.error().message;
}

TEST(Inline, ErrorsNameThePortAndTheReason) {
    EXPECT_EQ(error_of({}), "no ports");
    EXPECT_EQ(error_of({port("a", "net_null0", "b")}), "port a: its peer b is no port");
    EXPECT_EQ(error_of({port("a", "net_null0"), port("a", "net_null1")}), "two ports are called a");
    EXPECT_EQ(error_of({port("a", "net_null0"), port("b", "net_null0,size=100")}),
              "port b: device net_null0 belongs to another port already");
    EXPECT_EQ(error_of({port("a", "net_null0", "", nullptr, 7), port("b", "net_null1", "", nullptr, 7)}),
              "ports a and b both have ifindex 7");
    EXPECT_EQ(error_of({port("a", "")}), "port a: no device given");
    const auto refused = [](const std::string& device, const std::string& reason) {
        EXPECT_EQ(error_of({port("a", device)}),
                  "port a: DPDK can not open device " + device + ": " + reason);
    };
    refused("net_nonsense0", "failed to parse device \"net_nonsense0\"");
    refused("net_null0,nonsense=1", "Driver cannot attach the device (net_null0)");
    refused("0000:99:00.0", "Cannot find device (0000:99:00.0)");
    refused("net_pcap0,rx_pcap=/nonexistent.pcap",
            "Couldn't open /nonexistent.pcap: /nonexistent.pcap: No such file or directory");
    refused("net_af_packet0,iface=nonexistent", "net_af_packet0: ioctl failed (SIOCGIFINDEX):No such device");
}

TEST(Inline, MoreWorkersThanCoresIsAnError) {
    std::vector<InlinePort> ports;
    for (int i = 0; i < 3; ++i) ports.push_back(port(fmt::format("p{}", i), fmt::format("net_null{}", i)));
    auto plane = open_ports(std::move(ports), 3);
    ASSERT_TRUE(plane);
    const auto started = plane->start();
    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().message, "3 workers need 3 lcores besides the main one, and EAL has 2");
    EXPECT_EQ(plane->stop(), 0U);
}

} // namespace
} // namespace xdplane
