// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/daemon.h"

#include <algorithm>
#include <cerrno>

#include "bpf/syscall/bpf_system.h"
#include "bpf/syscall/xdp_hooks.h"

namespace xdplane {

std::vector<InlinePort> LoadedConfig::ports() const {
    std::vector<InlinePort> ports;
    for (const PortConfig& port : config.ports) {
        PortSpec spec{.name = port.name,
                      .device = port.device,
                      .ifindex = port.ifindex,
                      .rx_queues = port.rx_queues,
                      .queue_workers = port.rx_queue_workers,
                      .mtu = port.mtu};
        if (port.rx_descriptors != 0) spec.rx_descriptors = port.rx_descriptors;
        if (port.tx_descriptors != 0) spec.tx_descriptors = port.tx_descriptors;
        // The host's side of a port is a port as well, and the two are peers.
        const std::string host = port.name + ".host";
        PortSpec tap{.name = host,
                     .device = fmt::format("net_tap_xdp{},iface={}", ports.size(), port.host_interface),
                     .mtu = port.mtu};
        ports.push_back({.spec = std::move(spec),
                         .peer = port.to_host ? host : port.peer,
                         .chain = port.chain.empty() ? nullptr : chains.at(port.chain).chain,
                         .chain_name = port.chain});
        if (port.to_host)
            ports.push_back(
                {.spec = std::move(tap), .peer = port.name, .mac_of = port.name, .chain = nullptr});
    }
    return ports;
}

Result<const NamedMap*> LoadedConfig::map(const std::string& name) const {
    std::vector<MapsOfChain> maps;
    for (const auto& [chain, loaded] : chains) maps.push_back({chain, loaded.maps});
    return find_map(maps, name);
}

Result<std::shared_ptr<const LoadedConfig>> load_config(const std::string& path,
                                                        const LoadedConfig* running) {
    auto config = read_config(path);
    if (!config) return fail(config.error());
    if (config->ports.empty()) return fail(EINVAL, "{}: no ports", path);
    auto loaded = std::make_shared<LoadedConfig>();
    loaded->config = std::move(*config);
    for (const PortConfig& port : loaded->config.ports) {
        if (port.chain.empty() || loaded->chains.contains(port.chain)) continue;
        std::span<const std::unique_ptr<Object>> old;
        if (running != nullptr)
            if (const auto found = running->chains.find(port.chain); found != running->chains.end())
                old = found->second.objects;
        CarryOver carry(port.chain, old);
        auto chain = load_chain(loaded->config.chain(port.chain)->stages, std::nullopt, &carry);
        if (!chain) return fail(chain.error());
        loaded->changes.insert(loaded->changes.end(), carry.changes().begin(), carry.changes().end());
        loaded->chains.emplace(port.chain, std::move(*chain));
    }
    return loaded;
}

Result<std::unique_ptr<Daemon>> Daemon::start(std::shared_ptr<const LoadedConfig> config, u32 workers) {
    std::unique_ptr<Daemon> daemon(new Daemon);
    auto plane = Inline::open(config->ports(), workers);
    if (!plane) return fail(plane.error(), config->config.path);
    if (auto started = (*plane)->start(); !started) return fail(started.error());
    daemon->plane_ = std::move(*plane);
    daemon->running_ = std::move(config);
    daemon->begin_ = std::chrono::steady_clock::now();
    XdpHooks::instance().serve(daemon.get());
    return daemon;
}

Daemon::~Daemon() { XdpHooks::instance().serve(nullptr); }

std::string attached_chain_name(const std::string& port) { return "attached:" + port; }

std::vector<InlinePort> Daemon::ports_of(const LoadedConfig& config) const {
    std::vector<InlinePort> ports = config.ports();
    for (InlinePort& port : ports) {
        const auto attached = attached_.find(port.spec.name);
        if (attached == attached_.end()) continue;
        port.chain = attached->second;
        port.chain_name = attached_chain_name(port.spec.name);
    }
    return ports;
}

/// Done, too, if a worker hangs: the others run it, and that one will.
Result<> Daemon::reconfigure(const LoadedConfig& config) {
    auto done = plane_->reconfigure(ports_of(config));
    if (done || done.error().code != ETIMEDOUT) return done;
    last_error_ = done.error().message;
    return {};
}

std::vector<Interface> Daemon::list() const { return plane_->interfaces(); }

int Daemon::install(u32 ifindex, const std::shared_ptr<const Program>& program) {
    const std::vector<Interface> interfaces = list();
    const auto interface = std::ranges::find(interfaces, ifindex, &Interface::ifindex);
    if (interface == interfaces.end()) return -ENODEV;
    std::shared_ptr<const Chain> chain;
    if (program) {
        auto made = Chain::make({Stage{.name = "program", .program = program}});
        if (!made) return -made.error().code;
        chain = std::make_shared<const Chain>(std::move(*made));
    }
    const auto before = attached_;
    if (chain)
        attached_[interface->name] = std::move(chain);
    else
        attached_.erase(interface->name);
    const auto done = reconfigure(*running_);
    if (!done && program) attached_ = before; // what is to go goes with the next generation, then
    return done ? 0 : -done.error().code;
}

Result<> Daemon::publish(std::shared_ptr<const LoadedConfig> next) {
    if (auto done = reconfigure(*next); !done) return fail(done.error(), next->config.path);
    before_ = std::exchange(running_, std::move(next));
    ++generation_;
    return {};
}

Result<> Daemon::reload() {
    last_error_.clear();
    auto next = load_config(running_->config.path, running_.get());
    auto done = next ? publish(std::move(*next)) : Result<>(fail(next.error()));
    if (!done) last_error_ = done.error().message;
    return done;
}

Result<> Daemon::rollback() {
    if (before_ == nullptr) return fail(ENOENT, "there is no generation before this one");
    last_error_.clear();
    return publish(before_);
}

double Daemon::seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
}

InlineReport Daemon::report() const {
    return {.seconds = seconds(),
            .workers = plane_->workers(),
            .engine = engine() == Engine::jit ? "jit" : "interpreter",
            .ports = plane_->ports(),
            .chains = plane_->chains(),
            .worker_reports = plane_->worker_reports()};
}

} // namespace xdplane
