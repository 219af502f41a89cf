// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// `xdplane run` on what the kernel's interfaces can do beyond one queue of ordinary packets.
#include "tests/e2e/run_support.h"

#include <sched.h>

#include "tests/support/af_xdp.h"

namespace xdplane {
namespace {

const std::string kUdpFlows = source_path("tests/e2e/udp_flows.py");
const std::string kVlanFrames = source_path("tests/e2e/vlan_frames.py");

class RunPorts : public RunBetweenHosts {
protected:
    /// Flows from left to right, answered there.
    void exchange(int flows, int datagrams) {
        const Process server(net_->in("right", {"python3", kUdpFlows, "serve", "7777"}));
        const Finished client =
            run_process(net_->in("left", {"python3", kUdpFlows, "send", "10.9.0.2", "7777",
                                          std::to_string(flows), std::to_string(datagrams)}),
                        90s);
        EXPECT_EQ(client.status, 0) << client.err;
    }
};

TEST_F(RunPorts, SeveralQueuesOfAfPacket) {
    const std::string queues = ",qpairs=2";
    const json report =
        while_running(port("left", "net_af_packet0,iface=left0" + queues, "right", "flows") +
                          port("right", "net_af_packet1,iface=right0" + queues, "left", "flows") +
                          chain("flows", {test_program("one_cpu_per_flow")}),
                      [&] {
                          EXPECT_TRUE(net_->ping());
                          exchange(64, 10);
                      },
                      {"--workers", "2"});
    EXPECT_EQ(report["workers"], 2);
    for (const json& port : report["ports"]) {
        ASSERT_EQ(port["queues"].size(), 2);
        u64 packets = 0;
        for (const json& queue : port["queues"]) {
            EXPECT_GE(queue["rx_packets"], 100) << "a queue without its share: " << port.dump();
            packets += queue["rx_packets"].get<u64>();
        }
        EXPECT_EQ(port["rx_packets"], packets);
        EXPECT_EQ(port["dropped"]["aborted"], 0) << "a flow on two CPUs";
        EXPECT_GE(port["forwarded"], 640);
    }
}

/// Frames behind an MTU of 9000.
TEST_F(RunPorts, JumboFrames) {
    for (const char* side : {"left", "right"}) {
        ASSERT_EQ(net_->run(side, {"ip", "link", "set", "host", "mtu", "9000"}).status, 0);
        ASSERT_EQ(net_->run("middle", {"ip", "link", "set", std::string(side) + "0", "mtu", "9000"}).status,
                  0);
    }
    const std::string frames = ",framesz=9216,blocksz=36864,framecnt=256";
    const json report = while_running(
        port("left", "net_af_packet0,iface=left0" + frames, "right", "whole") + "mtu = 9000\n" +
            port("right", "net_af_packet1,iface=right0" + frames, "left", "whole") + "mtu = 9000\n" +
            chain("whole", {test_program("whole_packet")}),
        [&] {
            for (const char* size : {"1000", "4000", "4100", "8972"})
                EXPECT_EQ(net_->run("left", {"ping", "-c3", "-i0.05", "-w20", "-s", size, "-Mdo", "10.9.0.2"})
                              .status,
                          0)
                    << size;
        });
    for (const json& port : report["ports"]) {
        EXPECT_EQ(port["dropped"]["aborted"], 0);
        EXPECT_EQ(port["dropped"]["segments"], 0);
        EXPECT_GE(port["rx_bytes"], 3 * 8972);
    }
}

class RunAfXdp : public RunPorts {
protected:
    void SetUp() override {
        if (const std::string why = no_af_xdp(); !why.empty()) GTEST_SKIP() << why;
        RunPorts::SetUp();
    }
    static std::string xdp_left(const std::string& peer, const std::string& chain = "") {
        return port("left", "net_af_xdp0,iface=left0", peer, chain);
    }
    static std::string xdp_right(const std::string& peer, const std::string& chain = "") {
        return port("right", "net_af_xdp1,iface=right0", peer, chain);
    }
};

TEST_F(RunAfXdp, BumpInTheWire) {
    for (const std::vector<std::string>& options :
         {std::vector<std::string>{}, {"--workers", "2"}, {"--engine", "interpreter"}}) {
        const json report = while_running(
            xdp_left("right", "pass") + xdp_right("left", "pass") + chain("pass", {filter("pass")}),
            [&] {
                EXPECT_TRUE(net_->ping("10.9.0.2", 3, 30));
                EXPECT_TRUE(net_->ping("fd09::2", 3, 30));
                EXPECT_EQ(net_->run("left", {"ping", "-c1", "-w20", "-s1472", "-Mdo", "10.9.0.2"}).status, 0);
                // Fragments, each as it is.
                EXPECT_EQ(net_->run("left", {"ping", "-c1", "-w20", "-s3000", "10.9.0.2"}).status, 0);
                exchange(4, 50);
            },
            options);
        for (const json& port : report["ports"]) {
            EXPECT_GE(port["tx_packets"], 7 + 200);
            EXPECT_EQ(port["missed"], 0);
            EXPECT_EQ(port["tx_errors"], 0);
        }
        EXPECT_EQ(report["ports"][0]["rx_packets"], report["ports"][1]["tx_packets"]);
    }
}

TEST_F(RunAfXdp, ProgramsDropAndAnswer) {
    const json report = while_running(xdp_left("right", "no_icmp") + xdp_right("left") +
                                          chain("no_icmp", {test_program("drop_icmp")}),
                                      [&] {
                                          EXPECT_FALSE(net_->ping("10.9.0.2", 3, 1));
                                          EXPECT_TRUE(net_->ping("fd09::2", 3, 30));
                                      });
    EXPECT_GE(report["ports"][0]["dropped"]["drop"], 3);

    ASSERT_EQ(
        net_->run("left", {"ip", "neigh", "add", "10.9.0.77", "lladdr", "02:00:00:00:00:77", "dev", "host"})
            .status,
        0);
    const json answered = while_running(xdp_left("", "echo") + chain("echo", {test_program("echo")}),
                                        [&] { EXPECT_TRUE(net_->ping("10.9.0.77", 3, 30)); });
    EXPECT_GE(answered["ports"][0]["tx_packets"], 3);
}

TEST_F(RunAfXdp, MixesWithOtherPortsAndStopsUnderLoad) {
    std::unique_ptr<Process> flood;
    const json report = while_running(xdp_left("right", "flows") + right("left", "flows") +
                                          chain("flows", {filter("sanity"), filter("flowcount")}),
                                      [&] {
                                          EXPECT_TRUE(net_->ping("10.9.0.2", 3, 30));
                                          flood = std::make_unique<Process>(
                                              net_->in("left", {"ping", "-f", "-q", "-w", "30", "10.9.0.2"}));
                                          std::this_thread::sleep_for(500ms);
                                      });
    EXPECT_GT(report["packets"], 100);
}

/// What `run` says when it does not start.
TEST_F(RunAfXdp, SaysWhyItDoesNotOpen) {
    struct Row {
        std::string config;
        std::string says;
    };
    const std::vector<Row> rows{
        {port("a", "net_af_xdp0,iface=nonesuch"),
         "port a: DPDK can not open device net_af_xdp0,iface=nonesuch: Failed to get channel info of "
         "interface: "
         "nonesuch"},
        {port("a", "net_af_xdp0,iface=left0") + port("b", "net_af_xdp1,iface=left0"),
         "port b: can not set up receive queue 0: Failed to create xsk socket."},
        {port("a", "net_af_xdp0,iface=left0") + "mtu = 3500\n",
         "port a: mtu = 3500: buffers of net_af_xdp hold 33"},
    };
    for (const Row& row : rows) {
        const Finished finished = run_process(net_->in("middle", command(row.config, kShort)));
        EXPECT_EQ(finished.status, 1) << row.config;
        EXPECT_NE(finished.err.find(row.says), std::string::npos) << finished.err;
        EXPECT_LE(std::ranges::count(finished.err, '\n'), 2) << finished.err;
    }
}

/// What passes goes to this machine's own network stack, through an interface that has the port's MAC
/// address.
class RunToTheHost : public RunPorts, public testing::WithParamInterface<const char*> {
protected:
    void SetUp() override {
        if (std::string(GetParam()) == "net_af_xdp")
            if (const std::string why = no_af_xdp(); !why.empty()) GTEST_SKIP() << why;
        RunPorts::SetUp();
        if (IsSkipped()) return;
        // net_af_packet leaves the kernel its own copy: it must not answer what comes in there.
        for (const char* rule : {"net.ipv4.conf.left0.arp_ignore=1", "net.ipv4.conf.left0.rp_filter=1"})
            ASSERT_EQ(net_->run("middle", {"sysctl", "-qw", rule}).status, 0);
    }
    static std::string to_host(const std::string& chain = "") {
        return port("left", std::string(GetParam()) + "0,iface=left0", "", chain) +
               "pass = \"host\"\nhost_interface = \"uplink\"\n";
    }
    void address() const {
        ASSERT_EQ(net_->run("middle", {"ip", "addr", "add", "10.9.0.9/24", "dev", "uplink"}).status, 0);
    }
    /// A page from the middle's web server, asked for from the left.
    [[nodiscard]] std::string page() const {
        const Process server(net_->in("middle", {"python3", "-m", "http.server", "--bind", "10.9.0.9",
                                                 "--directory", scratch_.file("www"), "8080"}));
        const std::string client =
            "import time, urllib.request\n"
            "end = time.monotonic() + 60\n"
            "while True:\n"
            "    try:\n"
            "        print(urllib.request.urlopen('http://10.9.0.9:8080/page', timeout=5)"
            ".read().decode()); break\n"
            "    except OSError:\n"
            "        if time.monotonic() > end: raise\n"
            "        time.sleep(0.1)\n";
        return run_process(net_->in("left", {"python3", "-c", client}), 90s).out;
    }
};

TEST_P(RunToTheHost, PingAndHttp) {
    const std::string text(20000, 'x');
    std::filesystem::create_directory(scratch_.file("www"));
    std::ofstream(scratch_.file("www/page")) << text;
    const json report = while_running(to_host(), [&] {
        address();
        const std::string here = net_->run("middle", {"cat", "/sys/class/net/uplink/address"}).out;
        EXPECT_EQ(here, net_->run("middle", {"cat", "/sys/class/net/left0/address"}).out);
        EXPECT_TRUE(net_->ping("10.9.0.9", 3, 30));
        EXPECT_EQ(net_->run("middle", {"ping", "-q", "-c3", "-i0.05", "-w30", "10.9.0.1"}).status, 0);
        EXPECT_EQ(page(), text + "\n");
    });
    ASSERT_EQ(report["ports"].size(), 2);
    EXPECT_EQ(report["ports"][1]["name"], "left.host");
    EXPECT_EQ(report["ports"][0]["forwarded"], report["ports"][1]["tx_packets"]);
    EXPECT_EQ(report["ports"][1]["forwarded"], report["ports"][0]["tx_packets"]);
    EXPECT_GE(report["ports"][1]["rx_bytes"], text.size());

    // The interface is gone with the run, and comes back with the next.
    EXPECT_NE(net_->run("middle", {"ip", "link", "show", "uplink"}).status, 0);
    const json filtered =
        while_running(to_host("no_icmp") + chain("no_icmp", {test_program("drop_icmp")}), [&] {
            address();
            EXPECT_FALSE(net_->ping("10.9.0.9", 3, 1));
            EXPECT_EQ(page(), text + "\n");
        });
    EXPECT_GE(filtered["ports"][0]["dropped"]["drop"], 3);
}

INSTANTIATE_TEST_SUITE_P(Devices, RunToTheHost, testing::Values("net_af_packet", "net_af_xdp"),
                         [](const auto& device) { return std::string(device.param); });

TEST_F(RunAfXdp, ExampleHost) {
    Process process(net_->in("middle", {kProgram, "run", "--config", kConfigs + "/inline/host.toml", "--json",
                                        "--duration", "300"}));
    ASSERT_TRUE(process.says("running", 60s)) << process.wait().err;
    ASSERT_EQ(net_->run("middle", {"ip", "addr", "add", "10.9.0.9/24", "dev", "uplink0"}).status, 0);
    EXPECT_TRUE(net_->ping("10.9.0.9", 3, 60));
    process.signal(SIGINT);
    EXPECT_GE(check(process.wait(60s))["packets"], 6);
}

/// A tag is a part of the packet, whatever the kernel makes of it on the way.
class RunVlan : public RunPorts, public testing::WithParamInterface<const char*> {
protected:
    void SetUp() override {
        if (std::string(GetParam()) == "net_af_xdp")
            if (const std::string why = no_af_xdp(); !why.empty()) GTEST_SKIP() << why;
        RunPorts::SetUp();
    }
};

TEST_P(RunVlan, TagsAreSeenAndSent) {
    const std::string driver = GetParam();
    const json report = while_running(
        port("left", driver + "0,iface=left0", "right", "tagged") +
            port("right", driver + "1,iface=right0", "left") + chain("tagged", {test_program("tagged_only")}),
        [&] {
            const Process sender(net_->in("left", {"python3", kVlanFrames, "send", "host"}));
            const Finished listener =
                run_process(net_->in("right", {"python3", kVlanFrames, "listen", "host"}), 90s);
            EXPECT_EQ(listener.status, 0) << listener.err;
        });
    EXPECT_GE(report["ports"][0]["forwarded"], 20);
    EXPECT_GT(report["ports"][0]["dropped"]["drop"], 0);
}

INSTANTIATE_TEST_SUITE_P(Devices, RunVlan, testing::Values("net_af_packet", "net_af_xdp"),
                         [](const auto& device) { return std::string(device.param); });

/// A link that goes away and comes back.
class RunLink : public RunPorts, public testing::WithParamInterface<const char*> {
protected:
    void SetUp() override {
        if (std::string(GetParam()) == "net_af_xdp")
            if (const std::string why = no_af_xdp(); !why.empty()) GTEST_SKIP() << why;
        RunPorts::SetUp();
    }
};

TEST_P(RunLink, DownAndUpUnderLoad) {
    const std::string driver = GetParam();
    const auto link = [&](const std::string& where, const std::string& name, const std::string& state) {
        EXPECT_EQ(net_->run(where, {"ip", "link", "set", name, state}).status, 0);
    };
    const json report = while_running(
        port("left", driver + "0,iface=left0", "right", "pass") +
            port("right", driver + "1,iface=right0", "left", "pass") + chain("pass", {filter("pass")}),
        [&] {
            ASSERT_TRUE(net_->ping("10.9.0.2", 3, 30));
            const Process load(net_->in("left", {"ping", "-q", "-i", "0.002", "-w", "300", "10.9.0.2"}));
            for (const char* side : {"left0", "right0"}) {
                link("middle", side, "down");
                EXPECT_FALSE(net_->ping("10.9.0.2", 2, 1)) << side << " is down";
                link("middle", side, "up");
                EXPECT_TRUE(net_->ping("10.9.0.2", 3, 60)) << side << " is up again";
            }
            link("right", "host", "down");
            EXPECT_FALSE(net_->ping("10.9.0.2", 2, 1));
            link("right", "host", "up");
            EXPECT_TRUE(net_->ping("10.9.0.2", 3, 60));
        });
    EXPECT_GE(report["ports"][1]["tx_packets"], 12);
}

/// A run leaves interfaces as they were. kill -9 leaves the driver's program in the kernel; the next run
/// takes it over, and leaves none.
TEST_P(RunLink, KilledAndStartedAgain) {
    const std::string driver = GetParam();
    const std::string text =
        port("left", driver + "0,iface=left0", "right") + port("right", driver + "1,iface=right0", "left");
    const auto shows = [&](const char* side, const std::string& what) {
        return net_->run("middle", {"ip", "link", "show", side}).out.find(what) != std::string::npos;
    };
    (void)while_running(text, [&] {
        EXPECT_TRUE(net_->ping("10.9.0.2", 3, 60));
        EXPECT_TRUE(shows("left0", "PROMISC"));
    });
    for (const char* side : {"left0", "right0"}) EXPECT_FALSE(shows(side, "PROMISC"));
    {
        Process killed(net_->in("middle", command(text, {"--duration", "600"})));
        ASSERT_TRUE(killed.says("running", 60s)) << killed.said();
        EXPECT_TRUE(net_->ping("10.9.0.2", 3, 60));
        killed.signal(SIGKILL);
        EXPECT_EQ(killed.wait(60s).status, 128 + SIGKILL);
    }
    const json report = while_running(text, [&] { EXPECT_TRUE(net_->ping("10.9.0.2", 3, 60)); });
    EXPECT_GE(report["ports"][1]["tx_packets"], 3);
    for (const char* side : {"left0", "right0"}) EXPECT_FALSE(shows(side, "prog/xdp"));
}

INSTANTIATE_TEST_SUITE_P(Devices, RunLink, testing::Values("net_af_packet", "net_af_xdp"),
                         [](const auto& device) { return std::string(device.param); });

TEST_F(RunPorts, CpuMapSpreadsOneQueueOverTwoWorkers) {
    std::vector<int> cpus;
    cpu_set_t set;
    CPU_ZERO(&set);
    ASSERT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
    for (int cpu = 0; cpu < 256; ++cpu)
        if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
    if (cpus.size() < 2) GTEST_SKIP() << "this process has one CPU";
    // Two workers are on the last two.
    const int first = cpus[cpus.size() - 2];
    const int second = cpus.back();
    std::ofstream(scratch_.file("cpus.json"))
        << fmt::format("[{{\"key\": {}, \"value\": 192}}, {{\"key\": {}, \"value\": 192}}]", first, second);
    std::ofstream(scratch_.file("which.json"))
        << fmt::format("[{{\"key\": 0, \"value\": {}}}, {{\"key\": 1, \"value\": {}}}]", first, second);
    const json report =
        while_running(left("right", "to_cpus") + right("left", "to_cpus") +
                          port("idle", "net_ring0", "idle") + chain("to_cpus", {test_program("to_cpus")}) +
                          "maps = { cpus = \"cpus.json\", which = \"which.json\" }\n",
                      [&] {
                          EXPECT_TRUE(net_->ping("10.9.0.2", 3, 30));
                          exchange(16, 10);
                      },
                      {"--workers", "2"});
    ASSERT_EQ(report["workers"], 2);
    for (u32 i = 0; i < 2; ++i) {
        const json& port = report["ports"][i];
        EXPECT_EQ(port["handed"], port["rx_packets"]);
        EXPECT_EQ(port["forwarded"], port["rx_packets"]);
        EXPECT_GE(port["handed"], 163);
    }
}

} // namespace
} // namespace xdplane
