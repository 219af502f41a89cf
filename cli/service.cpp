// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "cli/service.h"

#include <cstdlib>
#include <cstring>
#include <ctime>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bpf/base/unique_fd.h"
#include "cli/log.h"

namespace xdplane::cli {
namespace {

std::string taken_from_environment(const char* name) {
    const char* const value = std::getenv(name);
    std::string text = value != nullptr ? value : "";
    ::unsetenv(name);
    return text;
}

} // namespace

ServiceManager::ServiceManager() : socket_(taken_from_environment("NOTIFY_SOCKET")) {
    const std::string pid = taken_from_environment("WATCHDOG_PID");
    const u64 time = std::strtoull(taken_from_environment("WATCHDOG_USEC").c_str(), nullptr, 10);
    const bool ours = pid.empty() || pid == std::to_string(::getpid());
    if (ours && time != 0 && !socket_.empty()) watchdog_ = std::chrono::microseconds(time);
}

void ServiceManager::notify(const std::string& lines) const {
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    if (socket_.empty() || socket_.size() >= sizeof address.sun_path) return;
    socket_.copy(address.sun_path, socket_.size());
    if (address.sun_path[0] == '@') address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size());
    const UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    // Who does not listen is not told: the data plane goes on.
    if (fd)
        (void)::sendto(fd.get(), lines.data(), lines.size(), MSG_NOSIGNAL,
                       reinterpret_cast<const sockaddr*>(&address), size);
}

Supervisor::Supervisor(const ServiceManager& manager, Daemon& daemon)
    : manager_(manager),
      daemon_(daemon),
      watch_(manager.watchdog() ? WorkerWatch::Clock::duration(*manager.watchdog() / 2)
                                : WorkerWatch::Clock::duration(kPatience)),
      every_(manager.watchdog() ? *manager.watchdog() / 4 : std::chrono::microseconds(0)) {}

void Supervisor::ready() {
    manager_.notify("READY=1");
    tell_status();
}

void Supervisor::reloading() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    manager_.notify(
        fmt::format("RELOADING=1\nMONOTONIC_USEC={}", u64(now.tv_sec) * 1'000'000 + u64(now.tv_nsec) / 1000));
}

void Supervisor::tick() {
    const auto now = std::chrono::steady_clock::now();
    for (const std::string& line : watch_.look(daemon_.plane().worker_reports(), now)) log_warning(line);
    daemon_.set_hanging(watch_.summary());
    tell_status();
    if (every_.count() == 0 || !watch_.all_move() || now - last_ping_ < every_) return;
    manager_.notify("WATCHDOG=1");
    last_ping_ = now;
}

/// What `systemctl status` shows.
void Supervisor::tell_status() {
    std::string status = fmt::format("generation {}", daemon_.generation());
    if (!daemon_.last_error().empty()) status += "; the last reload was refused";
    if (!daemon_.hanging().empty()) status += "; " + daemon_.hanging();
    if (status == status_) return;
    status_ = status;
    manager_.notify("STATUS=" + status);
}

} // namespace xdplane::cli
