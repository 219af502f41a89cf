// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// XDP_REDIRECT through a cpumap: packets change workers, run the entry's program there, and none is lost
// uncounted.
#include <algorithm>
#include <atomic>

#include "bpf/helpers/helper.h"
#include "bpf/maps/cpu_map.h"
#include "bpf/run/run_context.h"
#include "tests/e2e/inline_support.h"

namespace xdplane {
namespace {

std::shared_ptr<Map> g_cpus;
/// CPUs of the two workers that start_eal() made room for: the last ones that are ours.
std::array<u32, 2> g_cpu;

/// A cpumap for as long as it lives.
struct Cpus {
    Cpus() {
        g_cpus = *create_map({.type = BPF_MAP_TYPE_CPUMAP,
                              .key_size = 4,
                              .value_size = 8,
                              .max_entries = num_possible_cpus()});
        cpu_set_t set;
        CPU_ZERO(&set);
        EXPECT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
        for (u32 cpu = 0; cpu < num_possible_cpus(); ++cpu)
            if (CPU_ISSET(cpu, &set)) g_cpu = {g_cpu[1], cpu};
        two_ = CPU_COUNT(&set) > 1;
    }
    ~Cpus() { g_cpus.reset(); }
    Cpus(const Cpus&) = delete;
    Cpus& operator=(const Cpus&) = delete;
    [[nodiscard]] bool two() const { return two_; }
    static CpuMap& map() { return static_cast<CpuMap&>(*g_cpus); }
    static void set(u32 cpu, std::shared_ptr<const Program> program = nullptr) {
        auto target = std::make_unique<CpuTarget>();
        target->value.qsize = 64;
        target->entry = program ? &program->entry() : nullptr;
        target->program = std::move(program);
        map().set(cpu, std::move(target));
    }

private:
    bool two_ = false;
};

u32 to_cpu(XdpBuff& packet, u64 cpu) {
    t_run.packet = &packet;
    return static_cast<u32>(
        find_helper(BPF_FUNC_redirect_map)->fn(reinterpret_cast<u64>(g_cpus.get()), cpu, 0, 0, 0));
}

std::shared_ptr<const Program> native_program(u32 (*run)(const Entry*, XdpBuff*, RunContext*) noexcept) {
    struct Native : Executable {};
    auto executable = std::make_unique<Native>();
    executable->entry.run = run;
    Program::Parts parts;
    parts.executable = std::move(executable);
    return std::make_shared<Program>(std::move(parts));
}

/// What the programs of entries saw.
std::array<std::atomic<u32>, 2> g_seen;
std::atomic<u32> g_wrong;
std::atomic<u32> g_wait;

class TwoWorkers : public testing::Test {
protected:
    void SetUp() override {
        if (!cpus_.two()) GTEST_SKIP() << "this process has one CPU";
        for (auto& seen : g_seen) seen = 0;
        g_wrong = 0;
        g_wait = 0;
    }
    Cpus cpus_;
    ScratchDirectory scratch_;
};

TEST_F(TwoWorkers, PacketsGoOnWhereTheMapSays) {
    constexpr u32 kPackets = 4000;
    for (const u32 cpu : g_cpu)
        Cpus::set(cpu, native_program([](const Entry*, XdpBuff* packet, RunContext*) noexcept -> u32 {
                      const u32 number = number_of(*packet);
                      g_wrong += t_run.cpu != g_cpu[number % 2] || packet->ingress_ifindex != 11;
                      g_wrong += packet->data - packet->data_meta != 4 || packet->data_meta[0] != 0x5a;
                      ++g_seen[number % 2];
                      // Some are dropped, some sent elsewhere, some end in nothing.
                      if (number % 100 == 7) return kDrop;
                      if (number % 100 == 8) return kTx;
                      if (number % 100 != 9) return kPass;
                      packet->redirect_ifindex = 33;
                      packet->redirect_flags = 0;
                      return kRedirect;
                  }));
    write_packets(scratch_.file("in.pcap"), numbered(kPackets));
    const auto chain = chain_of([](XdpBuff& packet) -> u32 {
        packet.data_meta = packet.data - 4;
        packet.data_meta[0] = 0x5a;
        return to_cpu(packet, g_cpu[number_of(packet) % 2]);
    });
    auto plane =
        open_ports({port("in", "net_pcap_in,rx_pcap=" + scratch_.file("in.pcap"), "out", chain, 11),
                    port("idle", "net_ring_idle", "idle"),
                    port("out", "net_pcap_out,tx_pcap=" + scratch_.file("out.pcap"), "", nullptr, 22),
                    port("else", "net_pcap_else,tx_pcap=" + scratch_.file("else.pcap"), "", nullptr, 33)},
                   2);
    ASSERT_TRUE(plane);
    ASSERT_EQ(plane->workers(), 2U);
    const auto reports = run_until_received(*plane, kPackets);
    EXPECT_EQ(g_wrong, 0U);
    EXPECT_EQ(reports[0].handed + dropped(reports[0], Drop::cpu_full), kPackets);
    EXPECT_EQ(g_seen[0] + g_seen[1], reports[0].handed);
    ASSERT_EQ(dropped(reports[0], Drop::cpu_full), 0U) << "inboxes hold more than all of it";
    EXPECT_EQ(g_seen[0], kPackets / 2);
    const auto workers = plane->worker_reports();
    EXPECT_EQ(workers[0].packets + workers[1].packets, kPackets);
    for (const WorkerReport& worker : workers) EXPECT_EQ(worker.arrivals, kPackets / 2);
    EXPECT_EQ(dropped(reports[0], Drop::verdict), kPackets / 100);
    EXPECT_EQ(dropped(reports[0], Drop::aborted), kPackets / 100);
    EXPECT_EQ(reports[2].tx_packets, kPackets * 97 / 100);
    EXPECT_EQ(reports[3].tx_packets, kPackets / 100);
    // In order on each CPU.
    std::array<u32, 2> last{};
    for (const Packet& packet : read_packets(scratch_.file("out.pcap"))) {
        const u32 number = packet_number(packet);
        EXPECT_GE(number, last[number % 2]);
        last[number % 2] = number;
    }
}

TEST_F(TwoWorkers, AFullInboxIsADropWithItsName) {
    // Whoever takes a packet for the second CPU waits until some did not fit.
    g_wait = 1;
    Cpus::set(g_cpu[1], native_program([](const Entry*, XdpBuff*, RunContext*) noexcept -> u32 {
                  return eventually([] { return g_wait == 0; }) ? kPass : kAborted;
              }));
    const auto chain = chain_of([](XdpBuff& packet) -> u32 { return to_cpu(packet, g_cpu[1]); });
    auto plane =
        open_ports({port("in", "net_null_in", "in", chain), port("idle", "net_ring_idle", "idle")}, 2);
    ASSERT_TRUE(plane);
    ASSERT_TRUE(plane->start());
    EXPECT_TRUE(eventually([&] { return dropped(plane->ports()[0], Drop::cpu_full) > 0; }));
    g_wait = 0;
    const auto reports =
        finish(*plane, [](const auto& ports) { return dropped(ports[0], Drop::cpu_full) > 0; });
    EXPECT_GE(reports[0].handed, kInboxSize);
    EXPECT_GT(reports[0].forwarded, 0U);
}

TEST_F(TwoWorkers, UnderLoadNoBufferIsLost) {
    for (const u32 cpu : g_cpu) Cpus::set(cpu);
    constexpr auto kTurn = [](XdpBuff& packet) -> u32 { return to_cpu(packet, g_cpu[packet.index % 2]); };
    const auto chain = chain_of(kTurn);
    for (int round = 0; round < 5; ++round) {
        auto plane = open_ports({port("a", "net_null_a", "b", chain), port("b", "net_null_b", "a", chain),
                                 port("c", "net_null_c", "c", chain)},
                                2);
        ASSERT_TRUE(plane);
        const auto reports = run_until_received(*plane, 300'000);
        for (const PortReport& report : reports) EXPECT_GT(report.handed, 0U);
    }
}

TEST_F(TwoWorkers, EntriesAndMapsThatGoAwayTakeNobodyAlong) {
    for (const u32 cpu : g_cpu) Cpus::set(cpu);
    static std::atomic<u32> number{0};
    number = 0;
    constexpr auto kTurn = [](XdpBuff& packet) -> u32 { return to_cpu(packet, g_cpu[number++ % 2]); };
    auto plane = open_ports({port("a", "net_null_a", "b", chain_of(kTurn)), port("b", "net_null_b", "a")}, 2);
    ASSERT_TRUE(plane);
    ASSERT_TRUE(plane->start());
    const auto program =
        native_program([](const Entry*, XdpBuff*, RunContext*) noexcept -> u32 { return kPass; });
    u32 turn = 0;
    const auto reports = finish(*plane, [&](const auto& ports) {
        if (++turn % 2 == 0)
            Cpus::map().set(g_cpu[turn / 2 % 2], nullptr);
        else
            Cpus::set(g_cpu[turn / 2 % 2], turn % 4 == 1 ? program : nullptr);
        return ports[0].rx_packets > 200'000 && turn > 200;
    });
    EXPECT_GT(reports[0].handed, 0U);
}

TEST(InlineCpuMap, ACpuWithoutAWorkerIsADropWithItsName) {
    const Cpus cpus;
    for (const u32 cpu : g_cpu) Cpus::set(cpu);
    ScratchDirectory scratch;
    write_packets(scratch.file("in.pcap"), numbered(500));
    // One worker: its own CPU leads to itself, through the same door.
    const auto chain = chain_of(
        [](XdpBuff& packet) -> u32 { return to_cpu(packet, g_cpu[number_of(packet) % 5 == 0 ? 1 : 0]); });
    auto plane = open_ports({port("in", "net_pcap_in,rx_pcap=" + scratch.file("in.pcap"), "out", chain),
                             port("out", "net_pcap_out,tx_pcap=" + scratch.file("out.pcap"))});
    ASSERT_TRUE(plane);
    const auto reports = run_until_received(*plane, 500);
    EXPECT_EQ(dropped(reports[0], Drop::cpu_map), 100U);
    EXPECT_EQ(reports[0].forwarded, 400U);
}

} // namespace
} // namespace xdplane
