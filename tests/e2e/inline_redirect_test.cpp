// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// Redirects by map on the inline data plane.
#include <algorithm>

#include "bpf/helpers/helper.h"
#include "bpf/maps/cpu_map.h"
#include "bpf/maps/dev_map.h"
#include "bpf/run/run_context.h"
#include "tests/e2e/inline_support.h"

namespace xdplane {
namespace {

/// Three ports, what comes in on the first, and maps that a chain redirects with: DEVMAP_HASH and CPUMAP.
struct RedirectPorts {
    ScratchDirectory scratch;
    static inline std::shared_ptr<Map> devices;
    static inline std::shared_ptr<Map> cpus;

    RedirectPorts() {
        devices =
            *create_map({.type = BPF_MAP_TYPE_DEVMAP_HASH, .key_size = 4, .value_size = 8, .max_entries = 8});
        cpus = *create_map({.type = BPF_MAP_TYPE_CPUMAP, .key_size = 4, .value_size = 4, .max_entries = 2});
    }
    ~RedirectPorts() {
        devices.reset();
        cpus.reset();
    }
    void add(u32 key, u32 ifindex, std::shared_ptr<const Program> program = nullptr) const {
        auto target = std::make_unique<DevTarget>(key, ifindex);
        target->entry = program ? &program->entry() : nullptr;
        target->program = std::move(program);
        EXPECT_EQ(static_cast<DevMap&>(*devices).set(key, std::move(target), BPF_ANY), 0);
    }
    static u32 redirect(Map& map, u64 key, u64 flags) {
        return static_cast<u32>(
            find_helper(BPF_FUNC_redirect_map)->fn(reinterpret_cast<u64>(&map), key, flags, 0, 0));
    }
    std::vector<PortReport> run(const std::vector<Packet>& packets,
                                const std::shared_ptr<const Chain>& chain) {
        write_packets(scratch.file("in.pcap"), packets);
        auto plane = open_ports(
            {port("a", "net_pcap_a,rx_pcap=" + scratch.file("in.pcap") + ",tx_pcap=" + scratch.file("1.pcap"),
                  "", chain, 1),
             port("b", "net_pcap_b,tx_pcap=" + scratch.file("2.pcap"), "", nullptr, 2),
             port("c", "net_pcap_c,tx_pcap=" + scratch.file("3.pcap"), "", nullptr, 3)});
        return plane ? run_until_received(*plane, packets.size()) : std::vector<PortReport>(3);
    }
    [[nodiscard]] std::vector<Packet> written(u32 ifindex) const {
        return read_packets(scratch.file(std::to_string(ifindex) + ".pcap"));
    }
};

/// A program that a devmap's entry may have.
std::shared_ptr<const Program> native_program(u32 (*run)(const Entry*, XdpBuff*, RunContext*) noexcept) {
    struct Native : Executable {};
    auto executable = std::make_unique<Native>();
    executable->entry.run = run;
    Program::Parts parts;
    parts.executable = std::move(executable);
    return std::make_shared<Program>(std::move(parts));
}

TEST(InlineRedirect, MapsLeadToPortsThroughTheirPrograms) {
    RedirectPorts ports;
    ports.add(10, 2);
    ports.add(11, 3, native_program([](const Entry*, XdpBuff* packet, RunContext*) noexcept -> u32 {
                  packet->data -= 2;
                  packet->data_meta = packet->data;
                  packet->data[0] = packet->data[1] = 0xee;
                  const u32 number = packet_number(Packet(packet->data + 2, packet->data_end));
                  return number / 10 % 3 == 0 ? kPass : number / 10 % 3 == 1 ? kDrop : kTx;
              }));
    ports.add(12, 4711);
    // By number: a port, an entry with a program, an unknown port, a miss, a CPU without a worker.
    const auto reports =
        ports.run(numbered(600), chain_of([](XdpBuff& packet) -> u32 {
                      t_run.packet = &packet;
                      const u32 number = number_of(packet);
                      if (number % 10 == 4) {
                          const u32 other = t_run.cpu == 0 ? 1 : 0;
                          auto target = std::make_unique<CpuTarget>();
                          static_cast<CpuMap&>(*RedirectPorts::cpus).set(other, std::move(target));
                          return RedirectPorts::redirect(*RedirectPorts::cpus, other, 0);
                      }
                      return RedirectPorts::redirect(*RedirectPorts::devices, 10 + number % 10, kDrop);
                  }));
    EXPECT_EQ(reports[1].tx_packets, 60U);
    EXPECT_EQ(reports[2].tx_packets, 20U);
    EXPECT_EQ(dropped(reports[0], Drop::no_such_port), 60U);
    EXPECT_EQ(dropped(reports[0], Drop::cpu_map), 60U);
    EXPECT_EQ(dropped(reports[0], Drop::verdict), 600U - 4 * 60 + 20) << "misses, and the program's drops";
    EXPECT_EQ(dropped(reports[0], Drop::aborted), 20U) << "a program there can only pass or drop";
    for (const Packet& packet : ports.written(2)) EXPECT_EQ(packet_number(packet) % 10, 0U);
    const auto grown = ports.written(3);
    ASSERT_EQ(grown.size(), 20U);
    EXPECT_EQ(grown[0][0], 0xee);
}

TEST(InlineRedirect, BroadcastsGoToEveryPort) {
    RedirectPorts ports;
    ports.add(1, 1);
    ports.add(2, 2);
    ports.add(3, 3);
    ports.add(4, 3); // twice: more than a burst for one port
    ports.add(5, 4711);
    const auto packets = numbered(300);
    const auto reports =
        ports.run(packets, chain_of([](XdpBuff& packet) -> u32 {
                      t_run.packet = &packet;
                      return RedirectPorts::redirect(*RedirectPorts::devices, 0,
                                                     BPF_F_BROADCAST | BPF_F_EXCLUDE_INGRESS);
                  }));
    EXPECT_EQ(reports[0].copies, 900U);
    EXPECT_EQ(reports[0].forwarded, 900U);
    EXPECT_EQ(reports[0].tx_packets, 0U) << "not back to where they came from";
    EXPECT_EQ(dropped(reports[0], Drop::no_such_port), 300U);
    EXPECT_EQ(ports.written(2), packets);
    EXPECT_EQ(ports.written(3).size(), 600U);
}

TEST(InlineRedirect, CopiesAreApart) {
    RedirectPorts ports;
    const auto mark = native_program([](const Entry*, XdpBuff* packet, RunContext*) noexcept -> u32 {
        packet->data -= 200; // into the private headroom
        packet->data_meta = packet->data;
        std::memset(packet->data, 0x77, 200);
        return kPass;
    });
    ports.add(1, 1);
    ports.add(2, 2, mark);
    ports.add(3, 3);
    const auto packets = numbered(100);
    const auto reports =
        ports.run(packets, chain_of([](XdpBuff& packet) -> u32 {
                      t_run.packet = &packet;
                      return RedirectPorts::redirect(*RedirectPorts::devices, 0, BPF_F_BROADCAST);
                  }));
    EXPECT_EQ(reports[0].copies, 200U);
    EXPECT_EQ(ports.written(1), packets);
    EXPECT_EQ(ports.written(3), packets);
    const auto marked = ports.written(2);
    ASSERT_EQ(marked.size(), packets.size());
    for (u32 i = 0; i < marked.size(); ++i) {
        Packet expected(200 + packets[i].size(), 0x77);
        std::ranges::copy(packets[i], expected.begin() + 200);
        EXPECT_EQ(marked[i], expected);
    }
}

} // namespace
} // namespace xdplane
