// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// `xdplane ctl` against `xdplane run`, and clients that do not behave.
#include <csignal>
#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <fmt/format.h>

#include "tests/e2e/packet_file.h"
#include "tests/e2e/process.h"
#include "tests/support/eventually.h"
#include "tests/support/places.h"

namespace xdplane {
namespace {

using nlohmann::json;

const std::string kProgram = build_path("xdplane");
const std::string kFilters = build_path("filters");
const std::string kTestPrograms = build_path("tests/e2e/programs/");

/// A connection as a careless client has it: plain system calls, and a limit on every wait.
class Client {
public:
    explicit Client(const std::string& path) : fd_(socket(AF_UNIX, SOCK_STREAM, 0)) {
        sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        const timeval limit{.tv_sec = 10, .tv_usec = 0};
        setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        connected_ = connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    }
    [[nodiscard]] bool connected() const { return connected_; }
    /// False once the other end has closed.
    bool send(const std::string& text) const {
        std::size_t done = 0;
        while (done < text.size()) {
            const ssize_t n = ::send(fd_.get(), text.data() + done, text.size() - done, MSG_NOSIGNAL);
            if (n <= 0) return false;
            done += static_cast<std::size_t>(n);
        }
        return true;
    }
    /// One line; empty if the other end closes first.
    std::string receive() {
        std::array<char, 4096> some{};
        for (;;) {
            if (const std::size_t end = input_.find('\n'); end != std::string::npos) {
                const std::string line = input_.substr(0, end);
                input_.erase(0, end + 1);
                return line;
            }
            const ssize_t n = recv(fd_.get(), some.data(), some.size(), 0);
            if (n <= 0) return {};
            input_.append(some.data(), static_cast<std::size_t>(n));
        }
    }
    std::string ask(const std::string& line) {
        send(line + "\n");
        return receive();
    }

private:
    UniqueFd fd_;
    bool connected_ = false;
    std::string input_;
};

class Ctl : public testing::Test {
protected:
    void SetUp() override {
        config("pass");
        start();
    }
    void config(const std::string& filter) const {
        std::ofstream(scratch_.file("run.toml")) << fmt::format(
            "[control]\nsocket = \"{}\"\nmode = \"0600\"\n"
            "[[port]]\nname = \"a\"\ndevice = \"net_null0,size=64\"\npeer = \"a\"\nchain = \"c\"\n"
            "[[chain]]\nname = \"c\"\n[[chain.stage]]\nobject = \"{}\"\n",
            path_, filter.contains('/') ? filter : kFilters + "/" + filter + ".bpf.o");
    }
    void start(const std::string& says = "running, 1 port") {
        run_ = std::make_unique<Process>(std::vector<std::string>{
            kProgram, "run", "--config", scratch_.file("run.toml"), "--json", "--", "--no-huge"});
        ASSERT_TRUE(run_->says(says));
    }
    [[nodiscard]] Finished ctl(std::vector<std::string> words) const {
        words.insert(words.begin(), {kProgram, "ctl", "--control", path_});
        return run_process(words);
    }
    [[nodiscard]] json result(const std::string& command) const {
        const Finished done = ctl({"--json", command});
        EXPECT_EQ(done.status, 0) << done.err;
        return json::parse(done.out, nullptr, false);
    }
    void TearDown() override {
        if (!run_) return;
        run_->signal(SIGTERM);
        const Finished done = run_->wait();
        EXPECT_EQ(done.status, 0) << done.err;
        const json report = json::parse(done.out, nullptr, false);
        ASSERT_TRUE(report.is_object()) << done.out;
        EXPECT_EQ(report["buffers_missing"], 0);
        EXPECT_NE(access(path_.c_str(), F_OK), 0) << "the socket file was left behind";
    }

    ScratchDirectory scratch_;
    std::string path_ = scratch_.file("control.sock");
    std::unique_ptr<Process> run_;
};

TEST_F(Ctl, EveryCommandHasTextAndJson) {
    for (const std::string command : {"status", "ports", "workers", "chains", "maps", "pins", "stats"}) {
        const Finished text = ctl({command});
        EXPECT_EQ(text.status, 0) << text.err;
        EXPECT_TRUE(text.out.ends_with("\n")) << command;
        EXPECT_FALSE(result(command).is_discarded()) << command;
    }
    const json status = result("status");
    EXPECT_EQ(status["generation"], 1);
    EXPECT_EQ(status["workers"], 1);
    EXPECT_EQ(status["last_error"], nullptr);
    const json worker = result("workers")[0];
    EXPECT_GT(worker["packets"], 0);
    EXPECT_GT(worker["cycles_per_packet"], 0);
    EXPECT_LE(worker["busy"], 1.0);
    EXPECT_EQ(result("chains")[0]["stages"][0]["name"], "pass");
    struct stat st{};
    ASSERT_EQ(stat(path_.c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 0777, 0600U);
}

TEST_F(Ctl, WhatPacketsCostAddsUp) {
    json stats;
    EXPECT_TRUE(eventually([&] {
        stats = result("stats");
        return stats["chains"][0]["timed_packets"] > 0;
    }));
    const json& chain = stats["chains"][0];
    EXPECT_GT(chain["ns_per_packet"], 0);
    EXPECT_GT(stats["tsc_hz"], 1e6);
    // Stopped, the books are exact.
    run_->signal(SIGTERM);
    const Finished done = run_->wait(std::chrono::seconds(60));
    run_.reset();
    ASSERT_EQ(done.status, 0) << done.err;
    stats = json::parse(done.out);
    const json& port = stats["ports"][0];
    const json& queue = port["queues"][0];
    const json& worker = stats["worker_reports"][0];
    const json& last = stats["chains"][0];
    EXPECT_EQ(queue["rx_packets"], port["rx_packets"]);
    EXPECT_EQ(queue["rx_bytes"], port["rx_bytes"]);
    EXPECT_EQ(queue["rx_packets"], last["packets"]);
    EXPECT_EQ(queue["bursts"], last["bursts"]);
    EXPECT_EQ(queue["bursts"], worker["bursts"]);
    EXPECT_EQ(queue["polls"], worker["rounds"]);
    EXPECT_LE(queue["bursts"], queue["polls"]);
    EXPECT_LE(queue["cycles"], worker["cycles"]);
    EXPECT_GT(queue["busy"], 0);
    EXPECT_LE(queue["busy"], 1);
    EXPECT_EQ(last["stages"][0]["packets"], last["packets"]);
    EXPECT_EQ(last["stages"][0]["bursts"], last["bursts"]);
    EXPECT_LE(last["timed_packets"], last["packets"]);
    EXPECT_LE(last["stages"][0]["timed_cycles"], last["timed_cycles"]);
    EXPECT_LT(last["timed_cycles"], queue["cycles"]);
    EXPECT_LE(queue["packets_per_burst"], 64);
}

TEST_F(Ctl, ReloadAndRollBack) {
    EXPECT_EQ(ctl({"rollback"}).status, 1);
    config("drop");
    EXPECT_EQ(result("reload")["generation"], 2);
    EXPECT_EQ(result("chains")[0]["stages"][0]["name"], "drop");
    // SIGHUP does the same, and says so.
    config("pass");
    run_->signal(SIGHUP);
    EXPECT_TRUE(run_->says("reload: generation 3 runs"));
    EXPECT_EQ(result("rollback")["generation"], 4);
    const json chains = result("chains");
    EXPECT_EQ(chains[0]["stages"][0]["name"], "drop");
    EXPECT_EQ(chains[0]["stages"][1]["name"], "pass") << "what has counted stays counted";
}

TEST_F(Ctl, ABrokenConfigurationIsToldAndLeftAlone) {
    config(kTestPrograms + "refused.bpf.o");
    const Finished refused = ctl({"reload"});
    EXPECT_EQ(refused.status, 1);
    EXPECT_NE(refused.err.find("refused.bpf.o: program"), std::string::npos) << refused.err;
    run_->signal(SIGHUP);
    EXPECT_TRUE(run_->says("generation 1 goes on"));
    EXPECT_NE(result("status")["last_error"].get<std::string>().find("refused"), std::string::npos);
    EXPECT_EQ(result("status")["generation"], 1);
}

TEST_F(Ctl, ListsAreLoadedIntoMapsInUse) {
    config("blocklist");
    EXPECT_EQ(result("reload")["generation"], 2);
    const std::string list = scratch_.file("drop.txt");
    const auto load = [&](const std::string& text) {
        std::ofstream(list) << text;
        return ctl({"load", "blocklist", list});
    };
    EXPECT_EQ(load("# nobody\n192.0.2.0/24\n2001:db8::/32 {\"verdict\": 1}\n").out,
              "blocklist: 2 added, 0 removed, 0 kept, 0 of them changed\n");
    EXPECT_EQ(load("192.0.2.0/24\n198.51.100.7\n203.0.113.0/24\n").out,
              "blocklist: 2 added, 1 removed, 1 kept, 0 of them changed\n");
    const auto entries = [&] {
        for (const json& map : result("maps"))
            if (map["name"] == "blocklist") return map["entries"];
        return json();
    };
    EXPECT_EQ(entries(), 3);

    const Finished refused = load("192.0.2.0/24\n10.1.2.3/8\n");
    EXPECT_EQ(refused.status, 1);
    EXPECT_EQ(
        refused.err,
        fmt::format("xdplane: {}:2: '10.1.2.3/8' has bits behind its length; the prefix is 10.0.0.0/8\n",
                    list));
    EXPECT_EQ(entries(), 3) << "nothing is changed";

    std::string many;
    for (int i = 0; i < 65537; ++i) many += fmt::format("10.{}.{}.{}\n", i >> 16, i >> 8 & 255, i & 255);
    EXPECT_EQ(load(many).err,
              fmt::format("xdplane: {}: map blocklist: 65537 entries, and the map has room for 65536 "
                          "(max_entries)\n",
                          list));
    EXPECT_EQ(entries(), 3);
    EXPECT_EQ(ctl({"load", "blocklist:blocklist", list + "x"}).err,
              fmt::format("xdplane: {}x: map blocklist: No such file or directory\n", list));
    EXPECT_EQ(ctl({"load", "c/blocklist:blocklist", "/dev/zero"}).err,
              "xdplane: /dev/zero: map blocklist: is no regular file\n");
}

/// Two ports, each with a chain of its own: both have the block list, one has an object beside it.
class TwoChains : public Ctl {
protected:
    void SetUp() override {
        std::ofstream file(scratch_.file("run.toml"));
        file << fmt::format("[control]\nsocket = \"{}\"\n", path_);
        for (const std::string name : {"left", "right"})
            file << fmt::format(
                "[[port]]\nname = \"{0}\"\ndevice = \"net_null_{0},size=64\"\nchain = \"{0}\"\n"
                "[[chain]]\nname = \"{0}\"\n[[chain.stage]]\nobject = \"blocklist.bpf.o\"\n",
                name);
        file << "[[chain.stage]]\nobject = \"sanity.bpf.o\"\n";
        file.close();
        start("running, 2 ports");
    }
};

TEST_F(TwoChains, EveryCommandTakesTheSameNamesOfMaps) {
    const std::string list = scratch_.file("drop.txt");
    std::ofstream(list) << "192.0.2.0/24\n";
    const auto commands = [&](const std::string& map) {
        return std::vector<std::vector<std::string>>{{"--json", "map", map}, {"load", map, list}};
    };
    EXPECT_EQ(ctl({"load", "right/blocklist:blocklist", list}).out,
              "blocklist: 1 added, 0 removed, 0 kept, 0 of them changed\n");
    const auto entries = [&](const std::string& map) {
        const json dump = json::parse(ctl({"--json", "map", map}).out, nullptr, false);
        EXPECT_EQ(dump["maps"].size(), 1U) << map;
        return dump["maps"][0]["entries"].size();
    };
    EXPECT_EQ(entries("left/blocklist:blocklist"), 0U);
    EXPECT_EQ(entries("right/blocklist:blocklist"), 1U);
    EXPECT_EQ(entries("sanity_config"), entries("sanity:sanity_config"));
    EXPECT_EQ(entries("sanity_config"), entries("right/sanity:sanity_config"));
    for (const std::string name : {"blocklist", "blocklist:blocklist"})
        for (const auto& words : commands(name)) {
            const Finished done = ctl(words);
            EXPECT_EQ(done.status, 1);
            EXPECT_EQ(done.out, "");
            EXPECT_EQ(done.err, fmt::format("xdplane: several maps are called '{}'; say which: "
                                            "left/blocklist:blocklist, right/blocklist:blocklist\n",
                                            name));
        }
    for (const std::string name : {"nope", "left/sanity:sanity_config", "sanity/sanity_config", "/", ":"})
        for (const auto& words : commands(name)) {
            const Finished done = ctl(words);
            EXPECT_EQ(done.status, 1);
            EXPECT_TRUE(done.err.starts_with(fmt::format("xdplane: no map '{}' (there are: ", name)))
                << done.err;
            EXPECT_NE(done.err.find("sanity_stats"), std::string::npos) << done.err;
            EXPECT_EQ(done.err.find("blocklist_stats"), done.err.rfind("blocklist_stats"))
                << "each name once: " << done.err;
        }
}

TEST_F(TwoChains, AReloadSaysWhatBecameOfEachChainsMaps) {
    const Finished done = ctl({"reload"});
    EXPECT_EQ(done.status, 0) << done.err;
    EXPECT_NE(done.out.find("\n  left/blocklist:blocklist kept\n"), std::string::npos) << done.out;
    EXPECT_NE(done.out.find("\n  right/blocklist:blocklist kept\n"), std::string::npos) << done.out;
    std::map<std::string, int> maps;
    const json again = result("reload");
    for (const json& map : again["maps"]) ++maps[map["chain"]];
    EXPECT_GE(maps["left"], 3);
    EXPECT_GT(maps["right"], maps["left"]) << "sanity's are beside them";
}

TEST_F(Ctl, WrongWordsAreUsageErrors) {
    for (const std::vector<std::string>& words : {std::vector<std::string>{},
                                                  {"frob"},
                                                  {"map"},
                                                  {"status", "more"},
                                                  {"map", "a", "b"},
                                                  {"load"},
                                                  {"load", "a"},
                                                  {"load", "a", "b", "c"},
                                                  {"capture"},
                                                  {"--json", "capture", "-w", "-"}}) {
        const Finished done = ctl(words);
        EXPECT_EQ(done.status, 2);
        EXPECT_EQ(done.out, "");
    }
    const Finished no_map = ctl({"map", "nope"});
    EXPECT_EQ(no_map.status, 1);
    EXPECT_EQ(no_map.err, "xdplane: no map 'nope': there are no maps\n");
    const Finished nobody = run_process({kProgram, "ctl", "--control", scratch_.file("none"), "status"});
    EXPECT_EQ(nobody.status, 1);
    EXPECT_EQ(nobody.err, fmt::format("xdplane: {}: No such file or directory (is `xdplane run` running?)\n",
                                      scratch_.file("none")));
}

TEST_F(Ctl, TwoCanNotListenOnOneSocket) {
    const Finished second = run_process(
        {kProgram, "run", "--config", scratch_.file("run.toml"), "--duration", "0.2", "--", "--no-huge"});
    EXPECT_EQ(second.status, 1);
    EXPECT_NE(second.err.find("another process listens there"), std::string::npos) << second.err;
    EXPECT_EQ(result("status")["generation"], 1);
}

TEST_F(Ctl, ASocketThatNobodyListensOnIsTakenOver) {
    run_->signal(SIGKILL);
    EXPECT_EQ(run_->wait().status, 128 + SIGKILL);
    EXPECT_EQ(access(path_.c_str(), F_OK), 0);
    start();
    EXPECT_EQ(result("status")["generation"], 1);
}

TEST_F(Ctl, NonsenseIsAnsweredAndHarmsNobody) {
    Client client(path_);
    ASSERT_TRUE(client.connected());
    for (const std::string line : {"",
                                   "nonsense",
                                   "[]",
                                   "{}",
                                   "{\"command\": 7}",
                                   "{\"command\": \"frob\"}",
                                   "{\"command\": \"map\"}",
                                   "{\"command\": \"map\", \"map\": 7}",
                                   "{\"command\": \"capture\", \"ports\": 7}",
                                   "{\"command\": \"capture\", \"ports\": [7]}",
                                   "{\"command\": \"capture\", \"ports\": [\"x\"]}",
                                   "{\"command\": \"capture\", \"verdicts\": [\"x\"]}",
                                   "{\"command\": \"capture\", \"at\": 7}",
                                   "{\"command\": \"capture\", \"snaplen\": -1}",
                                   "{\"command\": \"capture\", \"snaplen\": 65536}",
                                   "{\"command\": \"capture\", \"filter\": 7}",
                                   "{\"command\": \"capture\", \"filter\": \"x\"}",
                                   "{\"command\": \"capture\", \"filter\": \"\"}",
                                   "{\"command\": \"capture\", \"filter\": \"zzzzzzzzzzzzzzzz\"}",
                                   "{\"command\": \"capture\", \"filter\": \"0005000000000009\"}",
                                   "{\"command\": \"capture\", \"filter\": \"ffffffffffffffff\"}",
                                   "{\"command\": \"status\", \"text\": \"yes\"",
                                   "\x80\xff\xfe",
                                   "{\"command\": \"\xff\"}"}) {
        const json reply = json::parse(client.ask(line), nullptr, false);
        ASSERT_TRUE(reply.is_object()) << line;
        EXPECT_EQ(reply["ok"], false) << line;
        EXPECT_NE(reply["error"], "") << line;
    }
    EXPECT_EQ(json::parse(client.ask(std::string(30000, '[')), nullptr, false)["ok"], false);
    EXPECT_EQ(json::parse(client.ask("{\"command\": \"status\", \"text\": 1}"), nullptr, false)["ok"], true);
    // Two requests in one piece have two replies, in order.
    client.send("{\"command\": \"status\"}\n{\"command\": \"frob\"}\n");
    EXPECT_EQ(json::parse(client.receive(), nullptr, false)["ok"], true);
    EXPECT_EQ(json::parse(client.receive(), nullptr, false)["ok"], false);
}

TEST_F(Ctl, ALineWithoutEndIsCutOff) {
    Client client(path_);
    client.send(std::string(100'000, 'x'));
    const std::string reply = client.receive();
    EXPECT_TRUE(reply.empty() || reply.contains("at most 65536 bytes")) << reply;
    EXPECT_EQ(client.receive(), "") << "closed";
    EXPECT_EQ(result("status")["generation"], 1);
}

TEST_F(Ctl, RandomBytesHarmNobody) {
    std::mt19937_64 random(20261130);
    for (int round = 0; round < 200; ++round) {
        Client client(path_);
        std::string bytes(random() % 3000, ' ');
        for (char& c : bytes) c = static_cast<char>(random());
        if (round % 2 == 0) bytes.insert(random() % (bytes.size() + 1), "{\"command\":\"status\"}\n");
        client.send(bytes);
        if (round % 3 == 0) (void)client.ask("");
    }
    EXPECT_EQ(result("status")["generation"], 1);
}

TEST_F(Ctl, ManyClientsWaitTheirTurnOrAreToldOff) {
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 64; ++i) {
        clients.push_back(std::make_unique<Client>(path_));
        ASSERT_EQ(json::parse(clients.back()->ask("{\"command\":\"status\"}"), nullptr, false)["ok"], true)
            << i;
    }
    Client late(path_);
    EXPECT_NE(late.receive().find("64 clients already"), std::string::npos);
    EXPECT_EQ(late.receive(), "");
    clients.clear();
    // Closed ones are noticed in time for whoever comes a moment later.
    EXPECT_TRUE(eventually(
        [&] { return Client(path_).ask("{\"command\":\"status\"}").starts_with("{\"ok\":true"); }));
}

TEST_F(Ctl, AClientThatDiesInTheMiddleIsForgotten) {
    {
        Client half(path_);
        half.send("{\"command\": \"sta");
    }
    {
        Client deaf(path_); // asks and never reads
        for (int i = 0; i < 50; ++i) deaf.send("{\"command\": \"stats\", \"text\": true}\n");
    }
    EXPECT_EQ(result("status")["generation"], 1);
}

} // namespace
} // namespace xdplane
