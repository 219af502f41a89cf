// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <chrono>
#include <string>
#include <vector>

#include "bpf/base/unique_fd.h"

namespace xdplane {

/// What a process left behind.
struct Finished {
    int status = -1; ///< exit status; 128 + signal if a signal ended it; -1 if it had to be killed for time
    std::string out;
    std::string err;
};

/// A child process with its output taken, killed at the latest by the destructor.
class Process {
public:
    using Timeout = std::chrono::milliseconds;

    /// Finds the program in PATH. Throws std::runtime_error if it can not be started at all.
    explicit Process(const std::vector<std::string>& arguments);
    ~Process();
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

    void signal(int number) const;
    [[nodiscard]] int pid() const { return pid_; } ///< -1 once it has ended
    /// True once `text` is in its stderr; false if it ends, or time runs out, first.
    [[nodiscard]] bool says(const std::string& text, Timeout timeout = std::chrono::seconds(20));
    /// What is in its stderr by now.
    [[nodiscard]] std::string said() const;
    [[nodiscard]] Finished wait(Timeout timeout = std::chrono::seconds(20));

private:
    [[nodiscard]] bool ended();

    int pid_ = -1;
    int status_ = -1;
    UniqueFd out_;
    UniqueFd err_;
};

/// Starts and waits.
[[nodiscard]] Finished run_process(const std::vector<std::string>& arguments,
                                   Process::Timeout timeout = std::chrono::seconds(20));

} // namespace xdplane
