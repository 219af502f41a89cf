// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "dataplane/daemon.h"
#include "dataplane/worker_watch.h"

namespace xdplane::cli {

/// systemd's side of a service: datagrams to $NOTIFY_SOCKET (sd_notify(3)), in which lines say "READY=1" and
/// the like. Silent where there is no such socket. Takes the variables out of the environment.
class ServiceManager {
public:
    ServiceManager();
    void notify(const std::string& lines) const;
    /// How long it waits for "WATCHDOG=1"; nothing if it does not.
    [[nodiscard]] std::optional<std::chrono::microseconds> watchdog() const { return watchdog_; }

private:
    std::string socket_;
    std::optional<std::chrono::microseconds> watchdog_;
};

/// Watches over a running daemon: says who hangs, on stderr and to the service manager, and keeps the
/// watchdog quiet for as long as every worker moves. Control thread.
class Supervisor {
public:
    Supervisor(const ServiceManager& manager, Daemon& daemon);
    void ready();
    /// Around a reload.
    void reloading();
    void stopping() { manager_.notify("STOPPING=1"); }
    /// A few times a second.
    void tick();

private:
    void tell_status();

    /// Without a watchdog a round may take that long.
    static constexpr std::chrono::seconds kPatience{10};

    const ServiceManager& manager_;
    Daemon& daemon_;
    WorkerWatch watch_;
    std::chrono::steady_clock::duration every_; ///< pings; 0: none are wanted
    std::chrono::steady_clock::time_point last_ping_;
    std::string status_;
};

} // namespace xdplane::cli
