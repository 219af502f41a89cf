// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <chrono>
#include <memory>
#include <set>
#include <string>

#include "dataplane/daemon.h"
#include "dataplane/file_watch.h"

namespace xdplane::cli {

/// `run --watch`: says when the configuration that runs, or a file that it names, has changed. Control
/// thread.
class ConfigWatch {
public:
    using Time = std::chrono::system_clock::time_point;

    /// `loading`: when the daemon's configuration began to be read. What can not be watched is said on
    /// stderr.
    static Result<std::unique_ptr<ConfigWatch>> open(boost::asio::io_context& io, const Daemon& daemon,
                                                     Time loading);
    /// Before the io_context runs: a reload, whoever asked for it, may have made other files those to watch.
    void look();
    /// Whether a file has changed since the last call; says so on stderr.
    [[nodiscard]] bool take();

private:
    explicit ConfigWatch(const Daemon& daemon) : daemon_(daemon) {}
    void watch(Time since);

    const Daemon& daemon_;
    std::unique_ptr<FileWatch> files_;
    bool changed_ = false;
    u64 generation_ = 0;
    std::string last_error_;
    Time looked_;
    std::set<std::string> told_; ///< directories that can not be watched
};

} // namespace xdplane::cli
