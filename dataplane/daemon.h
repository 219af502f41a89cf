// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bpf/syscall/interfaces.h"
#include "dataplane/carry_over.h"
#include "dataplane/chain_loader.h"
#include "dataplane/config.h"
#include "dataplane/inline.h"
#include "dataplane/inline_report.h"

/// A data plane with its configuration: what `xdplane run` is, apart from the loop around it.
namespace xdplane {

/// A configuration made ready to run: every object loaded, every program verified and compiled, every map
/// filled.
struct LoadedConfig {
    Config config;
    std::map<std::string, LoadedChain> chains; ///< those that a port has, by name
    std::vector<MapChange> changes;            ///< what became of the maps of the one before

    [[nodiscard]] std::vector<InlinePort> ports() const;
    /// As find_map() finds it among all chains.
    [[nodiscard]] Result<const NamedMap*> map(const std::string& name) const;
};

/// Reads the file and loads what it names. `running`: the one it is to take the place of; its maps are
/// carried over (carry_over.h). Errors name the file; nothing that runs is touched.
[[nodiscard]] Result<std::shared_ptr<const LoadedConfig>> load_config(const std::string& path,
                                                                      const LoadedConfig* running = nullptr);

/// The chain that counts what programs attached to a port judge. Programs come and go: one stage stands for
/// all of them.
[[nodiscard]] std::string attached_chain_name(const std::string& port);

/// Control thread. Its ports are bpf(2)'s interfaces while it lives: an attached program judges all packets
/// of its port in place of the configured chain, through every reload and rollback.
class Daemon final : public Interfaces {
public:
    /// Opens the ports of a configuration and starts to filter. DPDK must run: start_eal().
    static Result<std::unique_ptr<Daemon>> start(std::shared_ptr<const LoadedConfig> config, u32 workers);

    ~Daemon() override;
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;

    /// Reads the configuration file again, loads everything, and goes over to it: programs, program arrays,
    /// map contents and the ports' chains together or not at all. Error: the old one goes on.
    Result<> reload();
    /// Back to the configuration that ran before the last reload() or rollback(). Maps that both share keep
    /// what is in them. ENOENT if there is none.
    Result<> rollback();
    /// Begins a capture; see Inline::tap().
    Result<std::shared_ptr<const Tap>> tap(TapSpec spec) { return plane_->tap(std::move(spec)); }
    /// Stops everything; see Inline::stop().
    u32 stop() { return plane_->stop(); }

    [[nodiscard]] const LoadedConfig& running() const { return *running_; }
    [[nodiscard]] const Inline& plane() const { return *plane_; }
    /// Of what runs: 1 at the start, counted up by every reload() and rollback() that was done.
    [[nodiscard]] u64 generation() const { return generation_; }
    [[nodiscard]] bool can_roll_back() const { return before_ != nullptr; }
    [[nodiscard]] const std::string& last_error() const { return last_error_; } ///< of reload(); may be empty
    /// Workers that hang, as a WorkerWatch tells; empty if none does.
    [[nodiscard]] const std::string& hanging() const { return hanging_; }
    void set_hanging(std::string summary) { hanging_ = std::move(summary); }
    [[nodiscard]] double seconds() const; ///< since start()
    [[nodiscard]] InlineReport report() const;

    [[nodiscard]] std::vector<Interface> list() const override;
    /// Goes over to it as a reload() does; the generation stays the same.
    [[nodiscard]] int install(u32 ifindex, const std::shared_ptr<const Program>& program) override;

private:
    Daemon() = default;
    [[nodiscard]] std::vector<InlinePort> ports_of(const LoadedConfig& config) const;
    Result<> reconfigure(const LoadedConfig& config);
    Result<> publish(std::shared_ptr<const LoadedConfig> next);

    std::shared_ptr<const LoadedConfig> running_;
    std::shared_ptr<const LoadedConfig> before_;                   ///< for rollback(); null at first
    std::unique_ptr<Inline> plane_;                                ///< goes before what it runs
    std::map<std::string, std::shared_ptr<const Chain>> attached_; ///< by port
    std::chrono::steady_clock::time_point begin_;
    u64 generation_ = 1;
    std::string last_error_;
    std::string hanging_;
};

} // namespace xdplane
