// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bpf/base/result.h"
#include "bpf/base/types.h"

namespace xdplane {

/// Notices that files change: written in place, replaced by rename (as editors and package managers do it),
/// made, deleted, or reached through another symbolic link of their directory. What it compares is what
/// stat(2) says, once their directories have been quiet for a moment (inotify(7)). Everything happens in the
/// io_context's thread, which does not run it any more when this goes.
class FileWatch {
public:
    using Handler = std::function<void()>;

    /// Changes are told once nothing has happened for kQuiet, or at the latest kPatience after the first.
    static constexpr std::chrono::milliseconds kQuiet{200};
    static constexpr std::chrono::milliseconds kPatience{2000};

    /// `changed` is called after a change, from the io_context. Error: no inotify.
    static Result<std::unique_ptr<FileWatch>> open(boost::asio::io_context& io, Handler changed);

    /// These files from now on. What has changed in one since the last look is told, too, and a new one that
    /// was written after `since`, when the caller began to read them. Files and directories need not be
    /// there; a directory that is made later is not noticed. Returns the directories that can not be watched,
    /// with the reason; none if all is well.
    std::vector<std::string> watch(const std::vector<std::string>& files,
                                   std::chrono::system_clock::time_point since);

private:
    /// What tells one state of a file from another.
    struct Stamp {
        u64 device = 0;
        u64 inode = 0;
        i64 size = -1; ///< -1: not there
        i64 written_ns = 0;
        friend bool operator==(const Stamp&, const Stamp&) = default;
    };
    FileWatch(boost::asio::io_context& io, int fd, Handler changed)
        : inotify_(io, fd), quiet_(io), changed_(std::move(changed)) {}
    static Stamp stamp_of(const std::string& file);
    void wait();
    void settle();
    void compare();

    boost::asio::posix::stream_descriptor inotify_;
    boost::asio::steady_timer quiet_;
    std::chrono::steady_clock::time_point first_; ///< of changes that are not told yet
    bool settling_ = false;
    Handler changed_;
    std::map<std::string, Stamp> files_;
    std::map<std::string, int> directories_; ///< inotify's number of each
};

} // namespace xdplane
