// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "tests/e2e/run_support.h"

#include <optional>

#include "tests/support/af_xdp.h"
#include "tests/support/eventually.h"

/// What the tests with real clients and servers share. One binary includes it once.
namespace xdplane {
namespace {

using Strings = std::vector<std::string>;

/// Of programs that a test wants, the one that is missing; empty if all are there.
[[maybe_unused]] std::string missing_tool(const Strings& tools) {
    for (const std::string& tool : tools)
        if (run_process({"sh", "-c", "PATH=$PATH:/usr/sbin:/sbin command -v " + tool}).status != 0)
            return tool + " is not installed";
    return {};
}

/// The data plane between two hosts, told what to do while it runs. Parameter: driver of its two ports.
class Live : public RunBetweenHosts {
protected:
    /// Ports "left" and "right" of that driver, with these chains.
    static std::string ports(const std::string& driver, const std::string& left_chain = "",
                             const std::string& right_chain = "", const std::string& arguments = "") {
        return port("left", driver + "0,iface=left0" + arguments, "right", left_chain, 11) +
               port("right", driver + "1,iface=right0" + arguments, "left", right_chain, 12);
    }
    void start(const std::string& text, const Strings& options = {}) {
        run_ = std::make_unique<Process>(
            net_->in("middle", command(text, with({"--control", socket_, "--duration", "600"}, options))));
        if (!run_->says("running, ", 60s)) throw std::runtime_error(run_->wait().err);
    }
    json stop() {
        run_->signal(SIGTERM);
        return check(run_->wait(60s));
    }
    [[nodiscard]] Finished ctl(Strings words) const {
        words.insert(words.begin(), {kProgram, "ctl", "--control", socket_});
        return run_process(words, 60s);
    }
    void reload(const std::string& text) {
        (void)config(text);
        const Finished done = ctl({"reload"});
        if (done.status != 0) throw std::runtime_error(done.err);
    }
    void load(const std::string& map, const std::string& text) const {
        const std::string path = scratch_.file(map + (text.starts_with("[") ? ".json" : ".txt"));
        std::ofstream(path) << text;
        const Finished done = ctl({"load", map, path});
        if (done.status != 0) throw std::runtime_error(done.err);
    }
    [[nodiscard]] json entries(const std::string& map) const {
        const Finished done = ctl({"--json", "map", map});
        if (done.status != 0) throw std::runtime_error(done.err);
        return json::parse(done.out)["maps"].at(0)["entries"];
    }
    /// Packets of a slot of a per-CPU array of counters, over all CPUs.
    [[nodiscard]] u64 packets_in(const std::string& map, u32 slot) const {
        u64 packets = 0;
        for (const json& entry : entries(map))
            if (entry["key_fields"] == slot)
                for (const json& cpu : entry["value_fields"]) packets += cpu["packets"].get<u64>();
        return packets;
    }
    [[nodiscard]] Finished in_left(const Strings& command) const {
        return run_process(net_->in("left", command), 90s);
    }
    void both_hosts(const std::function<void(const std::string& side, int last)>& set_up) const {
        set_up("left", 1);
        set_up("right", 2);
    }
    void ip(const std::string& side, const std::string& words) const {
        std::istringstream in(words);
        Strings all{"ip"};
        for (std::string word; in >> word;) all.push_back(word);
        const Finished done = net_->run(side, all);
        EXPECT_EQ(done.status, 0) << words << ": " << done.err;
    }

    /// An interface "tagged" in a host, whose packets have a VLAN tag on the wire: a data plane of its own
    /// beside the wire makes it, as not every kernel has the means.
    [[nodiscard]] std::unique_ptr<Process> tag(const std::string& side, int vlan, int last) const {
        const std::string path = scratch_.file("tag_" + side);
        std::ofstream(path + ".json")
            << fmt::format(R"([{{"key": 0, "value": {{"push_tci": {0}, "pop_vid": {0}}}}}])", vlan);
        const std::string maps = fmt::format("maps = {{ vlan_config = \"{}.json\" }}\n", path);
        std::ofstream(path + ".toml")
            << port("wire", "net_af_packet0,iface=host", "host", "off")
            << port("host", "net_tap0,iface=tagged", "wire", "on") << chain("off", {filter("vlan:vlan_pop")})
            << maps << chain("on", {filter("vlan:vlan_push")}) << maps;
        auto run =
            std::make_unique<Process>(net_->in(side, {kProgram, "run", "--config", path + ".toml",
                                                      "--control", path + ".sock", "--", "--no-huge"}));
        if (!run->says("running, ", 60s)) throw std::runtime_error(run->wait().err);
        ip(side, "link set tagged mtu 1496 up");
        ip(side, fmt::format("addr add 10.{}.0.{}/24 dev tagged", vlan, last));
        ip(side, fmt::format("addr add fd{:02}::{}/64 dev tagged nodad", vlan, last));
        return run;
    }
    static std::string no_taps() {
        return access("/dev/net/tun", R_OK | W_OK) == 0 ? "" : "no /dev/net/tun here";
    }

    /// A server in the right host that is asked until it answers, for as long as it lives.
    [[nodiscard]] std::unique_ptr<Process> serve(Strings command) const {
        return std::make_unique<Process>(net_->in("right", std::move(command)));
    }
    [[nodiscard]] std::unique_ptr<Process> serve_web(int port, const std::string& address = "::") const {
        std::filesystem::create_directories(scratch_.file("www"));
        std::ofstream(scratch_.file("www/page")) << page();
        return serve({"python3", "-m", "http.server", "--bind", address, "--directory", scratch_.file("www"),
                      std::to_string(port)});
    }
    static std::string page() { return std::string(100'000, 'x'); }
    /// True once a command has succeeded in the left host; false if it has not within a minute.
    [[nodiscard]] bool works(const Strings& command) const {
        return eventually([&] { return in_left(command).status == 0; });
    }
    static Strings curl(const std::string& host, int seconds) {
        return {
            "curl", "-sS", "-f", "-m", std::to_string(seconds), "--noproxy", "*", "http://" + host + "/page"};
    }
    /// The page from that host, "10.9.0.2:8080"; asks again for a minute.
    [[nodiscard]] bool fetches(const std::string& host) const {
        return works(curl(host, 20)) && in_left(curl(host, 60)).out == page();
    }
    /// Nothing comes within a second.
    [[nodiscard]] bool is_blocked(const std::string& host) const {
        return in_left(curl(host, 1)).status != 0;
    }
    [[nodiscard]] bool pings(const std::string& address) const { return net_->ping(address, 3, 60); }

    std::string socket_ = scratch_.file("control.sock");
    std::unique_ptr<Process> run_;
};

} // namespace
} // namespace xdplane
