// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <thread>

#include "tests/e2e/namespaces.h"
#include "tests/e2e/packet_file.h"
#include "tests/e2e/process.h"
#include "tests/support/places.h"

/// What the tests of `xdplane run` share. One binary includes it once.
namespace xdplane {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

const std::string kProgram = build_path("xdplane");
const std::string kFilters = build_path("filters");
const std::string kTestPrograms = build_path("tests/e2e/programs/");
const std::string kCaptures = source_path("tests/captures");
const std::string kConfigs = source_path("configs");

/// Lines of a configuration.
[[maybe_unused]] std::string port(const std::string& name, const std::string& device,
                                  const std::string& peer = "", const std::string& chain = "",
                                  int ifindex = 0) {
    std::string text = fmt::format("[[port]]\nname = \"{}\"\ndevice = \"{}\"\n", name, device);
    if (!peer.empty()) text += fmt::format("peer = \"{}\"\n", peer);
    if (!chain.empty()) text += fmt::format("chain = \"{}\"\n", chain);
    if (ifindex != 0) text += fmt::format("ifindex = {}\n", ifindex);
    return text;
}
/// Objects are "OBJECT" or "OBJECT:PROGRAM".
[[maybe_unused]] std::string chain(const std::string& name, const std::vector<std::string>& objects) {
    std::string text = fmt::format("[[chain]]\nname = \"{}\"\n", name);
    for (const std::string& object : objects) {
        const std::size_t colon = object.find(':');
        text += fmt::format("[[chain.stage]]\nobject = \"{}\"\n", object.substr(0, colon));
        if (colon != std::string::npos) text += fmt::format("program = \"{}\"\n", object.substr(colon + 1));
    }
    return text;
}
/// "NAME" or "NAME:PROGRAM".
[[maybe_unused]] std::string filter(const std::string& name) {
    const std::size_t colon = std::min(name.find(':'), name.size());
    return kFilters + "/" + name.substr(0, colon) + ".bpf.o" + name.substr(colon);
}
[[maybe_unused]] std::string test_program(const std::string& name) { return kTestPrograms + name + ".bpf.o"; }

class Run : public testing::Test {
protected:
    std::string config(const std::string& text) {
        std::ofstream(scratch_.file("run.toml")) << text;
        return scratch_.file("run.toml");
    }
    std::vector<std::string> command(const std::string& text, std::vector<std::string> options = {}) {
        std::vector<std::string> all{kProgram, "run", "--config", config(text), "--json"};
        all.insert(all.end(), options.begin(), options.end());
        return all;
    }
    /// Runs to its end and checks the books.
    json run(const std::string& text, const std::vector<std::string>& options) {
        return check(run_process(command(text, options)));
    }
    static json check(const Finished& finished) {
        EXPECT_EQ(finished.status, 0) << finished.err;
        json report = json::parse(finished.out, nullptr, false);
        if (report.is_discarded()) throw std::runtime_error("no JSON: " + finished.out + finished.err);
        EXPECT_EQ(report["buffers_missing"], 0);
        u64 forwarded = 0;
        u64 sent = 0;
        for (const json& port : report["ports"]) {
            u64 dropped = 0;
            for (const json& count : port["dropped"]) dropped += count.get<u64>();
            EXPECT_EQ(port["rx_packets"].get<u64>() + port["copies"].get<u64>(),
                      port["forwarded"].get<u64>() + dropped)
                << port.dump();
            forwarded += port["forwarded"].get<u64>();
            sent += port["tx_packets"].get<u64>();
        }
        EXPECT_EQ(forwarded, sent);
        return report;
    }

    ScratchDirectory scratch_;
};

const std::vector<std::string> kUntilRead{"--until-idle", "0.3", "--duration", "10"};
const std::vector<std::string> kShort{"--duration", "0.3"};

std::vector<std::string> with(std::vector<std::string> options, const std::vector<std::string>& more) {
    options.insert(options.end(), more.begin(), more.end());
    return options;
}

/// The data plane in the middle of two hosts.
class RunBetweenHosts : public Run {
protected:
    void SetUp() override {
        auto made = Namespaces::make();
        if (!made) GTEST_SKIP() << made.error().message;
        net_ = std::move(*made);
    }
    /// Runs `traffic` while the data plane runs, then stops it.
    json while_running(const std::string& text, const std::function<void()>& traffic,
                       const std::vector<std::string>& options = {}) {
        Process process(net_->in("middle", command(text, with({"--duration", "300"}, options))));
        if (!process.says("running", 60s)) throw std::runtime_error(process.wait().err);
        traffic();
        process.signal(SIGTERM);
        return check(process.wait(60s));
    }
    static std::string left(const std::string& peer, const std::string& chain = "") {
        return port("left", "net_af_packet0,iface=left0", peer, chain);
    }
    static std::string right(const std::string& peer, const std::string& chain = "") {
        return port("right", "net_af_packet1,iface=right0", peer, chain);
    }

    std::unique_ptr<Namespaces> net_;
};

} // namespace
} // namespace xdplane
