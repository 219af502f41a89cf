// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "dataplane/inline.h"

#include <chrono>
#include <cstring>
#include <functional>
#include <gtest/gtest.h>
#include <numeric>
#include <rte_mbuf.h>
#include <rte_ring.h>
#include <thread>

#include "dataplane/eal.h"
#include "tests/e2e/packet_file.h"
#include "tests/support/eventually.h"

/// What the tests of the inline data plane share. Programs here are C++ functions behind an Entry: what is
/// tested is what happens around them. One binary includes it once.
namespace xdplane {
namespace {

using namespace std::chrono_literals;

struct Eal : testing::Environment {
    void SetUp() override {
        std::vector<std::string> notes;
        const auto started = start_eal({"--no-huge", "-m", "512"}, 2, notes);
        ASSERT_TRUE(started) << started.error().message;
    }
    void TearDown() override { stop_eal(); }
};
[[maybe_unused]] const auto* const kEal = testing::AddGlobalTestEnvironment(new Eal);

/// A chain of one program: a lambda without captures, from packet to verdict.
template<class Judge>
std::shared_ptr<const Chain> chain_of(Judge) {
    struct Native : Executable {};
    auto executable = std::make_unique<Native>();
    executable->entry.run = [](const Entry*, XdpBuff* packet, RunContext*) noexcept {
        return Judge{}(*packet);
    };
    executable->entry.run_burst = [](const Entry*, XdpBuff* packets, u32 count, RunContext*) noexcept {
        for (u32 i = 0; i < count; ++i) packets[i].verdict = Judge{}(packets[i]);
    };
    Program::Parts parts;
    parts.executable = std::move(executable);
    auto chain = Chain::make({Stage{"native", std::make_shared<Program>(std::move(parts)), StageKind::xdp}});
    return std::make_shared<Chain>(std::move(*chain));
}

[[maybe_unused]] InlinePort port(std::string name, std::string device, std::string peer = "",
                                 std::shared_ptr<const Chain> chain = nullptr, u32 ifindex = 0) {
    PortSpec spec{.name = std::move(name), .device = std::move(device), .ifindex = ifindex};
    return {.spec = std::move(spec), .peer = std::move(peer), .chain = std::move(chain)};
}

[[maybe_unused]] u32 number_of(const XdpBuff& packet) {
    return packet_number(Packet(packet.data, packet.data_end));
}

[[maybe_unused]] std::vector<Packet> numbered(u32 count, std::size_t size = 60, u32 from = 0) {
    std::vector<Packet> packets;
    for (u32 i = 0; i < count; ++i) packets.push_back(numbered_packet(from + i, size + i % 64));
    return packets;
}

[[maybe_unused]] u64 dropped(const PortReport& report) {
    return std::accumulate(report.drops.begin(), report.drops.end(), u64{0});
}
[[maybe_unused]] u64 dropped(const PortReport& report, Drop reason) {
    return report.drops[static_cast<u32>(reason)];
}

using Done = std::function<bool(const std::vector<PortReport>&)>;

/// Waits until `done`, at most a minute, then stops and checks what holds for every run.
std::vector<PortReport> finish(Inline& plane, const Done& done) {
    EXPECT_TRUE(eventually([&] { return done(plane.ports()); })) << "not done in time";
    EXPECT_EQ(plane.stop(), 0U) << "buffers missing";
    const std::vector<PortReport> reports = plane.ports();
    u64 forwarded = 0;
    u64 sent = 0;
    for (const PortReport& report : reports) {
        EXPECT_EQ(report.rx_packets + report.copies, report.forwarded + dropped(report)) << report.name;
        forwarded += report.forwarded;
        sent += report.tx_packets;
    }
    EXPECT_EQ(forwarded, sent);
    return reports;
}

std::vector<PortReport> run(Inline& plane, const Done& done) {
    const auto started = plane.start();
    EXPECT_TRUE(started) << started.error().message;
    return finish(plane, done);
}

std::vector<PortReport> run_until_received(Inline& plane, u64 packets) {
    return run(plane, [&](const auto& reports) {
        u64 received = 0;
        for (const PortReport& report : reports) received += report.rx_packets;
        return received >= packets;
    });
}

std::unique_ptr<Inline> open_ports(std::vector<InlinePort> ports, u32 workers = 1) {
    auto plane = Inline::open(std::move(ports), workers);
    EXPECT_TRUE(plane) << plane.error().message;
    return plane ? std::move(*plane) : nullptr;
}

/// A capture on port "in", whose peer "out" writes another.
struct Files {
    ScratchDirectory scratch;
    std::string in = "net_pcap_in,rx_pcap=" + scratch.file("in.pcap");
    std::string out = "net_pcap_out,tx_pcap=" + scratch.file("out.pcap");

    std::vector<PortReport> run(const std::vector<Packet>& packets, std::shared_ptr<const Chain> chain) {
        write_packets(scratch.file("in.pcap"), packets);
        auto plane = open_ports({port("in", in, "out", std::move(chain)), port("out", out)});
        return plane ? run_until_received(*plane, packets.size()) : std::vector<PortReport>(2);
    }
    [[nodiscard]] std::vector<Packet> written() const { return read_packets(scratch.file("out.pcap")); }
};

} // namespace
} // namespace xdplane
