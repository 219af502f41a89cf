// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <chrono>
#include <csignal>
#include <initializer_list>

namespace xdplane::cli {

/// SIGINT and SIGTERM, and on request more, as something the main thread waits for. Made before any other
/// thread, all of which then have the signals blocked. Those that come later than the first wait until it is
/// gone.
class StopSignals {
public:
    explicit StopSignals(std::initializer_list<int> more = {}) {
        sigemptyset(&set_);
        sigaddset(&set_, SIGINT);
        sigaddset(&set_, SIGTERM);
        for (const int signal : more) sigaddset(&set_, signal);
        pthread_sigmask(SIG_BLOCK, &set_, &before_);
    }
    ~StopSignals() {
        // Who sent two meant one thing.
        while (wait(std::chrono::nanoseconds(0))) {
        }
        pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }
    StopSignals(const StopSignals&) = delete;
    StopSignals& operator=(const StopSignals&) = delete;

    /// True if one came within that time.
    [[nodiscard]] bool wait(std::chrono::nanoseconds time) const { return take(time) != 0; }
    /// The one that came within that time; 0 if none did.
    [[nodiscard]] int take(std::chrono::nanoseconds time) const {
        constexpr long kSecond = 1'000'000'000;
        const timespec timeout{.tv_sec = time.count() / kSecond, .tv_nsec = time.count() % kSecond};
        const int signal = sigtimedwait(&set_, nullptr, &timeout);
        return signal > 0 ? signal : 0;
    }

    /// While one lives, SIGINT and SIGTERM end the program as they would without us: for work that may wait
    /// for others, and leaves nothing behind.
    class Released {
    public:
        Released() {
            sigset_t set;
            sigemptyset(&set);
            sigaddset(&set, SIGINT);
            sigaddset(&set, SIGTERM);
            pthread_sigmask(SIG_UNBLOCK, &set, &blocked_);
        }
        ~Released() { pthread_sigmask(SIG_SETMASK, &blocked_, nullptr); }
        Released(const Released&) = delete;
        Released& operator=(const Released&) = delete;

    private:
        sigset_t blocked_{};
    };

private:
    sigset_t set_{};
    sigset_t before_{};
};

} // namespace xdplane::cli
