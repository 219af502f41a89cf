// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// `xdplane ctl capture` against `xdplane run`: what is in the file, how a capture ends, and what is refused.
#include <csignal>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <set>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

#include <fmt/format.h>

#include "tests/e2e/packet_file.h"
#include "tests/e2e/process.h"
#include "tests/support/eventually.h"
#include "tests/support/places.h"

namespace xdplane {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;
using Strings = std::vector<std::string>;

const std::string kProgram = build_path("xdplane");
const std::string kTestPrograms = build_path("tests/e2e/programs/");
constexpr u32 kPackets = 50;
constexpr u32 kMark = 50;

/// Numbered packets go round for ever; their verdict is number % 5, and all leave with a mark.
class Capture : public testing::Test {
protected:
    void SetUp() override {
        for (u32 i = 0; i < kPackets; ++i) packets_.push_back(numbered_packet(i, 64 + i));
        write_packets(scratch_.file("in.pcap"), packets_);
        std::ofstream(scratch_.file("run.toml")) << fmt::format(
            "[control]\nsocket = \"{}\"\n"
            "[[port]]\nname = \"a\"\ndevice = \"net_pcap0,rx_pcap={},infinite_rx=1\"\nchain = \"c\"\n"
            "[[port]]\nname = \"b\"\ndevice = \"net_ring1\"\n"
            "[[chain]]\nname = \"c\"\n[[chain.stage]]\nobject = \"{}by_number.bpf.o\"\n",
            path_, scratch_.file("in.pcap"), kTestPrograms);
        run_ = std::make_unique<Process>(
            Strings{kProgram, "run", "--config", scratch_.file("run.toml"), "--json", "--", "--no-huge"});
        ASSERT_TRUE(run_->says("running, 2 ports", 60s)) << run_->said();
    }
    void TearDown() override {
        // A second signal might find the process past its handler.
        if (!stopped_) run_->signal(SIGTERM);
        const Finished done = run_->wait(60s);
        EXPECT_EQ(done.status, 0) << done.err;
        const json report = json::parse(done.out, nullptr, false);
        ASSERT_TRUE(report.is_object()) << done.out;
        EXPECT_EQ(report["buffers_missing"], 0);
    }
    [[nodiscard]] Strings command(Strings words) const {
        words.insert(words.begin(), {kProgram, "ctl", "--control", path_, "capture"});
        return words;
    }
    [[nodiscard]] Finished capture(const Strings& words) const { return run_process(command(words), 120s); }
    [[nodiscard]] json status() const {
        return json::parse(run_process({kProgram, "ctl", "--control", path_, "--json", "status"}, 60s).out,
                           nullptr, false);
    }
    [[nodiscard]] bool captures_become(u32 count) const {
        return eventually([&] { return status()["captures"] == count; });
    }
    /// Captures 300 packets. They must be the expected ones, each as often as any other.
    void expect(Strings words, const std::function<bool(u32)>& wanted, bool marked = false) {
        const std::string file = scratch_.file("out.pcap");
        words.insert(words.end(), {"--count", "300", "-w", file, "--json"});
        const Finished done = capture(words);
        ASSERT_EQ(done.status, 0) << done.err;
        EXPECT_EQ(json::parse(done.out)["captured"], 300);
        std::vector<u32> expected;
        for (u32 i = 0; i < kPackets; ++i)
            if (wanted(i)) expected.push_back(i);
        const auto captured = read_packets(file);
        ASSERT_EQ(captured.size(), 300U);
        std::map<u32, u32> times;
        for (const Packet& packet : captured) {
            const u32 number = packet_number(packet);
            ASSERT_LT(number, kPackets);
            Packet original = packets_[number];
            if (marked) original[kMark] = 0xee;
            ASSERT_EQ(packet, original);
            ++times[number];
        }
        ASSERT_EQ(times.size(), expected.size());
        for (const u32 number : expected) EXPECT_GT(times[number], 0U) << number;
    }

    ScratchDirectory scratch_;
    std::string path_ = scratch_.file("control.sock");
    std::vector<Packet> packets_;
    std::unique_ptr<Process> run_;
    bool stopped_ = false;
};

TEST_F(Capture, EveryVerdict) {
    const Strings verdicts{"aborted", "drop", "pass", "tx", "redirect"};
    for (u32 verdict = 0; verdict < 5; ++verdict)
        expect({"--verdict", verdicts[verdict]}, [&](u32 i) { return i % 5 == verdict; });
    expect({"--verdict", "pass", "drop", "--port", "a"}, [](u32 i) { return i % 5 == 1 || i % 5 == 2; });
    expect({}, [](u32) { return true; });
}

TEST_F(Capture, EveryReason) {
    expect({"--reason", "drop"}, [](u32 i) { return i % 5 == 1; });
    expect({"--reason", "no_peer"}, [](u32 i) { return i % 5 == 2; });
    expect({"--reason", "no_such_port", "aborted"}, [](u32 i) { return i % 5 == 4 || i % 5 == 0; });
}

TEST_F(Capture, BeforeAndAfter) {
    expect({"--at", "before"}, [](u32) { return true; });
    expect({"--at", "after"}, [](u32) { return true; }, true);
    expect({"--at", "after", "--verdict", "tx"}, [](u32 i) { return i % 5 == 3; }, true);
}

TEST_F(Capture, FiltersAreTcpdumps) {
    expect({"--filter", "udp and greater 100"}, [](u32 i) { return 64 + i >= 100; });
    expect({"--filter", "ether[42] < 20", "--verdict", "drop"}, [](u32 i) { return i < 20 && i % 5 == 1; });
    expect(
        {"--filter", "ether[50] = 0xee and less 80", "--at", "after"}, [](u32 i) { return 64 + i <= 80; },
        true);
    const Finished none =
        capture({"--filter", "tcp", "--duration", "0.1", "-w", scratch_.file("none.pcap"), "--json"});
    EXPECT_EQ(none.status, 0) << none.err;
    EXPECT_EQ(json::parse(none.out), json::parse(R"({"captured": 0, "bytes": 0, "lost": 0})"));
    EXPECT_EQ(read_packets(scratch_.file("none.pcap")).size(), 0U);
}

TEST_F(Capture, SnapshotsAndStandardOutput) {
    const Finished done = capture({"--snaplen", "46", "-c", "10", "-w", "-"});
    EXPECT_EQ(done.status, 0);
    EXPECT_EQ(done.out.size(), 24U + 10 * (16 + 46));
    EXPECT_EQ(done.out.substr(0, 4), "\x4d\x3c\xb2\xa1") << "nanoseconds";
    EXPECT_TRUE(done.err.contains("10 packets captured, 460 bytes; 0 lost\n") ||
                done.err.contains("10 packets captured, 460 bytes; "))
        << done.err;
    std::ofstream(scratch_.file("out.pcap")) << done.out;
    for (const Packet& packet : read_packets(scratch_.file("out.pcap"))) {
        Packet original = packets_[packet_number(packet)];
        original.resize(46);
        EXPECT_EQ(packet, original);
    }
}

TEST_F(Capture, ASignalEndsItWithAWholeFile) {
    const std::string file = scratch_.file("out.pcap");
    for (const int signal : {SIGINT, SIGTERM}) {
        Process client(command({"-w", file, "--verdict", "drop"}));
        ASSERT_TRUE(client.says("capturing from", 60s)) << client.said();
        EXPECT_TRUE(captures_become(1));
        client.signal(signal);
        const Finished done = client.wait(60s);
        EXPECT_EQ(done.status, 0) << done.err;
        EXPECT_NE(done.err.find(" captured, "), std::string::npos) << done.err;
        for (const Packet& packet : read_packets(file)) EXPECT_EQ(packet_number(packet) % 5, 1U);
        EXPECT_TRUE(captures_become(0));
    }
}

TEST_F(Capture, OfAClientThatIsKilledNothingIsLeft) {
    for (int round = 0; round < 3; ++round) {
        Process client(command({"-w", scratch_.file("out.pcap")}));
        ASSERT_TRUE(client.says("capturing from", 60s)) << client.said();
        EXPECT_TRUE(captures_become(1));
        client.signal(SIGKILL);
        EXPECT_EQ(client.wait(60s).status, 128 + SIGKILL);
        EXPECT_TRUE(captures_become(0));
    }
}

TEST_F(Capture, AClientThatStandsStillHoldsUpNobody) {
    Process client(command({"-w", scratch_.file("out.pcap")}));
    ASSERT_TRUE(client.says("capturing from", 60s));
    client.signal(SIGSTOP);
    const u64 before = status()["packets"].get<u64>();
    // Far more than a ring of 4 MiB holds.
    EXPECT_TRUE(eventually([&] { return status()["packets"].get<u64>() >= before + 200'000; }));
    client.signal(SIGCONT);
    client.signal(SIGINT);
    const Finished done = client.wait(60s);
    EXPECT_EQ(done.status, 0) << done.err;
    EXPECT_FALSE(done.err.contains("; 0 lost")) << done.err;
}

TEST_F(Capture, SeveralAtOnceAndAReloadUnderWay) {
    Process drops(command({"-w", scratch_.file("drops.pcap"), "--verdict", "drop", "--count", "20000"}));
    Process passes(command({"-w", scratch_.file("passes.pcap"), "--verdict", "pass", "--at", "after"}));
    ASSERT_TRUE(drops.says("capturing from", 60s));
    ASSERT_TRUE(passes.says("capturing from", 60s));
    for (int i = 0; i < 5; ++i) {
        const Finished reload = run_process({kProgram, "ctl", "--control", path_, "reload"}, 60s);
        EXPECT_EQ(reload.status, 0) << reload.err;
    }
    const Finished done = drops.wait(120s);
    EXPECT_EQ(done.status, 0) << done.err;
    passes.signal(SIGINT);
    EXPECT_EQ(passes.wait(60s).status, 0);
    const auto dropped = read_packets(scratch_.file("drops.pcap"));
    EXPECT_EQ(dropped.size(), 20000U);
    for (const Packet& packet : dropped) ASSERT_EQ(packet, packets_[packet_number(packet)]);
    for (const Packet& packet : dropped) ASSERT_EQ(packet_number(packet) % 5, 1U);
    for (const Packet& packet : read_packets(scratch_.file("passes.pcap")))
        ASSERT_EQ(packet_number(packet) % 5, 2U);
    EXPECT_TRUE(captures_become(0));
}

TEST_F(Capture, TheFifthIsRefused) {
    std::vector<std::unique_ptr<Process>> clients;
    for (int i = 0; i < 4; ++i) {
        clients.push_back(std::make_unique<Process>(
            command({"-w", scratch_.file(fmt::format("{}.pcap", i)), "--filter", "tcp"})));
        ASSERT_TRUE(clients.back()->says("capturing from", 60s));
    }
    const Finished refused = capture({"-w", scratch_.file("out.pcap")});
    EXPECT_EQ(refused.status, 1);
    EXPECT_EQ(refused.err, "xdplane: there are 4 captures already\n");
    EXPECT_NE(access(scratch_.file("out.pcap").c_str(), F_OK), 0) << "a file without a capture";
}

TEST_F(Capture, TheDataPlaneGoesAway) {
    Process client(command({"-w", scratch_.file("out.pcap"), "--verdict", "drop"}));
    ASSERT_TRUE(client.says("capturing from", 60s));
    run_->signal(SIGTERM);
    stopped_ = true;
    const Finished done = client.wait(60s);
    EXPECT_EQ(done.status, 1);
    EXPECT_NE(done.err.find("the data plane has gone; what it had sent is in the file"), std::string::npos)
        << done.err;
    for (const Packet& packet : read_packets(scratch_.file("out.pcap")))
        EXPECT_EQ(packet_number(packet) % 5, 1U);
}

TEST_F(Capture, WhatMakesNoSenseIsRefused) {
    const std::string file = scratch_.file("out.pcap");
    const std::vector<std::pair<Strings, std::string>> usage{
        {{}, "-w FILE is missing"},
        {{"-w", "-", "--json"}, "both want standard output"},
        {{"-w", file, "--verdict", "accept"},
         "there is no verdict 'accept' (there are: aborted, drop, pass, tx, redirect)"},
        {{"-w", file, "--reason", "bad"}, "there is no reason 'bad' (there are: drop, aborted, "},
        {{"-w", file, "--at", "within"},
         "--at within: must be before or after (see xdplane ctl capture --help)"},
        {{"-w", file, "--snaplen", "0"}, "--snaplen 0: must be a whole number from 1 to 65535"},
        {{"-w", file, "--snaplen", "65536"}, "--snaplen 65536: must be a whole number from 1 to 65535"},
        {{"-w", file, "--count", "-1"}, "--count"},
        {{"-w", file, "--duration", "0"}, "--duration"},
        {{"-w", file, "word"}, "ctl capture: 'word' is one word too many"},
        {{"-w", file, "--frob"}, "unrecognised option"},
    };
    for (const auto& [words, message] : usage) {
        const Finished done = capture(words);
        EXPECT_EQ(done.status, 2) << message;
        EXPECT_NE(done.err.find(message), std::string::npos) << message << " / " << done.err;
    }
    const std::vector<std::pair<Strings, std::string>> refused{
        {{"-w", file, "--filter", "tcp port"}, "filter 'tcp port': "},
        {{"-w", file, "--port", "nope"}, "there is no port 'nope' (there are: a, b)"},
        {{"-w", scratch_.file("no/where.pcap")}, "No such file or directory"},
        {{"-w", "/dev/full"}, "/dev/full: No space left on device"},
    };
    for (const auto& [words, message] : refused) {
        const Finished done = capture(words);
        EXPECT_EQ(done.status, 1) << message;
        EXPECT_NE(done.err.find(message), std::string::npos) << message << " / " << done.err;
        EXPECT_NE(access(file.c_str(), F_OK), 0) << message;
    }
    EXPECT_TRUE(captures_become(0));
}

} // namespace
} // namespace xdplane
