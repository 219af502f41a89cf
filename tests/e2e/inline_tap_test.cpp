// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// Captures of live packets: exactly those that were asked for, as they were at that point.
#include <algorithm>
#include <rte_ethdev.h>
#include <set>

#include "tests/e2e/inline_support.h"

namespace xdplane {
namespace {

constexpr u32 kMark = 50;

/// The verdict is what a packet's number leaves over from 5, and every packet leaves with a mark.
constexpr auto kByNumber = [](XdpBuff& packet) -> u32 {
    packet.data[kMark] = 0xee;
    const u32 verdict = number_of(packet) % 5;
    if (verdict == kRedirect) packet.redirect_ifindex = 77;
    return verdict;
};

/// A socket filter for packets with an even number, and no mark.
constexpr auto kEvenAndUnmarked = [](XdpBuff& packet) -> u32 {
    return number_of(packet) % 2 == 0 && packet.data[kMark] != 0xee;
};

template<class Judge>
std::shared_ptr<const Program> program_of(Judge judge) {
    return chain_of(judge)->stages()[0].program;
}

struct Captured {
    TapRecord record;
    Packet bytes;
    [[nodiscard]] u32 number() const { return packet_number(bytes); }
};

/// What a client does, in this process.
class Client {
public:
    Client(Inline& plane, TapSpec spec) {
        auto tap = plane.tap(std::move(spec));
        EXPECT_TRUE(tap) << tap.error().message;
        tap_ = std::move(*tap);
        auto memory = TapMemory::open(UniqueFd(::dup(tap_->memory().fd())));
        EXPECT_TRUE(memory) << memory.error().message;
        reader_ = std::make_unique<TapReader>(std::move(*memory));
    }
    std::vector<Captured> read() {
        std::vector<Captured> all;
        const auto read = reader_->read(~u64{0}, [&](const TapRecord& record, const u8* bytes) {
            all.push_back({record, Packet(bytes, bytes + record.captured)});
        });
        EXPECT_TRUE(read) << read.error().message;
        return all;
    }
    [[nodiscard]] const TapReader& reader() const { return *reader_; }
    void end() { tap_.reset(); }

private:
    std::shared_ptr<const Tap> tap_;
    std::unique_ptr<TapReader> reader_;
};

/// 200 packets through kByNumber, with captures that were there before the first.
struct Judged {
    ScratchDirectory scratch;
    std::vector<Packet> packets = numbered(200);
    std::unique_ptr<Inline> plane;

    Judged() {
        write_packets(scratch.file("in.pcap"), packets);
        plane =
            open_ports({port("in", "net_pcap_in,rx_pcap=" + scratch.file("in.pcap"), "", chain_of(kByNumber)),
                        port("out", "net_ring_out")});
    }
    void go() {
        run(*plane, [&](const auto& reports) { return reports[0].rx_packets == packets.size(); });
    }
};

std::set<u32> numbers(const std::vector<Captured>& captured) {
    std::set<u32> all;
    for (const Captured& one : captured) EXPECT_TRUE(all.insert(one.number()).second) << "twice";
    return all;
}
std::set<u32> expected(const std::function<bool(u32)>& wanted) {
    std::set<u32> all;
    for (u32 i = 0; i < 200; ++i)
        if (wanted(i)) all.insert(i);
    return all;
}

TEST(InlineTap, EveryVerdictApart) {
    for (u32 verdict = 0; verdict < kVerdicts; ++verdict) {
        Judged judged;
        Client client(*judged.plane, {.verdicts = 1U << verdict});
        judged.go();
        const auto captured = client.read();
        EXPECT_EQ(numbers(captured), expected([&](u32 i) { return i % 5 == verdict; }));
        for (const Captured& one : captured) {
            EXPECT_EQ(one.record.verdict, verdict);
            EXPECT_EQ(one.bytes, judged.packets[one.number()]) << "as it came in";
        }
        EXPECT_EQ(client.reader().lost(), 0U);
        client.end();
    }
}

TEST(InlineTap, BeforeAndAfterAtOnce) {
    Judged judged;
    Client before(*judged.plane, {.at = TapPoint::before});
    Client after(*judged.plane, {.verdicts = 1U << kPass | 1U << kDrop, .at = TapPoint::after});
    judged.go();
    const auto captured = before.read();
    EXPECT_EQ(numbers(captured), expected([](u32) { return true; }));
    for (u32 i = 0; i < captured.size(); ++i) EXPECT_EQ(captured[i].bytes, judged.packets[i]);
    const auto left = after.read();
    EXPECT_EQ(numbers(left), expected([](u32 i) { return i % 5 == kPass || i % 5 == kDrop; }));
    for (const Captured& one : left) {
        Packet marked = judged.packets[one.number()];
        marked[kMark] = 0xee;
        EXPECT_EQ(one.bytes, marked);
    }
    before.end();
    after.end();
}

TEST(InlineTap, TheFilterSeesWhatIsCopied) {
    Judged judged;
    Client before(*judged.plane, {.filter = program_of(kEvenAndUnmarked)});
    Client after(*judged.plane, {.at = TapPoint::after, .filter = program_of(kEvenAndUnmarked)});
    Client both(*judged.plane, {.verdicts = 1U << kDrop, .filter = program_of(kEvenAndUnmarked)});
    judged.go();
    // One packet has that byte by itself.
    EXPECT_EQ(numbers(before.read()), expected([](u32 i) { return i % 2 == 0 && i + kMark != 0xee; }));
    EXPECT_EQ(numbers(after.read()), std::set<u32>{}) << "all of them are marked by then";
    EXPECT_EQ(numbers(both.read()), expected([](u32 i) { return i % 10 == 6; }));
    before.end();
    after.end();
    both.end();
}

TEST(InlineTap, ReasonsOfDrops) {
    const auto reason = [](Drop drop) { return 1U << static_cast<u32>(drop); };
    const std::vector<std::pair<u32, u32>> cases{{reason(Drop::verdict), kDrop},
                                                 {reason(Drop::aborted), kAborted},
                                                 {reason(Drop::no_peer), kPass},
                                                 {reason(Drop::no_such_port), kRedirect}};
    for (const auto& [reasons, verdict] : cases) {
        Judged judged;
        Client client(*judged.plane, {.reasons = reasons});
        Client none(*judged.plane, {.verdicts = 1U << kTx, .reasons = reasons});
        judged.go();
        const auto captured = client.read();
        EXPECT_EQ(numbers(captured), expected([&](u32 i) { return i % 5 == verdict; })) << verdict;
        for (const Captured& one : captured) EXPECT_EQ(one.record.verdict, verdict);
        EXPECT_EQ(none.read().size(), 0U);
        client.end();
        none.end();
    }
}

TEST(InlineTap, PacketsForWhichThereIsNoRoom) {
    ScratchDirectory scratch;
    write_packets(scratch.file("in.pcap"), numbered(5000));
    auto plane = open_ports(
        {port("in", "net_pcap_in,rx_pcap=" + scratch.file("in.pcap"), "out"), port("out", "net_ring_full")});
    ASSERT_TRUE(plane);
    rte_ring* ring = rte_ring_lookup("ETH_RXTX0_net_ring_full");
    rte_mempool* pool = rte_pktmbuf_pool_create("filler", 2047, 0, 0, 256, SOCKET_ID_ANY);
    while (rte_ring_free_count(ring) > 0) ASSERT_EQ(rte_ring_enqueue(ring, rte_pktmbuf_alloc(pool)), 0);
    Client full(*plane, {.ports = {"in"}, .reasons = 1U << static_cast<u32>(Drop::tx_full)});
    Client all(*plane, {.ports = {"in"}, .verdicts = 1U << kPass, .at = TapPoint::after});
    const auto reports = run(*plane, [](const auto& ports) { return ports[0].rx_packets == 5000; });
    const auto captured = full.read();
    EXPECT_GT(captured.size(), 0U);
    EXPECT_EQ(captured.size(), dropped(reports[0], Drop::tx_full));
    EXPECT_EQ(numbers(captured).size(), captured.size());
    EXPECT_EQ(all.read().size(), 5000U);
    full.end();
    all.end();
    plane.reset();
    rte_mempool_free(pool);
}

TEST(InlineTap, PacketsThatNoChainSees) {
    ScratchDirectory scratch;
    const std::vector<Packet> packets{numbered_packet(0, 1000), numbered_packet(1, 20000),
                                      numbered_packet(2, 65535)};
    write_packets(scratch.file("in.pcap"), packets);
    InlinePort in = port("in", "net_pcap_in,rx_pcap=" + scratch.file("in.pcap"), "", chain_of(kByNumber));
    in.spec.mtu = 9000;
    auto plane = open_ports({std::move(in), port("out", "net_ring_out")});
    ASSERT_TRUE(plane);
    Client before(*plane, {.reasons = 1U << static_cast<u32>(Drop::segments)});
    Client after(*plane, {.at = TapPoint::after, .filter = program_of([](XdpBuff& packet) -> u32 {
                                                     return packet.length() > 20000;
                                                 })});
    Client judged(*plane, {.verdicts = 0x1f});
    run(*plane, [](const auto& ports) { return ports[0].rx_packets == 3; });
    const auto captured = before.read();
    ASSERT_EQ(captured.size(), 2U);
    for (u32 i = 0; i < 2; ++i) {
        EXPECT_EQ(captured[i].bytes, packets[i + 1]);
        EXPECT_EQ(captured[i].record.wire_len, packets[i + 1].size());
        EXPECT_EQ(captured[i].record.verdict, TapRecord::kNone);
    }
    EXPECT_EQ(numbers(after.read()), std::set<u32>{2});
    EXPECT_EQ(numbers(judged.read()), std::set<u32>{0});
    before.end();
    after.end();
    judged.end();
}

TEST(InlineTap, SnapshotsAndLengths) {
    Judged judged;
    Client client(*judged.plane, {.snaplen = 46});
    judged.go();
    const auto captured = client.read();
    EXPECT_EQ(numbers(captured), expected([](u32) { return true; }));
    u64 last = 0;
    for (const Captured& one : captured) {
        EXPECT_EQ(one.bytes.size(), 46U);
        EXPECT_EQ(one.record.wire_len, judged.packets[one.number()].size());
        EXPECT_GE(one.record.timestamp_ns, last);
        last = one.record.timestamp_ns;
    }
    client.end();
}

TEST(InlineTap, OnlyThePortsThatWereAskedFor) {
    ScratchDirectory scratch;
    write_packets(scratch.file("a.pcap"), numbered(100));
    write_packets(scratch.file("b.pcap"), numbered(100, 60, 100));
    auto plane = open_ports({port("a", "net_pcap_a,rx_pcap=" + scratch.file("a.pcap")),
                             port("b", "net_pcap_b,rx_pcap=" + scratch.file("b.pcap"))});
    ASSERT_TRUE(plane);
    Client one(*plane, {.ports = {"b"}});
    Client two(*plane, {.ports = {"b", "a"}});
    run_until_received(*plane, 200);
    EXPECT_EQ(numbers(one.read()), expected([](u32 i) { return i >= 100; }));
    EXPECT_EQ(numbers(two.read()), expected([](u32) { return true; }));
    one.end();
    two.end();
}

TEST(InlineTap, LimitsAndUnknownPorts) {
    Judged judged;
    const auto refused = judged.plane->tap({.ports = {"in", "nope"}});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().message, "there is no port 'nope' (there are: in, out)");
    std::vector<Client> clients;
    for (u32 i = 0; i < kMaxTaps; ++i) clients.emplace_back(*judged.plane, TapSpec{.ports = {"in"}});
    EXPECT_EQ(judged.plane->tap({}).error().message, "there are 4 captures already");
    clients.pop_back();
    clients.emplace_back(*judged.plane, TapSpec{.ports = {"in"}, .verdicts = 1U << kDrop});
    judged.go();
    EXPECT_EQ(clients.back().read().size(), 40U);
    EXPECT_EQ(clients.front().read().size(), 200U);
    EXPECT_EQ(judged.plane->taps(), kMaxTaps);
    clients.clear();
    EXPECT_EQ(judged.plane->taps(), 0U);
}

TEST(InlineTap, AClientThatDoesNotReadLosesAndHoldsUpNobody) {
    auto plane = open_ports({port("a", "net_null_a,size=1500", "a")});
    ASSERT_TRUE(plane);
    Client client(*plane, {});
    ASSERT_TRUE(plane->start());
    finish(*plane, [&](const auto&) { return client.reader().lost() > 100'000; });
    const u64 read = client.read().size();
    EXPECT_GT(read, 0U);
    EXPECT_EQ(client.reader().matched(), read + client.reader().lost());
    client.end();
}

TEST(InlineTap, CapturesComeAndGoWhilePacketsRun) {
    auto plane = open_ports({port("a", "net_null_a", "b", chain_of([](XdpBuff& packet) -> u32 {
                                      return packet.index % 2 == 0 ? kPass : kDrop;
                                  })),
                             port("b", "net_null_b", "a")},
                            2);
    ASSERT_TRUE(plane);
    ASSERT_TRUE(plane->start());
    for (int i = 0; i < 30; ++i) {
        Client client(*plane, {.ports = {"a"}, .verdicts = 1U << kDrop});
        EXPECT_TRUE(eventually([&] { return !client.read().empty(); }));
        client.end();
    }
    EXPECT_EQ(plane->stop(), 0U);
}

} // namespace
} // namespace xdplane
