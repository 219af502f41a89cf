// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// `xdplane run` as a user runs it: configuration files, stock BPF objects, DPDK's software ports, and veth
// pairs between network namespaces.
#include "tests/e2e/run_support.h"

#include "tests/support/eventually.h"

namespace xdplane {
namespace {

TEST_F(Run, NullPortsForward) {
    const json report = run(port("a", "net_null0", "b") + port("b", "net_null1", "a"), kShort);
    for (const json& port : report["ports"]) {
        EXPECT_GT(port["rx_packets"], 0);
        EXPECT_EQ(port["rx_packets"], port["forwarded"]);
    }
}

TEST_F(Run, NullPortDropsByProgram) {
    for (const std::string engine : {"jit", "interpreter"}) {
        const json report = run(port("a", "net_null0", "", "drop") + chain("drop", {filter("drop")}),
                                with(kShort, {"--engine", engine}));
        const json& port = report["ports"][0];
        EXPECT_GT(port["rx_packets"], 0);
        EXPECT_EQ(port["rx_packets"], port["dropped"]["drop"]);
        EXPECT_EQ(report["chains"][0]["verdicts"]["drop"], port["rx_packets"]);
        EXPECT_EQ(report["chains"][0]["stages"][0]["packets"], port["rx_packets"]);
        EXPECT_EQ(report["engine"], engine);
    }
}

TEST_F(Run, CaptureInAndOutIsWhatReplayWrites) {
    const std::string in = kCaptures + "/demo.pcap";
    for (const auto& stages :
         std::vector<std::vector<std::string>>{{"pass"},
                                               {"sanity"},
                                               {"sanity", "acl", "flowcount"},
                                               {"vlan:vlan_pop", "sanity", "blocklist"}}) {
        std::vector<std::string> objects;
        for (const std::string& stage : stages) objects.push_back(filter(stage));
        const json live =
            run(port("in", "net_pcap0,rx_pcap=" + in, "out", "all") +
                    port("out", "net_pcap1,tx_pcap=" + scratch_.file("live.pcap")) + chain("all", objects),
                kUntilRead);
        std::vector<std::string> replay{kProgram, "replay", "-r", in, "-w", scratch_.file("replay.pcap"),
                                        "--json"};
        for (const std::string& object : objects) replay.insert(replay.end(), {"--prog", object});
        const Finished replayed = run_process(replay);
        ASSERT_EQ(replayed.status, 0) << replayed.err;
        const json offline = json::parse(replayed.out);

        EXPECT_EQ(live["packets"], offline["packets"]);
        EXPECT_EQ(live["chains"][0]["verdicts"], offline["verdicts"]);
        for (std::size_t i = 0; i < stages.size(); ++i)
            EXPECT_EQ(live["chains"][0]["stages"][i]["verdicts"], offline["stages"][i]["verdicts"])
                << stages[i];
        const std::vector<Packet> expected = read_packets(scratch_.file("replay.pcap"));
        const std::vector<Packet> written = read_packets(scratch_.file("live.pcap"));
        ASSERT_EQ(written.size(), expected.size());
        ASSERT_GT(written.size(), 0U);
        for (std::size_t i = 0; i < written.size(); ++i) ASSERT_EQ(written[i], expected[i]) << "packet " << i;
    }
}

std::vector<Packet> numbered(u32 count) {
    std::vector<Packet> packets;
    for (u32 i = 0; i < count; ++i) packets.push_back(numbered_packet(i, 60 + i % 1400));
    return packets;
}

TEST_F(Run, ThroughARing) {
    const std::vector<Packet> packets = numbered(700);
    write_packets(scratch_.file("in.pcap"), packets);
    const json report = run(port("in", "net_pcap0,rx_pcap=" + scratch_.file("in.pcap"), "ring") +
                                port("ring", "net_ring0", "out", "pass") +
                                port("out", "net_pcap1,tx_pcap=" + scratch_.file("out.pcap")) +
                                chain("pass", {filter("pass")}),
                            kUntilRead);
    EXPECT_EQ(report["ports"][1]["rx_packets"], 700);
    EXPECT_EQ(read_packets(scratch_.file("out.pcap")), packets);
}

TEST_F(Run, RedirectsByInterfaceNumberAndGrowsPackets) {
    const std::vector<Packet> packets = numbered(300);
    write_packets(scratch_.file("in.pcap"), packets);
    for (const std::string engine : {"jit", "interpreter"}) {
        (void)run(port("in", "net_pcap0,rx_pcap=" + scratch_.file("in.pcap"), "", "to7") +
                      port("out", "net_pcap1,tx_pcap=" + scratch_.file("out.pcap"), "", "", 7) +
                      chain("to7", {test_program("redirect_to_7")}),
                  with(kUntilRead, {"--engine", engine}));
        const std::vector<Packet> written = read_packets(scratch_.file("out.pcap"));
        ASSERT_EQ(written.size(), packets.size());
        for (std::size_t i = 0; i < packets.size(); ++i) {
            Packet expected(200 + packets[i].size(), 0xab);
            std::ranges::copy(packets[i], expected.begin() + 200);
            ASSERT_EQ(written[i], expected);
        }
    }
}

TEST_F(Run, SignalsUnderLoadStopCleanly) {
    for (const int number : {SIGTERM, SIGINT}) {
        Process process(command(port("a", "net_null0", "b", "flows") + port("b", "net_null1", "a", "flows") +
                                    chain("flows", {filter("sanity"), filter("flowcount")}),
                                {"--workers", "1", "--duration", "20"}));
        ASSERT_TRUE(process.says("running"));
        std::this_thread::sleep_for(200ms);
        process.signal(number);
        process.signal(number);
        const json report = check(process.wait(5s));
        EXPECT_GT(report["packets"], 0);
        EXPECT_LT(report["seconds"], 10);
    }
}

TEST_F(Run, ExampleNull) {
    const json report = check(run_process(
        {kProgram, "run", "--config", kConfigs + "/inline/null.toml", "--json", "--duration", "0.3"}));
    EXPECT_GT(report["ports"][0]["forwarded"], 0);
    EXPECT_GT(report["ports"][1]["forwarded"], 0);
}

TEST_F(Run, ExampleCapture) {
    // It reads a capture of the source tree, and writes into the current directory.
    std::filesystem::create_directory_symlink(kCaptures + "/..", scratch_.file("tests"));
    const json report =
        check(run_process({"env", "-C", scratch_.file("."), kProgram, "run", "--config",
                           kConfigs + "/inline/capture.toml", "--json", "--until-idle", "0.3"}));
    EXPECT_EQ(report["packets"], read_packets(kCaptures + "/demo.pcap").size());
    EXPECT_EQ(read_packets(scratch_.file("passed.pcap")).size(), report["ports"][1]["tx_packets"]);
    EXPECT_GT(report["chains"][0]["verdicts"]["drop"], 0);
}

/// Reserves 2 MB pages for as long as it lives, where the machine lets it.
class HugePages {
public:
    explicit HugePages(u32 pages) {
        std::ifstream(kFile) >> before_;
        std::ofstream(kFile) << before_ + pages;
        u32 now = 0;
        std::ifstream(kFile) >> now;
        enough_ = now >= before_ + pages;
    }
    ~HugePages() { std::ofstream(kFile) << before_; }
    HugePages(const HugePages&) = delete;
    HugePages& operator=(const HugePages&) = delete;
    [[nodiscard]] bool enough() const { return enough_; }

private:
    static constexpr const char* kFile = "/proc/sys/vm/nr_hugepages";
    u32 before_ = 0;
    bool enough_ = false;
};

TEST_F(Run, WithAndWithoutHugePages) {
    const std::string text = port("a", "net_null0", "b") + port("b", "net_null1", "a");
    const Finished ordinary = run_process(command(text, {"--duration", "0.2", "--", "--no-huge"}));
    EXPECT_GT(check(ordinary)["packets"], 0);
    EXPECT_EQ(ordinary.err.find("huge pages"), std::string::npos) << "asked for, so nothing to say";
    const HugePages pages(160);
    if (!pages.enough()) GTEST_SKIP() << "no huge pages can be reserved here";
    const Finished huge = run_process(command(text, {"--duration", "0.2"}));
    EXPECT_GT(check(huge)["packets"], 0);
    EXPECT_EQ(huge.err.find("no free huge pages"), std::string::npos);
}

/// Two data planes with a device between them: what the one sends is what the other receives.
struct Pair {
    const char* name;
    std::string server; ///< PATH stands for a socket
    std::string client;
};
void PrintTo(const Pair& pair, std::ostream* out) { *out << pair.name; }
class PairTest : public Run, public testing::WithParamInterface<Pair> {};

TEST_P(PairTest, CarriesPackets) {
    constexpr u32 kPackets = 50;
    const auto device = [&](std::string text) {
        return text.replace(text.find("PATH"), 4, scratch_.file("device.sock"));
    };
    const auto socket = [&](const char* name) {
        return std::vector<std::string>{"--control", scratch_.file(name)};
    };
    write_packets(scratch_.file("in.pcap"), numbered(kPackets));
    Process server(command(port("in", device(GetParam().server), "out") +
                               port("out", "net_pcap0,tx_pcap=" + scratch_.file("out.pcap")),
                           with(socket("server"), {"--", "--no-huge"})));
    ASSERT_TRUE(server.says("running", 60s)) << server.said();
    Process client(command(port("in", "net_pcap0,infinite_rx=1,rx_pcap=" + scratch_.file("in.pcap"), "out") +
                               port("out", device(GetParam().client)),
                           with(socket("client"), {"--", "--no-huge"})));
    ASSERT_TRUE(client.says("running", 60s)) << client.said();
    const auto received = [&] {
        const Finished status =
            run_process({kProgram, "ctl", "--control", scratch_.file("server"), "--json", "status"}, 60s);
        return json::parse(status.out)["packets"].get<u64>();
    };
    EXPECT_TRUE(eventually([&] { return received() >= 500; }, 20ms));
    client.signal(SIGTERM);
    const json sent = check(client.wait(60s));
    server.signal(SIGTERM);
    const json got = check(server.wait(60s));
    EXPECT_GE(got["ports"][0]["rx_packets"].get<u64>(), 500U);
    EXPECT_GE(sent["ports"][1]["tx_packets"], got["ports"][0]["rx_packets"]);
    const std::vector<Packet> written = read_packets(scratch_.file("out.pcap"));
    EXPECT_EQ(written.size(), got["ports"][1]["tx_packets"].get<u64>());
    const std::vector<Packet> all = numbered(kPackets);
    for (const Packet& packet : written) ASSERT_EQ(packet, all.at(packet_number(packet)));
}

INSTANTIATE_TEST_SUITE_P(
    Run, PairTest,
    testing::Values(Pair{"memif", "net_memif0,role=server,id=0,socket=PATH,socket-abstract=no",
                         "net_memif0,role=client,id=0,socket=PATH,socket-abstract=no"},
                    Pair{"vhost", "net_vhost0,iface=PATH,queues=1", "net_virtio_user0,path=PATH,queues=1"}),
    [](const auto& tested) { return std::string(tested.param.name); });

struct BadRun {
    const char* name;
    std::string config;
    std::vector<std::string> options;
    int status;
    std::string says; ///< part of the one line on stderr
};

void PrintTo(const BadRun& bad, std::ostream* out) { *out << bad.name; }

class BadRunTest : public Run, public testing::WithParamInterface<BadRun> {};

TEST_P(BadRunTest, SaysSoInOneLine) {
    const BadRun& bad = GetParam();
    const Finished finished = run_process(command(bad.config, bad.options));
    EXPECT_EQ(finished.status, bad.status);
    EXPECT_EQ(finished.out, "");
    std::string line = finished.err;
    const std::string note = "xdplane: no free huge pages";
    if (line.starts_with(note)) line.erase(0, line.find('\n') + 1);
    EXPECT_NE(line.find(bad.says), std::string::npos) << line;
    EXPECT_EQ(std::ranges::count(line, '\n'), 1) << line;
}

const std::string kNull = port("a", "net_null0");
INSTANTIATE_TEST_SUITE_P(
    Run, BadRunTest,
    testing::Values(
        BadRun{"NoPorts", "", {}, 1, "run.toml: no ports"},
        BadRun{"UnknownPeer", port("a", "net_null0", "b"), {}, 1, "run.toml:1: port 'a' has the peer 'b'"},
        BadRun{
            "UnknownChain", port("a", "net_null0", "", "c"), {}, 1, "run.toml:1: port 'a' has the chain 'c'"},
        BadRun{"UnknownKey", kNull + "colour = 1\n", {}, 1, "run.toml:4: unknown key 'colour'"},
        BadRun{"UnknownDevice",
               port("a", "net_nonsense0"),
               {},
               1,
               "port a: DPDK can not open device net_nonsense0"},
        BadRun{"UnknownInterface", port("a", "net_af_packet0,iface=nonesuch"), {}, 1, "No such device"},
        BadRun{
            "SameDevice", kNull + port("b", "net_null0"), {}, 1, "device net_null0 belongs to another port"},
        BadRun{"NoObject",
               port("a", "net_null0", "", "c") + chain("c", {"/nonexistent.bpf.o"}),
               {},
               1,
               "/nonexistent.bpf.o: No such file"},
        BadRun{"NotAnObject",
               port("a", "net_null0", "", "c") + chain("c", {kCaptures + "/demo.pcap"}),
               {},
               1,
               "demo.pcap"},
        BadRun{"Refused",
               port("a", "net_null0", "", "c") + chain("c", {test_program("refused")}),
               {},
               1,
               "program refused: R1 offset is outside of the packet"},
        BadRun{"EalArgument", kNull, {"--", "--nonsense"}, 1, "unrecognized option '--nonsense'"},
        BadRun{"EalWord", kNull, {"--", "0000:01:00.0"}, 1, "DPDK does not take '0000:01:00.0'"},
        BadRun{"Option", kNull, {"--nonsense"}, 2, "nonsense"},
        BadRun{"Engine", kNull, {"--engine", "steam"}, 2, "--engine steam: must be jit or interpreter"},
        BadRun{"LogLevel", kNull, {"--log-level", "loud"}, 2, "--log-level loud: must be error, warning"},
        BadRun{"LogLevelInFile",
               "[log]\nlevel = \"loud\"\n" + kNull,
               {},
               1,
               "run.toml:2: 'level' must be error"},
        BadRun{"Workers", kNull, {"--workers", "0"}, 2, "--workers 0: must be a whole number from 1"},
        BadRun{
            "WorkersWithoutLcores", "workers = 256\n" + kNull, {}, 1, "256 workers: this build of DPDK has"},
        BadRun{"WorkerOfQueue", kNull + "rx_queue_workers = [1]\n", {}, 1, "port a: there is no worker 1"},
        BadRun{"WorkerCpu",
               "worker_cpus = [255]\n" + kNull,
               {},
               1,
               "worker 0: this process may not use CPU 255"},
        BadRun{"WorkerCpuTwice",
               "worker_cpus = [0]\n" + kNull,
               {"--", "--lcores", "0@0,1@0"},
               1,
               "the workers' CPUs are given twice"},
        BadRun{
            "WorkersAndCpus", "worker_cpus = [0, 1]\n" + kNull, {"--workers", "1"}, 1, "worker_cpus has 2"},
        BadRun{"Duration", kNull, {"--duration", "-1"}, 2, "--duration -1: must be seconds, above 0"}),
    [](const auto& tested) { return std::string(tested.param.name); });

TEST_F(RunBetweenHosts, BumpInTheWire) {
    EXPECT_FALSE(net_->ping("10.9.0.2", 1, 1)) << "connected without a data plane?";
    for (const std::vector<std::string>& options : {std::vector<std::string>{}, {"--", "--no-huge"}}) {
        const json report = while_running(
            left("right", "pass") + right("left", "pass") + chain("pass", {filter("pass")}),
            [&] {
                EXPECT_TRUE(net_->ping());
                EXPECT_TRUE(net_->ping("fd09::2"));
                EXPECT_EQ(net_->run("left", {"ping", "-c1", "-w3", "-s1472", "-Mdo", "10.9.0.2"}).status, 0);
            },
            options);
        EXPECT_GE(report["ports"][0]["tx_packets"], 7);
    }
}

TEST_F(RunBetweenHosts, ChainDropsIcmpAndNothingElse) {
    const json report = while_running(
        left("right", "no_icmp") + right("left") + chain("no_icmp", {test_program("drop_icmp")}), [&] {
            EXPECT_FALSE(net_->ping("10.9.0.2", 3, 1));
            EXPECT_TRUE(net_->ping("fd09::2"));
        });
    EXPECT_GE(report["ports"][0]["dropped"]["drop"], 3);
    EXPECT_GE(report["chains"][0]["stages"][0]["verdicts"]["pass"], 3);
}

TEST_F(RunBetweenHosts, AnswersItselfWithXdpTx) {
    // Nobody answers ARP: the address is the data plane's own.
    ASSERT_EQ(
        net_->run("left", {"ip", "neigh", "add", "10.9.0.77", "lladdr", "02:00:00:00:00:77", "dev", "host"})
            .status,
        0);
    for (const std::string engine : {"jit", "interpreter"}) {
        const json report =
            while_running(left("", "echo") + chain("echo", {test_program("echo")}),
                          [&] { EXPECT_TRUE(net_->ping("10.9.0.77")); }, {"--engine", engine});
        EXPECT_EQ(report["chains"][0]["verdicts"]["tx"], report["ports"][0]["tx_packets"]);
        EXPECT_GE(report["ports"][0]["tx_packets"], 3);
    }
}

TEST_F(RunBetweenHosts, ExampleBump) {
    Process process(net_->in("middle", {kProgram, "run", "--config", kConfigs + "/inline/bump.toml", "--json",
                                        "--duration", "30"}));
    ASSERT_TRUE(process.says("running")) << process.wait().err;
    EXPECT_TRUE(net_->ping());
    EXPECT_TRUE(net_->ping("fd09::2"));
    process.signal(SIGINT);
    EXPECT_GE(check(process.wait(10s))["packets"], 12);
}

TEST_F(RunBetweenHosts, StopsUnderLoad) {
    std::unique_ptr<Process> flood;
    const json report = while_running(left("right", "flows") + right("left", "flows") +
                                          chain("flows", {filter("sanity"), filter("flowcount")}),
                                      [&] {
                                          EXPECT_TRUE(net_->ping());
                                          flood = std::make_unique<Process>(
                                              net_->in("left", {"ping", "-f", "-q", "-w", "8", "10.9.0.2"}));
                                          std::this_thread::sleep_for(500ms);
                                      });
    EXPECT_GT(report["packets"], 100);
}

} // namespace
} // namespace xdplane
