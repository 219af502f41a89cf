// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// `xdplane run` when something goes wrong around it. What is tested elsewhere: links that go down and come
// back (run_ports_test), pools that run dry (inline_buffers_test), configurations that are wrong
// (reload_test), workers that hang (service_test).
#include "tests/e2e/run_support.h"

#include <atomic>
#include <cstring>
#include <random>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bpf/base/unique_fd.h"
#include "bpf/remote/protocol.h"
#include "tests/support/eventually.h"

namespace xdplane {
namespace {

using Strings = std::vector<std::string>;

/// Debian's directory for it is in root's path only.
std::string bpftool() { return access("/usr/sbin/bpftool", X_OK) == 0 ? "/usr/sbin/bpftool" : "bpftool"; }

class Faults : public Run {
protected:
    /// With a control socket, until stop().
    void start(const std::string& text, const Strings& options = {}) {
        run_ = std::make_unique<Process>(
            command(text, with({"--control", socket_, "--duration", "600"}, options)));
        ASSERT_TRUE(run_->says("running, ", 60s)) << run_->wait().err;
    }
    json stop() {
        run_->signal(SIGTERM);
        return check(run_->wait(60s));
    }
    [[nodiscard]] Strings ctl_words(Strings words) const {
        words.insert(words.begin(), {kProgram, "ctl", "--control", socket_});
        return words;
    }
    [[nodiscard]] Finished ctl(Strings words) const { return run_process(ctl_words(std::move(words)), 60s); }
    [[nodiscard]] json result(Strings words) const {
        words.insert(words.begin(), "--json");
        const Finished done = ctl(std::move(words));
        EXPECT_EQ(done.status, 0) << done.err;
        return json::parse(done.out, nullptr, false);
    }
    /// Entries that a map says it has.
    [[nodiscard]] u64 entries(const std::string& name) const {
        for (const json& map : result({"maps"}))
            if (map["name"] == name) return map["entries"].get<u64>();
        return ~u64{0};
    }
    /// Packets of a slot of a per-CPU array of counters, over all CPUs.
    [[nodiscard]] u64 packets_in(const std::string& map, u32 slot) const {
        u64 packets = 0;
        const json dump = result({"map", map});
        for (const json& cpu : dump["maps"][0]["entries"][slot]["value_fields"])
            packets += cpu["packets"].get<u64>();
        return packets;
    }
    /// Waits for it, at most a minute.
    template<class Condition>
    static void wait_for(const char* what, Condition&& condition) {
        EXPECT_TRUE(eventually(condition)) << "not in time: " << what;
    }
    void write(const std::string& name, const std::string& text) const {
        std::ofstream(scratch_.file(name)) << text;
    }
    /// A list of so many addresses.
    void write_list(const std::string& name, u32 count) const {
        std::string text;
        for (u32 i = 0; i < count; ++i) text += fmt::format("10.{}.{}.{}\n", i >> 16, i >> 8 & 255, i & 255);
        write(name, text);
    }
    static std::string null_port(const std::string& chain) {
        return port("a", "net_null0,size=64", "a", chain);
    }

    std::string socket_ = scratch_.file("control.sock");
    std::unique_ptr<Process> run_;
};

TEST_F(Faults, AFullMapIsAnErrorOfTheProgramsOwn) {
    std::vector<Packet> packets;
    for (u32 i = 1; i <= 100; ++i) packets.push_back(numbered_packet(i, 60));
    write_packets(scratch_.file("in.pcap"), packets);
    for (const std::string engine : {"jit", "interpreter"}) {
        const json report = run(port("in", "net_pcap0,rx_pcap=" + scratch_.file("in.pcap"), "out", "small") +
                                    port("out", "net_pcap1,tx_pcap=" + scratch_.file("out.pcap")) +
                                    chain("small", {test_program("small_map")}),
                                with(kUntilRead, {"--engine", engine}));
        EXPECT_EQ(report["ports"][0]["forwarded"], 8);
        EXPECT_EQ(report["ports"][0]["dropped"]["drop"], 92);
        packets.resize(8);
        EXPECT_EQ(read_packets(scratch_.file("out.pcap")), packets);
    }
}

/// A program takes every element that becomes free while lists are loaded into its map.
TEST_F(Faults, AMapThatAProgramFillsIsLoadedOrLeftAndNeverTooFull) {
    start(null_port("small") + chain("small", {test_program("small_map")}));
    wait_for("a full map", [&] { return entries("small") == 8; });
    write("seven.txt", "1-7\n");
    write("eight.txt", "11-18\n");
    write("nine.txt", "1-9\n");
    EXPECT_EQ(ctl({"load", "small", scratch_.file("nine.txt")}).err,
              fmt::format("xdplane: {}: map small: 9 entries, and the map has room for 8 (max_entries)\n",
                          scratch_.file("nine.txt")));
    for (u32 i = 0; i < 40; ++i) {
        const Finished done = ctl({"load", "small", scratch_.file(i % 2 == 0 ? "seven.txt" : "eight.txt")});
        if (done.status != 0) {
            EXPECT_NE(done.err.find(".txt: map small: "), std::string::npos) << done.err;
            EXPECT_EQ(std::ranges::count(done.err, '\n'), 1) << done.err;
        }
        EXPECT_LE(entries("small"), 8U);
        EXPECT_LE(result({"map", "small"})["maps"][0]["entries"].size(), 8U);
    }
    const json report = stop();
    EXPECT_GT(report["ports"][0]["dropped"]["drop"], 0);
    EXPECT_EQ(report["ports"][0]["dropped"]["aborted"], 0);
}

/// A stage taken out of a program array ends the chain there, and comes back.
TEST_F(Faults, AStageThatIsMissing) {
    if (run_process({bpftool(), "version"}).status != 0) GTEST_SKIP() << "bpftool is not installed";
    start(null_port("c") + chain("c", {filter("chain:chain_sanity")}));
    const auto tool = [&](Strings words) {
        words.insert(words.begin(), {kProgram, "exec", "--control", socket_, "--", bpftool(), "-j"});
        const Finished done = run_process(words, 60s);
        EXPECT_EQ(done.status, 0) << done.err;
        return json::parse(done.out, nullptr, false);
    };
    std::string acl = "0";
    for (const json& program : tool({"prog", "show"}))
        if (program.value("name", "") == "chain_acl") acl = std::to_string(program["id"].get<u32>());
    const auto entered = [&](u32 stage) { return packets_in("chain_stats", stage); };
    wait_for("packets in the last stage", [&] { return entered(2) > 0; });

    tool({"map", "delete", "name", "stages", "key", "1", "0", "0", "0"});
    wait_for("an end to packets behind the gap", [&] {
        const u64 before = entered(1);
        const u64 first = entered(0);
        wait_for("packets in the first stage", [&] { return entered(0) > first; });
        return entered(1) == before;
    });
    wait_for("what entered the stage to leave it", [&] { return entered(2) == entered(1); });

    tool({"map", "update", "name", "stages", "key", "1", "0", "0", "0", "value", "id", acl});
    const u64 before = entered(2);
    wait_for("packets in the last stage again", [&] { return entered(2) > before; });
    const json report = stop();
    EXPECT_EQ(report["chains"][0]["verdicts"]["aborted"], 0);
    EXPECT_EQ(report["ports"][0]["forwarded"], report["ports"][0]["rx_packets"]);
}

/// kill -9 in the middle of what they asked for. A list is there as a whole, or not at all.
TEST_F(Faults, ClientsThatAreKilledInTheMiddle) {
    const std::string text = null_port("c") + chain("c", {filter("blocklist")});
    start(text);
    write_list("many.txt", 20'000);
    write_list("more.txt", 15'000);
    const std::vector<Strings> commands{
        ctl_words({"load", "blocklist", scratch_.file("many.txt")}),
        ctl_words({"map", "blocklist"}),
        ctl_words({"load", "blocklist", scratch_.file("more.txt")}),
        ctl_words({"reload"}),
        {kProgram, "exec", "--control", socket_, "--", bpftool(), "map", "dump", "name", "blocklist"}};
    for (u32 i = 0; i < 30; ++i) {
        const Process client(commands[i % commands.size()]);
        // Sooner and later, so that they are found in different moments of it.
        std::this_thread::sleep_for(i * 3ms);
        client.signal(SIGKILL);
    }
    const u64 found = entries("blocklist");
    EXPECT_TRUE(found == 0 || found == 15'000 || found == 20'000) << found;
    EXPECT_EQ(ctl({"load", "blocklist", scratch_.file("more.txt")}).status, 0);
    EXPECT_EQ(entries("blocklist"), 15'000U);
    EXPECT_EQ(result({"status"})["last_error"], nullptr);
    EXPECT_GT(stop()["packets"], 0);
}

/// One connection to a socket of the daemon's, with a limit on every wait.
class Connection {
public:
    explicit Connection(const std::string& path) : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        const timeval limit{.tv_sec = 60, .tv_usec = 0};
        setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        (void)connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    }
    void send(const std::string& bytes) const {
        (void)::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    }
    /// Something, the end, or an error.
    void receive() const {
        std::array<char, 4096> some{};
        (void)recv(fd_.get(), some.data(), some.size(), 0);
    }

private:
    UniqueFd fd_;
};

/// Nearly a request of the control socket.
std::string nearly_control(std::mt19937& random) {
    static constexpr const char* kRequests[] = {
        R"({"command": "status", "text": true})",
        R"({"command": "map", "map": "blocklist"})",
        R"({"command": "load", "map": "blocklist", "file": "/dev/zero"})",
        R"({"command": "load", "map": "blocklist", "file": "/nonexistent"})",
        R"({"command": "chains"})",
        R"({"command": "reload"})",
        R"({"command": "rollback"})",
        R"({"command": "pins", "text": false})",
        R"({"command": "stats", "text": {"a": [1, 2, null]}})"};
    std::string line = kRequests[random() % std::size(kRequests)];
    for (u32 changes = random() % 4; changes != 0; --changes) {
        const std::size_t at = random() % line.size();
        switch (random() % 4) {
        case 0: line[at] = static_cast<char>(random()); break;
        case 1: line.erase(at, random() % 8); break;
        case 2: line.insert(at, line.substr(random() % line.size(), random() % 16)); break;
        default: line.insert(at, random() % 64, '[');
        }
        if (line.empty()) break;
    }
    return random() % 8 == 0 ? line : line + "\n";
}

/// Nearly a call of bpf(2).
std::string nearly_bpf(std::mt19937& random) {
    remote::RequestHeader header{.magic = remote::kRequestMagic,
                                 .command = static_cast<u32>(random() % 40),
                                 .attributes = static_cast<u32>(random() % 160),
                                 .slots = static_cast<u32>(random() % 3),
                                 .fds = random() % 4 == 0 ? 1U : 0U,
                                 .size = 0};
    header.size = header.attributes + header.slots * 4 + static_cast<u32>(random() % 64);
    std::string bytes(sizeof header + header.size, '\0');
    for (std::size_t i = sizeof header; i < bytes.size(); ++i)
        if (random() % 3 == 0) bytes[i] = static_cast<char>(random() % 4);
    if (random() % 4 == 0) reinterpret_cast<u32*>(&header)[random() % 6] = static_cast<u32>(random());
    std::memcpy(bytes.data(), &header, sizeof header);
    return random() % 4 == 0 ? bytes.substr(0, random() % bytes.size()) : bytes;
}

TEST_F(Faults, FloodedAndFuzzedSockets) {
    start(null_port("c") + chain("c", {filter("blocklist")}));
    std::vector<std::thread> clients;
    for (u32 seed = 1; seed <= 8; ++seed)
        clients.emplace_back([this, seed] {
            std::mt19937 random(seed);
            for (u32 round = 0; round < 60; ++round) {
                const bool control = seed % 2 == 0;
                const Connection connection(socket_ + (control ? "" : ".bpf"));
                for (u32 i = random() % 8; i != 0; --i)
                    connection.send(control ? nearly_control(random) : nearly_bpf(random));
                if (control && random() % 2 == 0) {
                    connection.send("\n");
                    connection.receive();
                }
            }
        });
    const u64 packets = result({"status"})["packets"].get<u64>();
    for (std::thread& client : clients) client.join();
    wait_for("packets", [&] { return result({"status"})["packets"].get<u64>() > packets; });
    // A reload that was refused would be told.
    EXPECT_EQ(ctl({"reload"}).status, 0);
    EXPECT_EQ(result({"status"})["last_error"], nullptr);
    EXPECT_EQ(result({"status"})["hanging"], nullptr);
    EXPECT_GT(stop()["packets"], 0);
}

/// SIGTERM while packets run on two workers, a configuration is being loaded and clients wait for it.
TEST_F(Faults, StopsInTheMiddleOfEverything) {
    write_list("many.txt", 20'000);
    const std::string chains = chain("flows", {filter("sanity"), filter("flowcount")}) +
                               chain("long", {filter("blocklist")}) + "maps = { blocklist = \"many.txt\" }\n";
    const auto text = [&](const std::string& chain) {
        return port("a", "net_null0,size=64", "b", chain) + port("b", "net_null1,size=64", "a", "flows") +
               chains;
    };
    for (const bool reloads : {false, true}) {
        start(text("flows"), {"--workers", std::thread::hardware_concurrency() > 1 ? "2" : "1"});
        wait_for("packets", [&] { return result({"status"})["packets"].get<u64>() > 0; });
        std::vector<std::unique_ptr<Process>> clients;
        if (reloads) {
            (void)config(text("long"));
            for (u32 i = 0; i < 8; ++i)
                clients.push_back(std::make_unique<Process>(ctl_words({i % 2 == 0 ? "reload" : "stats"})));
            run_->signal(SIGHUP);
        }
        EXPECT_GT(stop()["packets"], 0);
        for (const auto& client : clients) (void)client->wait(60s);
    }
}

} // namespace
} // namespace xdplane
