// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Replay with programs made of C++ functions: order, workers, loops, outputs and damage.
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>
#include <unistd.h>

#include "dataplane/flow_hash.h"
#include "pcap_replay/crc32c.h"
#include "pcap_replay/replay.h"
#include "tests/support/fake_program.h"
#include "tests/support/places.h"

namespace xdplane {
namespace {

namespace fs = std::filesystem;

const fs::path kCaptures = source_path("tests/captures");

struct Stored {
    std::vector<u8> bytes;
    u32 wire_len;
    u64 timestamp_ns;
    friend bool operator==(const Stored&, const Stored&) = default;
};

std::vector<Stored> read_all(const std::string& path) {
    std::vector<Stored> packets;
    auto reader = CaptureReader::open(path);
    EXPECT_TRUE(reader) << path;
    CapturedPacket packet;
    while (reader && (*reader)->next(packet))
        packets.push_back(
            {{packet.data, packet.data + packet.captured}, packet.wire_len, packet.timestamp_ns});
    return packets;
}

std::string text_of(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

/// Judges by the packet's bytes alone, so that the test can say beforehand what must happen.
u32 by_checksum(XdpBuff* packet, RunContext*) {
    return crc32c(packet->data, packet->length()) % 6; // 5 is no verdict
}

u32 grow_and_mark(XdpBuff* packet, RunContext*) {
    packet->data -= 4;
    packet->data_meta = packet->data;
    std::memcpy(packet->data, "mark", 4);
    return XDP_PASS;
}

class Replay : public testing::Test {
protected:
    Replay() { fs::create_directories(directory_); }
    ~Replay() override { fs::remove_all(directory_); }

    [[nodiscard]] std::string out(const char* name) const { return directory_ / name; }
    [[nodiscard]] ReplayOptions all_outputs() const {
        ReplayOptions options;
        options.passed = out("pass");
        options.dropped = out("drop");
        options.tx = out("tx");
        options.redirected = out("redirect");
        options.per_packet = out("lines");
        return options;
    }
    static Result<ReplaySummary> run(FakeBody body, const std::vector<std::string>& files,
                                     const ReplayOptions& options, bool writes = false) {
        auto chain = Chain::make({{"fake", fake_program(body, {}, writes)}});
        auto inputs = open_inputs(files);
        if (!inputs) return fail(inputs.error());
        return replay(*chain, *inputs, options);
    }
    fs::path directory_ = fs::path(testing::TempDir()) / fmt::format("replay_{}", ::getpid());
};

TEST_F(Replay, SplitsByVerdictInCaptureOrder) {
    const std::string demo = kCaptures / "demo.pcap";
    const std::vector<Stored> packets = read_all(demo);
    for (const bool writes : {false, true}) {
        for (u32 workers = 1; workers <= std::min(4U, num_possible_cpus()); ++workers) {
            SCOPED_TRACE(fmt::format("writes {}, workers {}", writes, workers));
            ReplayOptions options = all_outputs();
            options.workers = workers;
            const auto summary = run(by_checksum, {demo}, options, writes);
            ASSERT_TRUE(summary) << summary.error().message;
            std::array<std::vector<Stored>, kVerdicts> expected;
            std::string lines;
            u64 bytes = 0;
            for (std::size_t i = 0; i < packets.size(); ++i) {
                const auto& content = packets[i].bytes;
                const u32 crc = crc32c(content.data(), content.size());
                lines += fmt::format("{}\t{}\t{}\t{:08x}\n", i, crc % 6, content.size(), crc);
                expected[crc % 6 == 5 ? kAborted : crc % 6].push_back(packets[i]);
                bytes += content.size();
            }
            EXPECT_EQ(summary->packets, packets.size());
            EXPECT_EQ(summary->bytes, bytes);
            for (u32 v = 0; v < kVerdicts; ++v) EXPECT_EQ(summary->verdicts[v], expected[v].size());
            EXPECT_EQ(text_of(options.per_packet), lines);
            EXPECT_EQ(read_all(options.passed), expected[kPass]);
            EXPECT_EQ(read_all(options.tx), expected[kTx]);
            EXPECT_EQ(read_all(options.redirected), expected[kRedirect]);
            const std::vector<Stored> dropped = read_all(options.dropped);
            EXPECT_EQ(dropped.size(), expected[kDrop].size() + expected[kAborted].size());
            EXPECT_FALSE(summary->damage);
        }
    }
}

TEST_F(Replay, WritesWhatProgramsMakeOfPackets) {
    for (const char* name : {"snaplen-60.pcap", "jumbo.pcap", "empty-packet.pcap"}) {
        ReplayOptions options = all_outputs();
        ASSERT_TRUE(run(grow_and_mark, {kCaptures / name}, options, true));
        const auto before = read_all(kCaptures / name);
        const auto after = read_all(options.passed);
        ASSERT_EQ(before.size(), after.size());
        for (std::size_t i = 0; i < after.size(); ++i) {
            std::vector<u8> expected = {'m', 'a', 'r', 'k'};
            expected.insert(expected.end(), before[i].bytes.begin(), before[i].bytes.end());
            EXPECT_EQ(after[i].bytes, expected);
            EXPECT_EQ(after[i].wire_len, before[i].wire_len + 4);
            EXPECT_EQ(after[i].timestamp_ns, before[i].timestamp_ns);
        }
    }
}

/// What packet.h promises of every packet.
u32 check_layout(XdpBuff* packet, RunContext* context) {
    const bool good =
        packet->data == packet->hard_start + kHeadroom && packet->data_meta == packet->data &&
        packet->frame_end == std::max(packet->hard_start + kFrameSize - kFrameTail, packet->data_end) &&
        packet->rx_queue == 0 && packet->cb[0] == 0 && packet->redirect_ifindex == 0 &&
        context->clock == Clock::capture && context->random_by_packet && context->seed == 42;
    packet->cb[0] = 1;
    packet->redirect_ifindex = 9;
    return good ? XDP_PASS : XDP_ABORTED;
}

u32 headroom_is_clean(XdpBuff* packet, RunContext*) {
    const bool clean = std::all_of(packet->hard_start, packet->data, [](u8 byte) { return byte == 0; });
    std::memset(packet->hard_start, 0xaa, kHeadroom);
    return clean ? XDP_PASS : XDP_ABORTED;
}

TEST_F(Replay, LaysPacketsOutAsPromised) {
    ReplayOptions options;
    options.seed = 42;
    for (const bool writes : {false, true})
        for (const char* name : {"demo.pcap", "jumbo.pcap", "empty-packet.pcap"}) {
            const auto summary = run(check_layout, {kCaptures / name}, options, writes);
            ASSERT_TRUE(summary);
            EXPECT_EQ(summary->verdicts[kPass], summary->packets) << name;
        }
    EXPECT_EQ(run(headroom_is_clean, {kCaptures / "demo.pcap"}, options, true)->verdicts[kAborted], 0U);
}

/// What programs may read of each packet, but for the frame around it.
struct SeenFields {
    u64 data;
    u64 length;
    u64 wire_len;
    u64 ifindex;
    u64 timestamp_ns;
    u64 index;
    u64 protocol;
    u64 rest; ///< fields of socket buffers
    friend bool operator==(const SeenFields&, const SeenFields&) = default;
};
std::vector<SeenFields> g_seen;
u32 note_fields(XdpBuff* packet, RunContext*) {
    const u64 first = packet->length() == 0 ? 0 : packet->data[0];
    u64 rest = packet->rx_queue | packet->redirect_ifindex | packet->redirect_flags | packet->skb_ready |
               packet->mark | packet->priority | packet->hash | packet->vlan_tci | packet->vlan_proto |
               packet->vlan_present | packet->pkt_type;
    for (const u32 word : packet->cb) rest |= word;
    g_seen.push_back({first, packet->length(), packet->wire_len, packet->ingress_ifindex,
                      packet->timestamp_ns, packet->index, packet->protocol, rest});
    return 1;
}

// Programs that leave the fields alone are given only those that change from packet to packet.
TEST_F(Replay, FieldsAreTheSameHoweverTheyAreFilledIn) {
    std::vector<std::string> files;
    for (const char* name : {"demo.pcap", "empty-packet.pcap", "jumbo.pcap", "demo.pcap", "demo.pcap"})
        files.push_back(kCaptures / name);
    ContextUse reads = ContextUse::none();
    reads.read(offsetof(XdpBuff, protocol), sizeof(XdpBuff::protocol));
    std::vector<std::vector<SeenFields>> seen;
    for (const ContextUse& use : {ContextUse(), reads}) {
        g_seen.clear();
        auto chain = Chain::make({{"fake", fake_program(note_fields, {}, false, use), StageKind::filter}});
        auto inputs = open_inputs(files);
        ASSERT_TRUE(inputs) << inputs.error().message;
        ASSERT_TRUE(replay(*chain, *inputs, {}));
        seen.push_back(g_seen);
    }
    EXPECT_GT(seen[0].size(), 2 * kBurst);
    EXPECT_EQ(seen[0], seen[1]);
    EXPECT_TRUE(std::ranges::any_of(seen[0], [](const SeenFields& each) { return each.protocol != 0; }));
    EXPECT_TRUE(std::ranges::all_of(seen[0], [](const SeenFields& each) { return each.rest == 0; }));
}

TEST_F(Replay, LoopsWithStampsThatGoOn) {
    ReplayOptions options;
    options.passed = out("pass");
    options.loops = 3;
    const std::string name = kCaptures / "nanosecond.pcap";
    const auto summary = run([](XdpBuff*, RunContext*) -> u32 { return XDP_PASS; }, {name}, options);
    ASSERT_TRUE(summary) << summary.error().message;
    const auto once = read_all(name);
    const auto thrice = read_all(options.passed);
    ASSERT_EQ(thrice.size(), 3 * once.size());
    u64 first = ~u64{0};
    u64 last = 0;
    for (const Stored& packet : once) {
        first = std::min(first, packet.timestamp_ns);
        last = std::max(last, packet.timestamp_ns);
    }
    for (std::size_t i = 0; i < thrice.size(); ++i)
        EXPECT_EQ(thrice[i].timestamp_ns,
                  once[i % once.size()].timestamp_ns + i / once.size() * (last - first + 1000));
}

TEST_F(Replay, SeveralInputsFollowEachOther) {
    ReplayOptions options;
    options.per_packet = out("lines");
    const auto from_file = [](XdpBuff* packet, RunContext*) -> u32 { return packet->ingress_ifindex; };
    const auto summary =
        run(from_file,
            {kCaptures / "zero-packets.pcap", kCaptures / "ethernet.pcap", kCaptures / "several.pcapng"},
            options);
    ASSERT_TRUE(summary);
    EXPECT_EQ(summary->packets, 24U);
    EXPECT_EQ(summary->verdicts[2], 12U); // the second file's number is XDP_PASS, the third's XDP_TX
    EXPECT_EQ(summary->verdicts[3], 12U);
    EXPECT_TRUE(text_of(options.per_packet).starts_with("0\t2\t"));
}

TEST_F(Replay, DamageKeepsWholePacketsAndIsTold) {
    ReplayOptions options;
    options.passed = out("pass");
    const auto pass = [](XdpBuff*, RunContext*) -> u32 { return XDP_PASS; };
    const auto summary = run(pass, {kCaptures / "malformed/cut-record-data.pcap"}, options);
    ASSERT_TRUE(summary);
    ASSERT_TRUE(summary->damage);
    EXPECT_NE(summary->damage->message.find("cut-record-data.pcap: packet 3: the record is cut"),
              std::string::npos)
        << summary->damage->message;
    EXPECT_EQ(read_all(options.passed).size(), 3U);

    const auto mixed = run(pass, {kCaptures / "mixed-links.pcapng"}, options);
    ASSERT_TRUE(mixed);
    ASSERT_TRUE(mixed->damage);
    EXPECT_NE(mixed->damage->message.find("packet 1: link type RAW (101): XDP programs judge Ethernet"),
              std::string::npos)
        << mixed->damage->message;
    EXPECT_EQ(mixed->packets, 1U);
}

TEST_F(Replay, Refusals) {
    const auto pass = [](XdpBuff*, RunContext*) -> u32 { return XDP_PASS; };
    const auto other_link = run(pass, {kCaptures / "sll2.pcap"}, {});
    ASSERT_FALSE(other_link);
    EXPECT_NE(other_link.error().message.find("link type LINUX_SLL2 (276)"), std::string::npos)
        << other_link.error().message;
    ReplayOptions options;
    options.workers = num_possible_cpus() + 1;
    EXPECT_FALSE(run(pass, {kCaptures / "demo.pcap"}, options));
    EXPECT_FALSE(run(pass, {kCaptures / "demo.pcap", "/does/not/exist"}, {}));
}

TEST_F(Replay, AnOutputThatFailsLeavesNoOutput) {
    ReplayOptions options = all_outputs();
    options.tx = "/dev/full";
    const auto summary = run(by_checksum, {kCaptures / "demo.pcap"}, options);
    ASSERT_FALSE(summary);
    EXPECT_EQ(summary.error().message, "/dev/full: No space left on device");
    EXPECT_TRUE(fs::is_empty(directory_));
}

TEST_F(Replay, StopsWhenAskedAndKeepsWhatIsDone) {
    static std::atomic<bool> stop;
    stop = false;
    ReplayOptions options;
    options.stop = &stop;
    options.passed = out("pass");
    options.loops = 1'000'000;
    const auto until = [](XdpBuff* packet, RunContext*) -> u32 {
        if (packet->index == 5000) stop = true;
        return XDP_PASS;
    };
    const auto summary = run(until, {kCaptures / "demo.pcap"}, options);
    ASSERT_TRUE(summary);
    EXPECT_TRUE(summary->interrupted);
    EXPECT_GT(summary->packets, 5000U);
    EXPECT_LT(summary->packets, 10000U);
    EXPECT_EQ(read_all(options.passed).size(), summary->packets);
}

TEST(FlowHash, BothDirectionsAreOne) {
    auto reader = CaptureReader::open(kCaptures / "demo.pcap");
    ASSERT_TRUE(reader);
    CapturedPacket packet;
    std::map<u64, u64> flows;
    while ((*reader)->next(packet)) {
        std::vector<u8> frame(packet.data, packet.data + packet.captured);
        const u64 hash = flow_hash(frame.data(), packet.captured);
        ++flows[hash];
        if (packet.captured < 34 || frame[12] != 8 || frame[13] != 0) continue;
        std::swap_ranges(frame.begin() + 26, frame.begin() + 30, frame.begin() + 30);
        EXPECT_EQ(flow_hash(frame.data(), packet.captured), hash);
        // Ports make no difference.
        std::fill(frame.begin() + 34, frame.end(), u8{0x55});
        EXPECT_EQ(flow_hash(frame.data(), packet.captured), hash);
    }
    EXPECT_GT(flows.size(), 20U); // the flood alone has 16 sources
    for (u32 size = 0; size < 60; ++size) {
        const std::vector<u8> frame(size, 0x81);
        (void)flow_hash(frame.data(), size); // no byte behind the frame is read (the address sanitizer looks)
    }
}

} // namespace
} // namespace xdplane
