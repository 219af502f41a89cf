// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// Ports with several receive queues: every packet is received, judged and counted exactly once, by the worker
// that its queue belongs to.
#include <algorithm>
#include <atomic>
#include <rte_eth_ring.h>

#include "bpf/run/run_context.h"
#include "dataplane/flow_hash.h"
#include "tests/e2e/inline_support.h"

namespace xdplane {
namespace {

InlinePort with_queues(InlinePort port, u32 queues) {
    port.spec.rx_queues = queues;
    return port;
}

u64 sum_of_queues(const PortReport& report) {
    u64 sum = 0;
    for (const QueueReport& queue : report.queues) sum += queue.rx_packets;
    return sum;
}

TEST(InlineQueues, EveryFileOfAPortIsRead) {
    constexpr u32 kFiles = 3;
    constexpr u32 kEach = 5000;
    for (const u32 workers : {1U, 2U}) {
        ScratchDirectory scratch;
        std::string device = "net_pcap_in";
        for (u32 i = 0; i < kFiles; ++i) {
            const std::string file = scratch.file(std::to_string(i) + ".pcap");
            write_packets(file, numbered(kEach, 60, i * kEach));
            device += ",rx_pcap=" + file;
        }
        static std::array<std::atomic<u32>, kFiles> by_queue;
        for (auto& count : by_queue) count = 0;
        const auto chain = chain_of([](XdpBuff& packet) -> u32 {
            ++by_queue[packet.rx_queue];
            return kPass;
        });
        auto plane = open_ports({port("in", device, "out", chain),
                                 port("out", "net_pcap_out,tx_pcap=" + scratch.file("out.pcap"))},
                                workers);
        ASSERT_TRUE(plane);
        EXPECT_EQ(plane->workers(), workers);
        const auto reports = run_until_received(*plane, kFiles * kEach);
        EXPECT_EQ(reports[0].rx_packets, kFiles * kEach);
        EXPECT_EQ(reports[1].tx_packets, kFiles * kEach);
        ASSERT_EQ(reports[0].queues.size(), kFiles);
        for (u32 i = 0; i < kFiles; ++i) {
            EXPECT_EQ(reports[0].queues[i].rx_packets, kEach);
            EXPECT_EQ(reports[0].queues[i].worker, i % workers);
            EXPECT_EQ(by_queue[i], kEach);
        }
        u64 by_workers = 0;
        for (const WorkerReport& worker : plane->worker_reports()) by_workers += worker.packets;
        EXPECT_EQ(by_workers, kFiles * kEach);
        // Every packet once, and in order within its file.
        std::array<u32, kFiles> next{};
        const std::vector<Packet> written = read_packets(scratch.file("out.pcap"));
        ASSERT_EQ(written.size(), kFiles * kEach);
        for (const Packet& packet : written) {
            const u32 number = packet_number(packet);
            ASSERT_EQ(number % kEach, next[number / kEach]++);
        }
        for (const u32 count : next) EXPECT_EQ(count, kEach);
        EXPECT_EQ(plane->chains()[0].packets, kFiles * kEach);
    }
}

/// A port with rings for queues, which this process fills and empties.
struct RingQueues {
    static constexpr u32 kCount = 2;
    std::array<rte_ring*, kCount> in{};
    std::array<rte_ring*, kCount> out{};

    explicit RingQueues(const std::string& name) {
        for (u32 i = 0; i < kCount; ++i) {
            in[i] = rte_ring_create(fmt::format("{}_in{}", name, i).c_str(), 4096, SOCKET_ID_ANY, 0);
            out[i] = rte_ring_create(fmt::format("{}_out{}", name, i).c_str(), 4096, SOCKET_ID_ANY, 0);
        }
        EXPECT_GE(rte_eth_from_rings(name.c_str(), in.data(), kCount, out.data(), kCount, 0), 0);
    }
    ~RingQueues() {
        for (u32 i = 0; i < kCount; ++i) {
            rte_ring_free(in[i]);
            rte_ring_free(out[i]);
        }
    }
    RingQueues(const RingQueues&) = delete;
    RingQueues& operator=(const RingQueues&) = delete;
};

/// Which CPU has seen a flow, by number of the flow: CPU + 1. Both directions.
std::array<std::atomic<u32>, 64> g_flow_cpu;
std::atomic<u32> g_moved;

TEST(InlineQueues, BothDirectionsOfAFlowKeepToOneWorker) {
    constexpr u32 kFlows = 64;
    constexpr u32 kRounds = 20;
    const RingQueues left("flow_left");
    const RingQueues right("flow_right");
    rte_mempool* pool = rte_pktmbuf_pool_create("flows", 4095, 0, 0, 2048, SOCKET_ID_ANY);
    ASSERT_NE(pool, nullptr);
    for (auto& cpu : g_flow_cpu) cpu = 0;
    g_moved = 0;
    const auto chain = chain_of([](XdpBuff& packet) -> u32 {
        const u32 here = t_run.cpu + 1;
        const u32 before = g_flow_cpu[number_of(packet)].exchange(here);
        if (before != 0 && before != here) ++g_moved;
        return kPass;
    });
    auto plane = open_ports({port("left", "net_ring_flow_left", "right", chain),
                             port("right", "net_ring_flow_right", "left", chain)},
                            2);
    ASSERT_TRUE(plane);
    ASSERT_EQ(plane->workers(), 2U);
    // As a device with a symmetric hash puts them into its queues.
    const auto put = [&](const RingQueues& port, u32 flow, bool back) {
        Packet packet = numbered_packet(flow, 100);
        packet[29] = static_cast<u8>(flow);
        packet[33] = 200;
        if (back) std::swap_ranges(packet.begin() + 26, packet.begin() + 30, packet.begin() + 30);
        rte_mbuf* mbuf = rte_pktmbuf_alloc(pool);
        ASSERT_NE(mbuf, nullptr);
        std::memcpy(rte_pktmbuf_append(mbuf, 100), packet.data(), 100);
        const u64 queue = flow_hash(packet.data(), 100) % RingQueues::kCount;
        ASSERT_EQ(rte_ring_enqueue(port.in[queue], mbuf), 0);
    };
    for (u32 round = 0; round < kRounds; ++round)
        for (u32 flow = 0; flow < kFlows; ++flow) put(round % 2 == 0 ? left : right, flow, round % 2 != 0);
    const auto reports = run_until_received(*plane, kFlows * kRounds);
    EXPECT_EQ(g_moved, 0U);
    for (const PortReport& report : reports) {
        EXPECT_EQ(report.rx_packets, kFlows * kRounds / 2);
        EXPECT_EQ(report.tx_packets, kFlows * kRounds / 2);
        EXPECT_EQ(sum_of_queues(report), report.rx_packets);
        for (u32 i = 0; i < 2; ++i) {
            EXPECT_GT(report.queues[i].rx_packets, 0U);
            EXPECT_EQ(report.queues[i].worker, i);
        }
    }
    for (const RingQueues* port : {&left, &right})
        for (rte_ring* ring : port->out) {
            void* packet = nullptr;
            while (rte_ring_dequeue(ring, &packet) == 0) rte_pktmbuf_free(static_cast<rte_mbuf*>(packet));
        }
    plane.reset();
    EXPECT_EQ(rte_mempool_in_use_count(pool), 0U);
    rte_mempool_free(pool);
}

TEST(InlineQueues, AsManyAsAskedForOrAsThereAreWorkers) {
    struct Row {
        u32 asked;
        u32 workers;
        u32 queues;
        u32 used;
    };
    for (const Row& row :
         {Row{0, 1, 1, 1}, Row{0, 2, 2, 2}, Row{1, 2, 1, 1}, Row{5, 2, 5, 2}, Row{4, 1, 4, 1}}) {
        constexpr auto kThird = [](XdpBuff& packet) -> u32 { return packet.index % 3 == 0 ? kDrop : kPass; };
        const auto chain = chain_of(kThird);
        auto plane = open_ports({with_queues(port("a", "net_null_a", "b", chain), row.asked),
                                 with_queues(port("b", "net_null_b", "a", chain), row.asked)},
                                row.workers);
        ASSERT_TRUE(plane);
        EXPECT_EQ(plane->workers(), row.used);
        const auto reports = run_until_received(*plane, 200'000);
        for (const PortReport& report : reports) {
            ASSERT_EQ(report.queues.size(), row.queues);
            EXPECT_EQ(sum_of_queues(report), report.rx_packets);
            for (u32 i = 0; i < row.queues; ++i) EXPECT_EQ(report.queues[i].worker, i % row.used);
        }
        EXPECT_EQ(plane->chains()[0].packets, reports[0].rx_packets + reports[1].rx_packets);
    }
}

TEST(InlineQueues, GroupsOfPortsTakeWorkersInTurn) {
    auto plane =
        open_ports({with_queues(port("a", "net_null_a", "b"), 1), with_queues(port("b", "net_null_b"), 1),
                    with_queues(port("c", "net_null_c", "c"), 2)},
                   2);
    ASSERT_TRUE(plane);
    const auto reports = plane->ports();
    EXPECT_EQ(reports[0].queues[0].worker, 0U);
    EXPECT_EQ(reports[1].queues[0].worker, 0U);
    EXPECT_EQ(reports[2].queues[0].worker, 1U);
    EXPECT_EQ(reports[2].queues[1].worker, 0U);
}

TEST(InlineQueues, WorkersAreSharedOutToGroups) {
    for (const u32 workers : {1U, 2U, 3U, 4U}) {
        auto plane = open_ports({port("a", "net_null_a", "b"), port("b", "net_null_b", "a"),
                                 port("c", "net_null_c", "d"), port("d", "net_null_d", "c")},
                                workers);
        ASSERT_TRUE(plane);
        const u32 each = (workers + 1) / 2;
        const auto reports = plane->ports();
        for (const PortReport& report : reports) ASSERT_EQ(report.queues.size(), each);
        EXPECT_EQ(reports[0].queues[0].worker, 0U);
        EXPECT_EQ(reports[1].queues[0].worker, 0U);
        EXPECT_EQ(reports[2].queues[0].worker, each % workers);
        EXPECT_EQ(reports[3].queues[each - 1].worker, (2 * each - 1) % workers);
    }
}

InlinePort read_by(InlinePort port, const std::vector<u32>& workers) {
    port = with_queues(std::move(port), static_cast<u32>(workers.size()));
    port.spec.queue_workers = workers;
    return port;
}

TEST(InlineQueues, AreReadByWhomTheConfigurationSays) {
    auto plane = open_ports({read_by(port("a", "net_null_a", "b"), {1, 1, 0}),
                             read_by(port("b", "net_null_b", "a"), {1}), port("c", "net_null_c", "c")},
                            2);
    ASSERT_TRUE(plane);
    EXPECT_EQ(plane->workers(), 2U);
    const auto reports = run(*plane, [](const auto& now) {
        return std::ranges::all_of(now, [](const PortReport& port) {
            return std::ranges::all_of(port.queues,
                                       [](const QueueReport& one) { return one.rx_packets > 0; });
        });
    });
    ASSERT_EQ(reports[0].queues.size(), 3U);
    EXPECT_EQ(reports[0].queues[0].worker, 1U);
    EXPECT_EQ(reports[0].queues[1].worker, 1U);
    EXPECT_EQ(reports[0].queues[2].worker, 0U);
    EXPECT_EQ(reports[1].queues[0].worker, 1U);
    EXPECT_EQ(sum_of_queues(reports[0]), reports[0].rx_packets);
    plane.reset();
    // All workers that were asked for run: a cpumap may name them.
    plane = open_ports({read_by(port("a", "net_null_a", "a"), {0})}, 2);
    ASSERT_TRUE(plane);
    EXPECT_EQ(plane->workers(), 2U);
}

std::string error_of(InlinePort port) {
    const auto plane = Inline::open({std::move(port)}, 1);
    return plane ? "opened" : plane.error().message;
}

TEST(InlineQueues, ErrorsSayHowManyThereAre) {
    ScratchDirectory scratch;
    write_packets(scratch.file("in.pcap"), numbered(1));
    const std::string file = ",rx_pcap=" + scratch.file("in.pcap");
    EXPECT_EQ(error_of(with_queues(port("a", "net_pcap_a" + file), 2)),
              "port a: rx_queues = 2, and the device has 1");
    EXPECT_EQ(error_of(with_queues(port("a", "net_pcap_a" + file + file), 1)),
              "port a: rx_queues = 1, and the device fills all of its 2");
    EXPECT_EQ(error_of(read_by(port("a", "net_null_a"), {0, 1})),
              "port a: there is no worker 1 for its queue: workers = 1, counted from 0");
    InlinePort unequal = read_by(port("a", "net_null_a"), {0, 0});
    unequal.spec.rx_queues = 0;
    EXPECT_EQ(error_of(unequal), "port a: workers for 2 queues of 0");
    EXPECT_EQ(error_of(with_queues(port("a", "net_null_a"), 257)),
              "port a: 257 receive queues are more than 256");
}

} // namespace
} // namespace xdplane
