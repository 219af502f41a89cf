// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// Every program in filters/ allows and blocks what it says, on the wire, while it is told otherwise.
#include "tests/e2e/live_support.h"

#include <set>

#include "tests/support/eventually.h"

namespace xdplane {
namespace {

const std::string kOddFrames = source_path("tests/e2e/odd_frames.py");

/// Those below. Another filter needs a test here.
const std::set<std::string> kTested{"acl",       "blocklist", "chain",  "drop",     "flowcount", "pass",
                                    "ratelimit", "redirect",  "sanity", "synguard", "tap",       "vlan"};

TEST(LiveFilterTable, IsComplete) {
    std::set<std::string> there;
    for (const auto& file : std::filesystem::directory_iterator(kFilters))
        if (const std::string name = file.path().filename(); name.ends_with(".bpf.o"))
            there.insert(name.substr(0, name.size() - 6));
    EXPECT_EQ(there, kTested);
}

class LiveFilters : public Live {
protected:
    void SetUp() override {
        if (const std::string why = missing_tool({"curl"}); !why.empty()) GTEST_SKIP() << why;
        Live::SetUp();
    }
    /// The filter in front of the left host, and nothing in front of the right one.
    void start_with(const std::string& name) {
        start(ports("net_af_packet", "c") + chain("c", {filter(name)}));
    }
    [[nodiscard]] bool ping_is_blocked(const std::string& address = "10.9.0.2") const {
        return !net_->ping(address, 2, 1);
    }
};

TEST_F(LiveFilters, PassAndDrop) {
    start_with("pass");
    EXPECT_TRUE(pings("10.9.0.2"));
    reload(ports("net_af_packet", "c") + chain("c", {filter("drop")}));
    EXPECT_TRUE(ping_is_blocked());
    EXPECT_TRUE(ping_is_blocked("fd09::2"));
    const json report = stop();
    EXPECT_EQ(report["ports"][0]["dropped"]["drop"], report["chains"][0]["verdicts"]["drop"]);
}

TEST_F(LiveFilters, Acl) {
    start_with("acl");
    const auto closed = serve_web(8081);
    const auto open = serve_web(8080);
    for (const std::string host : {"10.9.0.2", "[fd09::2]"}) EXPECT_TRUE(fetches(host + ":8081"));
    load("acl_rules",
         R"([{"key": 0, "value": {"protocol": 6, "dport_min": 8081, "dport_max": 8082, "action": 1}}])");
    for (const std::string host : {"10.9.0.2", "[fd09::2]"}) {
        EXPECT_TRUE(is_blocked(host + ":8081"));
        EXPECT_TRUE(fetches(host + ":8080"));
    }
    load("acl_rules", "[]");
    EXPECT_TRUE(fetches("10.9.0.2:8081"));
    EXPECT_GE(packets_in("acl_hits", 0), 2U);
    (void)stop();
}

TEST_F(LiveFilters, Blocklist) {
    start_with("blocklist");
    EXPECT_TRUE(pings("10.9.0.2"));
    load("blocklist", "10.9.0.0/24\n");
    EXPECT_TRUE(ping_is_blocked());
    EXPECT_TRUE(pings("fd09::2"));
    load("blocklist", "fd09::1\n");
    EXPECT_TRUE(pings("10.9.0.2"));
    EXPECT_TRUE(ping_is_blocked("fd09::2"));
    EXPECT_GE(entries("blocklist")[0]["value_fields"]["packets"], 2);
    load("blocklist", "# nobody\n");
    EXPECT_TRUE(pings("fd09::2"));
    (void)stop();
}

TEST_F(LiveFilters, Chain) {
    start_with("chain:chain_sanity");
    const auto server = serve_web(8080);
    EXPECT_TRUE(fetches("10.9.0.2:8080"));
    load("chain_closed", R"([{"key": "1f90 06 00", "value": 0}])");
    EXPECT_TRUE(is_blocked("10.9.0.2:8080"));
    EXPECT_TRUE(pings("10.9.0.2"));
    // Between the two readings another one may come, such as an answer to one that was dropped, sent again.
    EXPECT_TRUE(eventually([&] { return packets_in("chain_stats", 1) == packets_in("chain_stats", 0); }))
        << "none is malformed";
    load("chain_closed", "[]");
    EXPECT_TRUE(fetches("10.9.0.2:8080"));
    (void)stop();
}

TEST_F(LiveFilters, Flowcount) {
    start_with("flowcount");
    EXPECT_TRUE(net_->ping("10.9.0.2", 5, 60));
    u64 pings = 0;
    for (const json& flow : entries("flows"))
        if (flow["key_fields"]["protocol"] == 1)
            for (const json& cpu : flow["value_fields"]) pings += cpu["packets"].get<u64>();
    EXPECT_EQ(pings, 5U);
    (void)stop();
}

TEST_F(LiveFilters, Ratelimit) {
    start_with("ratelimit");
    EXPECT_TRUE(pings("10.9.0.2"));
    // Nothing flows in: what a bucket begins with is all there is.
    load("ratelimit_config", R"([{"key": 0, "value": {"rate": 0, "burst": 8}}])");
    const Finished pinged = in_left({"ping", "-q", "-i", "0.05", "-c", "40", "-w", "4", "10.9.0.2"});
    EXPECT_NE(pinged.out.find(" 8 received"), std::string::npos) << pinged.out;
    EXPECT_GE(packets_in("ratelimit_stats", 1), 1U);
    EXPECT_TRUE(ping_is_blocked());
    load("ratelimit_config", R"([{"key": 0, "value": {"rate": 1000000, "burst": 1000}}])");
    EXPECT_TRUE(pings("10.9.0.2"));
    (void)stop();
}

TEST_F(LiveFilters, Redirect) {
    // Only the program knows the way.
    const std::string both = port("left", "net_af_packet0,iface=left0", "", "c", 11) +
                             port("right", "net_af_packet1,iface=right0", "left", "", 12);
    start(both + chain("c", {filter("redirect:redirect")}));
    EXPECT_TRUE(ping_is_blocked());
    load("redirect_config", R"([{"key": 0, "value": {"ifindex": 12}}])");
    EXPECT_TRUE(pings("10.9.0.2"));
    load("redirect_config", R"([{"key": 0, "value": {"ifindex": 99}}])");
    EXPECT_TRUE(ping_is_blocked());
    const json report = stop();
    EXPECT_GT(report["ports"][0]["dropped"]["no_peer"], 0);
    EXPECT_GT(report["ports"][0]["dropped"]["no_such_port"], 0);
}

TEST_F(LiveFilters, Hairpin) {
    start_with("redirect:hairpin");
    ip("left", "neigh add 10.9.0.77 lladdr 02:00:00:00:00:77 dev host");
    const auto received = [&] {
        return std::stoul(net_->run("left", {"cat", "/sys/class/net/host/statistics/rx_packets"}).out);
    };
    const u64 before = received();
    EXPECT_TRUE(ping_is_blocked("10.9.0.77")) << "its own packets, and no answers";
    EXPECT_TRUE(eventually([&] { return received() >= before + 2; }));
    const json report = stop();
    EXPECT_EQ(report["ports"][0]["forwarded"], report["chains"][0]["verdicts"]["tx"]);
    EXPECT_EQ(report["ports"][1]["tx_packets"], 0);
}

TEST_F(LiveFilters, Sanity) {
    start_with("sanity");
    EXPECT_TRUE(pings("10.9.0.2"));
    const std::string mac = net_->run("right", {"cat", "/sys/class/net/host/address"}).out;
    const Finished sent =
        in_left({"python3", kOddFrames, "host", mac.substr(0, 17), "10.9.0.1", "10.9.0.2", "5"});
    ASSERT_EQ(sent.status, 0) << sent.err;
    std::istringstream checks(sent.out);
    u64 odd = 0;
    for (u32 check = 0; checks >> check; odd += 5) {
        EXPECT_TRUE(eventually([&] { return packets_in("sanity_stats", check) >= 5; }));
        EXPECT_EQ(packets_in("sanity_stats", check), 5U) << "check " << check;
    }
    EXPECT_EQ(odd, 45U);
    EXPECT_TRUE(pings("fd09::2"));
    EXPECT_EQ(stop()["ports"][0]["dropped"]["drop"], odd);
}

TEST_F(LiveFilters, Synguard) {
    // Both directions pass it.
    start(ports("net_af_packet", "c", "c") + chain("c", {filter("synguard")}));
    ip("left", "addr add 10.9.0.3/24 dev host");
    const auto server = serve_web(8080);
    EXPECT_TRUE(fetches("10.9.0.2:8080")) << "off, and the server is there";
    load("synguard_config", R"([{"key": 0, "value": {"window_ns": 600000000000, "threshold": 2}}])");
    // This one has shaken hands before the window was full; others have not.
    for (int i = 0; i < 5; ++i) EXPECT_TRUE(fetches("10.9.0.2:8080"));
    EXPECT_GE(packets_in("synguard_stats", 2), 1U);
    const auto stranger = [&](int seconds) {
        Strings words = curl("10.9.0.2:8080", seconds);
        words.insert(words.end(), {"--interface", "10.9.0.3"});
        return words;
    };
    EXPECT_NE(in_left(stranger(1)).status, 0);
    EXPECT_GE(packets_in("synguard_stats", 3), 1U);
    load("synguard_config", R"([{"key": 0, "value": {"threshold": 0}}])");
    EXPECT_TRUE(works(stranger(20)));
    (void)stop();
}

TEST_F(LiveFilters, Tap) {
    const std::string bpftool = "/usr/sbin/bpftool";
    if (access(bpftool.c_str(), X_OK) != 0) GTEST_SKIP() << "bpftool is not installed";
    start_with("tap");
    EXPECT_TRUE(pings("10.9.0.2"));
    EXPECT_GE(packets_in("tap_counts", 0), 3U);
    const auto tool = [&](Strings words) {
        words.insert(words.begin(), {kProgram, "exec", "--control", socket_, "--", bpftool});
        const Finished done = run_process(words, 60s);
        EXPECT_EQ(done.status, 0) << done.err;
    };
    tool({"prog", "load", kFilters + "/drop.bpf.o", "/sys/fs/bpf/drop"});
    tool({"map", "update", "name", "stages", "key", "1", "0", "0", "0", "value", "pinned",
          "/sys/fs/bpf/drop"});
    EXPECT_TRUE(ping_is_blocked());
    tool({"map", "delete", "name", "stages", "key", "1", "0", "0", "0"});
    EXPECT_TRUE(pings("10.9.0.2"));
    (void)stop();
}

/// With tags on the left, and none on the right.
TEST_F(LiveFilters, Vlan) {
    if (const std::string why = no_taps(); !why.empty()) GTEST_SKIP() << why;
    const auto left = tag("left", 7, 1);
    ip("right", "addr add 10.7.0.2/24 dev host");
    const auto config = [](const char* file) {
        return fmt::format("maps = {{ vlan_config = \"{}\" }}\n", file);
    };
    std::ofstream(scratch_.file("five.json")) << R"([{"key": 0, "value": {"pop_vid": 5}}])";
    std::ofstream(scratch_.file("seven.json")) << R"([{"key": 0, "value": {"pop_vid": 7, "push_tci": 7}}])";
    const std::string off = ports("net_af_packet", "off", "on") + chain("off", {filter("vlan:vlan_pop")});
    const std::string on = chain("on", {filter("vlan:vlan_push")}) + config("seven.json");
    start(off + config("five.json") + on);
    EXPECT_TRUE(ping_is_blocked("10.7.0.2")) << "its tag stays on";
    EXPECT_GT(packets_in("off/vlan:vlan_stats", 2), 0U) << "left alone";
    reload(off + config("seven.json") + on);
    EXPECT_TRUE(pings("10.7.0.2"));
    EXPECT_GT(packets_in("off/vlan:vlan_stats", 0), 0U) << "popped";
    EXPECT_GT(packets_in("on/vlan:vlan_stats", 1), 0U) << "pushed";
    (void)stop();
}

} // namespace
} // namespace xdplane
