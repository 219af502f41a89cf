// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// Clients and servers that people have, with the data plane between them.
#include "tests/e2e/live_support.h"

namespace xdplane {
namespace {

class LiveTraffic : public Live, public testing::WithParamInterface<const char*> {
protected:
    void SetUp() override {
        if (driver() == "net_af_xdp")
            if (const std::string why = no_af_xdp(); !why.empty()) GTEST_SKIP() << why;
        if (const std::string why = missing_tool({"curl", "dnsmasq", "dig", "iperf3", "nc"}); !why.empty())
            GTEST_SKIP() << why;
        Live::SetUp();
    }
    static std::string driver() { return GetParam(); }
    static bool is_af_packet() { return driver() == "net_af_packet"; }
};

TEST_P(LiveTraffic, ClientsAndServers) {
    start(ports(driver(), "all", "all") + chain("all", {filter("sanity"), filter("flowcount")}));
    EXPECT_TRUE(pings("10.9.0.2"));
    EXPECT_TRUE(pings("fd09::2"));
    {
        const auto server = serve_web(8080);
        EXPECT_TRUE(fetches("10.9.0.2:8080"));
        EXPECT_TRUE(fetches("[fd09::2]:8080"));
    }
    {
        const auto server = serve({"dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv",
                                   "--no-hosts", "--pid-file=", "--user=root", "--port=53",
                                   "--address=/web.example/192.0.2.7", "--address=/web.example/2001:db8::7"});
        const auto dig = [&](const Strings& words) {
            Strings all{"dig", "+short", "+time=2", "+tries=30", "web.example"};
            all.insert(all.end(), words.begin(), words.end());
            EXPECT_TRUE(works(all));
            return in_left(all).out;
        };
        EXPECT_EQ(dig({"@10.9.0.2", "A"}), "192.0.2.7\n");
        EXPECT_EQ(dig({"@10.9.0.2", "AAAA", "+tcp"}), "2001:db8::7\n");
        EXPECT_EQ(dig({"@fd09::2", "AAAA"}), "2001:db8::7\n");
    }
    {
        const auto server = serve({"iperf3", "-s"});
        EXPECT_TRUE(works({"iperf3", "-c", "10.9.0.2", "-n", "2M"}));
        EXPECT_TRUE(works({"iperf3", "-c", "10.9.0.2", "-n", "500K", "-R"}));
        EXPECT_TRUE(works({"iperf3", "-c", "10.9.0.2", "-u", "-n", "100K", "-b", "2M", "-l", "1000"}));
    }
    {
        const std::string path = scratch_.file("sent");
        std::ofstream(path) << page();
        const auto server = serve({"sh", "-c", "exec nc -l -N -k 10.9.0.2 7000 < " + path});
        EXPECT_TRUE(works({"sh", "-c", "nc -d -w 20 10.9.0.2 7000 | cmp - " + path}));
    }
    // TCP of both directions and both families, UDP.
    u64 tcp = 0;
    u64 udp = 0;
    for (const json& flow : entries("flows")) {
        tcp += flow["key_fields"]["protocol"] == 6;
        udp += flow["key_fields"]["protocol"] == 17;
    }
    EXPECT_GE(tcp, 12U);
    EXPECT_GE(udp, 4U);
    const json report = stop();
    for (const json& port : report["ports"]) {
        EXPECT_EQ(port["dropped"]["drop"], 0) << "honest packets";
        EXPECT_EQ(port["dropped"]["aborted"], 0);
        EXPECT_GE(port["forwarded"], 100);
    }
}

/// A tagged network beside the untagged one.
TEST_P(LiveTraffic, Vlan) {
    if (const std::string why = no_taps(); !why.empty()) GTEST_SKIP() << why;
    start(ports(driver(), "all", "all") + chain("all", {filter("sanity"), filter("flowcount")}));
    const auto left = tag("left", 5, 1);
    const auto right = tag("right", 5, 2);
    const auto server = serve_web(8080);
    EXPECT_TRUE(pings("10.5.0.2"));
    EXPECT_TRUE(pings("fd05::2"));
    EXPECT_TRUE(fetches("10.5.0.2:8080"));
    EXPECT_TRUE(fetches("[fd05::2]:8080"));
    EXPECT_TRUE(fetches("10.9.0.2:8080"));
    EXPECT_EQ(stop()["ports"][0]["dropped"]["drop"], 0);
}

/// The left has tags, the right has none: the data plane takes them off and puts them on.
TEST_P(LiveTraffic, VlanPopAndPush) {
    if (const std::string why = no_taps(); !why.empty()) GTEST_SKIP() << why;
    const auto left = tag("left", 5, 1);
    ip("right", "addr add 10.5.0.2/24 dev host");
    ip("right", "link set host mtu 1496");
    std::ofstream(scratch_.file("vlan.json")) << R"([{"key": 0, "value": {"push_tci": 5}}])";
    start(ports(driver(), "off", "on") + chain("off", {filter("vlan:vlan_pop")}) +
          chain("on", {filter("vlan:vlan_push")}) + "maps = { vlan_config = \"vlan.json\" }\n");
    const auto server = serve_web(8080);
    EXPECT_TRUE(pings("10.5.0.2"));
    EXPECT_TRUE(fetches("10.5.0.2:8080"));
    const json report = stop();
    EXPECT_GE(report["ports"][0]["forwarded"], 3);
}

TEST_P(LiveTraffic, Jumbo) {
    // The kernel takes buffers of at most a page from net_af_xdp.
    const int mtu = is_af_packet() ? 9000 : 3300;
    both_hosts([&](const std::string& side, int) {
        ip(side, fmt::format("link set host mtu {}", mtu));
        ip("middle", fmt::format("link set {}0 mtu {}", side, mtu));
    });
    const std::string frames = is_af_packet() ? ",framesz=9216,blocksz=36864,framecnt=256" : "";
    const std::string line = fmt::format("mtu = {}\n", mtu);
    start(port("left", driver() + "0,iface=left0" + frames, "right", "all") + line +
          port("right", driver() + "1,iface=right0" + frames, "left", "all") + line +
          chain("all", {filter("sanity"), filter("flowcount")}));
    const auto server = serve_web(8080);
    EXPECT_TRUE(works({"ping", "-c1", "-w5", "-Mdo", "-s", std::to_string(mtu - 28), "10.9.0.2"}));
    EXPECT_TRUE(fetches("10.9.0.2:8080"));
    EXPECT_TRUE(fetches("[fd09::2]:8080"));
    const json report = stop();
    EXPECT_EQ(report["ports"][1]["dropped"]["segments"], 0);
    EXPECT_GE(report["ports"][1]["rx_bytes"].get<u64>(), 200'000U);
}

/// net_af_packet puts fragments of IPv4 together (docs/inline.md); those of IPv6 are what they are.
TEST_P(LiveTraffic, Fragments) {
    start(ports(driver(), "all", "all") + chain("all", {filter("sanity"), filter("flowcount")}));
    EXPECT_TRUE(works({"ping", "-q", "-c3", "-i0.05", "-w20", "-s", "5000", "fd09::2"}));
    if (!is_af_packet()) {
        EXPECT_TRUE(works({"ping", "-q", "-c3", "-i0.05", "-w20", "-s", "5000", "10.9.0.2"}));
    }
    const json report = stop();
    EXPECT_EQ(report["ports"][0]["dropped"]["drop"], 0);
    EXPECT_GE(report["ports"][0]["forwarded"], 3 * 4);
}

INSTANTIATE_TEST_SUITE_P(Devices, LiveTraffic, testing::Values("net_af_packet", "net_af_xdp"),
                         [](const auto& device) { return std::string(device.param); });

/// Two taps that the data plane makes, each given to a host.
TEST_F(Live, Taps) {
    if (const std::string why = missing_tool({"curl"}); !why.empty()) GTEST_SKIP() << why;
    if (const std::string why = no_taps(); !why.empty()) GTEST_SKIP() << why;
    start(port("left", "net_tap0,iface=tap_left", "right", "all") +
          port("right", "net_tap1,iface=tap_right", "left", "all") +
          chain("all", {filter("sanity"), filter("flowcount")}));
    both_hosts([&](const std::string& side, int last) {
        ip("middle", fmt::format("link set tap_{0} netns {1}", side, net_->name(side)));
        ip(side, fmt::format("link set tap_{} up", side));
        ip(side, fmt::format("addr add 10.8.0.{}/24 dev tap_{}", last, side));
        ip(side, fmt::format("addr add fd08::{}/64 dev tap_{} nodad", last, side));
    });
    const auto server = serve_web(8080);
    EXPECT_TRUE(pings("10.8.0.2"));
    EXPECT_TRUE(pings("fd08::2"));
    EXPECT_TRUE(fetches("10.8.0.2:8080"));
    EXPECT_TRUE(fetches("[fd08::2]:8080"));
    const json report = stop();
    EXPECT_GE(report["ports"][1]["forwarded"], 20);
    EXPECT_EQ(report["ports"][1]["dropped"]["drop"], 0);
}

} // namespace
} // namespace xdplane
