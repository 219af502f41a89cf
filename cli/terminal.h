// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <chrono>
#include <csignal>
#include <string>
#include <termios.h>

#include "bpf/base/unique_fd.h"
#include "cli/top_view.h"

namespace xdplane::cli {

/// The terminal of a live view: its second screen, keys without Enter, no cursor; all of it as it was when
/// this goes. On standard output that is no terminal, frames come one behind the other, as plain text. One
/// at a time; before other threads.
class Terminal {
public:
    enum class Event : unsigned char { time_is_up, resized, quit };

    Terminal();
    ~Terminal();
    Terminal(const Terminal&) = delete;
    Terminal& operator=(const Terminal&) = delete;

    [[nodiscard]] bool on_screen() const { return screen_; }
    /// False if nobody can read it any more.
    [[nodiscard]] bool show(const std::vector<TopLine>& lines);
    /// Until the time is up, the window changed its size, or somebody wants to quit: q, SIGINT, SIGTERM,
    /// SIGHUP.
    [[nodiscard]] Event wait(std::chrono::milliseconds time);

private:
    [[nodiscard]] bool show_on_screen(const std::vector<TopLine>& lines) const;

    bool screen_ = false;
    bool keys_ = false;
    bool colour_ = false;
    bool first_ = true;
    termios before_{};
    sigset_t mask_before_{};
    UniqueFd signals_;
};

} // namespace xdplane::cli
