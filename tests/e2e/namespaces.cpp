// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "tests/e2e/namespaces.h"

#include <cerrno>
#include <sstream>
#include <unistd.h>

namespace xdplane {
namespace {

constexpr const char* kWhere[] = {"left", "middle", "right"};

Result<> shell(const std::string& line) {
    std::istringstream words(line);
    std::vector<std::string> arguments;
    for (std::string word; words >> word;) arguments.push_back(word);
    const Finished finished = run_process(arguments);
    if (finished.status != 0)
        return fail(EPERM, "{}: {}", line, finished.err.substr(0, finished.err.find('\n')));
    return {};
}

} // namespace

Result<std::unique_ptr<Namespaces>> Namespaces::make() {
    if (geteuid() != 0) return fail(EPERM, "network namespaces need root");
    static int number = 0;
    std::unique_ptr<Namespaces> namespaces(new Namespaces(fmt::format("xdp{}x{}-", getpid(), number++)));
    if (auto built = namespaces->build(); !built) return fail(built.error());
    return namespaces;
}

Result<> Namespaces::build() const {
    std::vector<std::string> lines;
    for (const char* where : kWhere) lines.push_back(fmt::format("ip netns add {}{}", prefix_, where));
    // What the middle's own kernel would say on these interfaces is not part of the experiment.
    for (const char* key : {"all", "default"})
        lines.push_back(
            fmt::format("ip netns exec {}middle sysctl -qw net.ipv6.conf.{}.disable_ipv6=1", prefix_, key));
    for (const char* side : {"left", "right"}) {
        const char* last = side == std::string("left") ? "1" : "2";
        const std::string host = fmt::format("ip -n {}{}", prefix_, side);
        const std::string middle = fmt::format("ip -n {}middle", prefix_);
        lines.push_back(
            fmt::format("{} link add host type veth peer name {}0 netns {}middle", host, side, prefix_));
        lines.push_back(fmt::format("{} addr add 10.9.0.{}/24 dev host", host, last));
        lines.push_back(fmt::format("{} addr add fd09::{}/64 dev host nodad", host, last));
        lines.push_back(fmt::format("{} link set lo up", host));
        lines.push_back(fmt::format("{} link set host up", host));
        lines.push_back(fmt::format("{} link set {}0 up", middle, side));
        const char* offloads = "tx off rx off tso off gso off gro off rxvlan off txvlan off";
        lines.push_back(fmt::format("ip netns exec {}{} ethtool -K host {}", prefix_, side, offloads));
        lines.push_back(fmt::format("ip netns exec {}middle ethtool -K {}0 {}", prefix_, side, offloads));
    }
    for (const std::string& line : lines)
        if (auto done = shell(line); !done) return fail(done.error());
    return {};
}

Namespaces::~Namespaces() {
    for (const char* where : kWhere) (void)shell(fmt::format("ip netns del {}{}", prefix_, where));
}

std::vector<std::string> Namespaces::in(const std::string& where, std::vector<std::string> command) const {
    std::vector<std::string> all{"ip", "netns", "exec", prefix_ + where};
    all.insert(all.end(), command.begin(), command.end());
    return all;
}

bool Namespaces::ping(const std::string& address, int count, int seconds) const {
    return run("left", {"ping", "-q", "-i", "0.05", "-c", std::to_string(count), "-w",
                        std::to_string(seconds), address})
               .status == 0;
}

} // namespace xdplane
