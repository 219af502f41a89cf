// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// The metrics of `xdplane run`, as Prometheus fetches them, and clients that are no Prometheus.
#include "dataplane/metrics.h"

#include <arpa/inet.h>
#include <csignal>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sys/socket.h>

#include "tests/e2e/packet_file.h"
#include "tests/e2e/process.h"
#include "tests/support/eventually.h"
#include "tests/support/places.h"

namespace xdplane {
namespace {

const std::string kProgram = build_path("xdplane");
const std::string kFilters = build_path("filters");

class Connection {
public:
    explicit Connection(u16 port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in address{.sin_family = AF_INET,
                            .sin_port = htons(port),
                            .sin_addr = {htonl(INADDR_LOOPBACK)},
                            .sin_zero = {}};
        const timeval limit{.tv_sec = 60, .tv_usec = 0};
        setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        EXPECT_EQ(connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    }
    void send(const std::string& text) const {
        (void)::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL);
    }
    /// Until the other end closes.
    [[nodiscard]] std::string receive() const {
        std::string all;
        std::array<char, 4096> some{};
        for (ssize_t n = 1; n > 0;) {
            n = recv(fd_.get(), some.data(), some.size(), 0);
            if (n > 0) all.append(some.data(), static_cast<std::size_t>(n));
        }
        return all;
    }

private:
    UniqueFd fd_;
};

class Metrics : public testing::Test {
protected:
    void SetUp() override {
        std::ofstream(scratch_.file("run.toml"))
            << fmt::format("[control]\nsocket = \"{}\"\n[metrics]\nlisten = \"127.0.0.1:0\"\n"
                           "[[port]]\nname = \"a \\\"b\\\"\"\ndevice = \"net_null0,size=64\"\n"
                           "peer = \"a \\\"b\\\"\"\nchain = \"c\"\n"
                           "[[chain]]\nname = \"c\"\n[[chain.stage]]\nobject = \"{}/blocklist.bpf.o\"\n",
                           scratch_.file("control.sock"), kFilters);
        run_ = std::make_unique<Process>(std::vector<std::string>{
            kProgram, "run", "--config", scratch_.file("run.toml"), "--", "--no-huge"});
        ASSERT_TRUE(run_->says("running, 1 port", std::chrono::seconds(60)));
        std::smatch match;
        const std::string said = run_->said();
        ASSERT_TRUE(
            std::regex_search(said, match, std::regex("metrics at http://127.0.0.1:([0-9]+)/metrics")))
            << said;
        port_ = static_cast<u16>(std::stoi(match[1]));
    }
    void TearDown() override {
        run_->signal(SIGTERM);
        const Finished done = run_->wait(std::chrono::seconds(60));
        EXPECT_EQ(done.status, 0) << done.err;
    }
    [[nodiscard]] std::string ask(const std::string& request) const {
        const Connection connection(port_);
        connection.send(request);
        return connection.receive();
    }
    [[nodiscard]] std::string page() const { return ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"); }
    /// The value of a sample; -1 if it is not there.
    [[nodiscard]] static double sample(const std::string& page, const std::string& name) {
        const std::size_t at = page.find("\n" + name + " ");
        return at == std::string::npos ? -1 : std::stod(page.substr(at + name.size() + 2));
    }

    ScratchDirectory scratch_;
    std::unique_ptr<Process> run_;
    u16 port_ = 0;
};

TEST_F(Metrics, EveryFamilyHasSamplesThatCount) {
    const std::string first = page();
    ASSERT_TRUE(first.starts_with("HTTP/1.1 200 OK\r\n")) << first;
    EXPECT_NE(first.find("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"), std::string::npos);
    for (const MetricFamily& family : metric_families()) {
        // Queues are reported apart where ports have several.
        if (family.name == "xdplane_queue_rx_packets_total" && !first.contains(family.name)) continue;
        EXPECT_TRUE(
            first.contains(fmt::format("\n# TYPE {} {}\n{}", family.name, family.type, family.name)) ||
            first.contains(fmt::format("\r\n# HELP {} ", family.name)))
            << family.name;
    }
    EXPECT_EQ(sample(first, "xdplane_generation"), 1);
    EXPECT_EQ(sample(first, "xdplane_map_max_entries{chain=\"c\",object=\"blocklist\",map=\"blocklist\"}"),
              65536);
    EXPECT_EQ(sample(first, "xdplane_map_entries{chain=\"c\",object=\"blocklist\",map=\"blocklist\"}"), 0);
    EXPECT_GT(sample(first, "xdplane_worker_cycles_per_packet{worker=\"0\"}"), 0);
    const std::string received = "xdplane_port_rx_packets_total{port=\"a \\\"b\\\"\"}";
    const std::string verdict =
        "xdplane_stage_verdicts_total{chain=\"c\",stage=\"blocklist_filter\",verdict=\"pass\"}";
    const double before = sample(first, received);
    const double passed = sample(first, verdict);
    EXPECT_GE(before, 0);
    EXPECT_GE(passed, 0);
    EXPECT_TRUE(eventually([&] {
        const std::string next = page();
        return sample(next, received) > before && sample(next, verdict) > passed;
    }));
}

TEST_F(Metrics, EveryLineIsASampleOrAComment) {
    const std::string all = page();
    const std::regex line(
        R"re((# (HELP|TYPE) xdplane_[a-z_]+ .+)|(xdplane_[a-z_]+(\{([a-z]+="([^"\\]|\\.)*",?)+\})? [0-9.e+-]+))re");
    std::istringstream body(all.substr(all.find("\r\n\r\n") + 4));
    u32 lines = 0;
    for (std::string text; std::getline(body, text); ++lines)
        EXPECT_TRUE(std::regex_match(text, line)) << text;
    EXPECT_GT(lines, 60U);
}

TEST_F(Metrics, TheDashboardShowsWhatThereIs) {
    std::set<std::string, std::less<>> known;
    for (const MetricFamily& family : metric_families()) known.emplace(family.name);
    std::ifstream file(source_path("configs/grafana/xdplane.json"));
    const auto dashboard = nlohmann::json::parse(file);
    u32 checked = 0;
    const std::string text = dashboard.dump();
    const std::regex name("xdplane_[a-z_]+");
    for (std::sregex_iterator at(text.begin(), text.end(), name); at != std::sregex_iterator();
         ++at, ++checked)
        EXPECT_TRUE(known.contains(at->str())) << at->str();
    EXPECT_GT(checked, 20U);
}

TEST_F(Metrics, OtherRequestsAreRefused) {
    EXPECT_TRUE(ask("GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 Not Found\r\n"));
    EXPECT_TRUE(ask("GET /metricsx HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
    EXPECT_TRUE(ask("POST /metrics HTTP/1.1\r\nContent-Length: 0\r\n\r\n").starts_with("HTTP/1.1 405 "));
    EXPECT_TRUE(ask("GET /metrics?x=1 HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 200 OK\r\n"));
    const std::string head = ask("HEAD /metrics HTTP/1.1\r\n\r\n");
    EXPECT_TRUE(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n")) << head;
}

TEST_F(Metrics, GarbageIsRefusedAndHarmsNobody) {
    for (const std::string& garbage :
         {std::string("nonsense\r\n\r\n"), std::string("GET\r\n\r\n"),
          std::string("GET /metrics HTTP/9.9\r\n\r\n"),
          std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 15),
          std::string("\0\0\0\0\r\n\r\n", 8), "GET /" + std::string(20000, 'x') + " HTTP/1.1\r\n\r\n",
          "GET /metrics HTTP/1.1\r\nX: " + std::string(20000, 'x') + "\r\n\r\n"}) {
        const std::string answer = ask(garbage);
        EXPECT_TRUE(answer.empty() || answer.starts_with("HTTP/1.1 400 Bad Request\r\n"))
            << garbage << answer;
    }
    // One that has a body, one that hangs up in the middle, and more than are served at once.
    EXPECT_TRUE(ask("GET /metrics HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello").starts_with("HTTP/1.1 "));
    {
        Connection(port_).send("GET /met");
    }
    std::vector<std::unique_ptr<Connection>> silent;
    for (int i = 0; i < 15; ++i) silent.push_back(std::make_unique<Connection>(port_));
    EXPECT_TRUE(page().starts_with("HTTP/1.1 200 OK\r\n"));
    silent.push_back(std::make_unique<Connection>(port_));
    EXPECT_TRUE(page().starts_with("HTTP/1.1 200 OK\r\n")) << "it waits for one of them to be closed";
}

TEST_F(Metrics, AnAddressInUseIsTold) {
    const std::string address = fmt::format("127.0.0.1:{}", port_);
    const Finished second = run_process({kProgram, "run", "--config", scratch_.file("run.toml"), "--control",
                                         scratch_.file("other.sock"), "--metrics", address, "--duration",
                                         "0.2", "--", "--no-huge"},
                                        std::chrono::seconds(60));
    EXPECT_EQ(second.status, 1);
    EXPECT_NE(second.err.find(fmt::format("xdplane: metrics on {}: Address already in use\n", address)),
              std::string::npos)
        << second.err;
    for (const std::string wrong :
         {"x", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "localhost:80", "::1:80", ":80"}) {
        const Finished refused = run_process({kProgram, "run", "--config", scratch_.file("run.toml"),
                                              "--control", scratch_.file("other.sock"), "--metrics", wrong,
                                              "--duration", "0.2", "--", "--no-huge"},
                                             std::chrono::seconds(60));
        EXPECT_EQ(refused.status, 1);
        EXPECT_NE(refused.err.find(fmt::format("xdplane: metrics on {}: is no address and port, as in "
                                               "127.0.0.1:9500 or [::1]:9500\n",
                                               wrong)),
                  std::string::npos)
            << refused.err;
    }
}

} // namespace
} // namespace xdplane
