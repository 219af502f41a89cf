// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/file_watch.h"

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

namespace xdplane {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using ErrorCode = boost::system::error_code;

constexpr u32 kEvents =
    IN_CLOSE_WRITE | IN_MODIFY | IN_ATTRIB | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR;

/// Where a file is, and, if it is a link, where it leads to.
std::set<std::string> directories_of(const std::string& file) {
    const auto parent = [](const fs::path& path) {
        const fs::path directory = path.parent_path();
        return directory.empty() ? std::string(".") : directory.string();
    };
    std::set<std::string> all{parent(file)};
    std::error_code error;
    if (const fs::path target = fs::canonical(file, error); !error) all.insert(parent(target));
    return all;
}

} // namespace

Result<std::unique_ptr<FileWatch>> FileWatch::open(asio::io_context& io, Handler changed) {
    const int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (fd < 0) return fail(errno, "can not watch files: {}", std::strerror(errno));
    std::unique_ptr<FileWatch> watch(new FileWatch(io, fd, std::move(changed)));
    watch->wait();
    return watch;
}

FileWatch::Stamp FileWatch::stamp_of(const std::string& file) {
    struct stat st{};
    if (stat(file.c_str(), &st) != 0) return {};
    return {.device = st.st_dev,
            .inode = st.st_ino,
            .size = st.st_size,
            .written_ns = i64{st.st_mtim.tv_sec} * 1'000'000'000 + st.st_mtim.tv_nsec};
}

std::vector<std::string> FileWatch::watch(const std::vector<std::string>& files,
                                          std::chrono::system_clock::time_point since) {
    // The kernel's clock for files goes in steps.
    constexpr auto kStep = std::chrono::milliseconds(20);
    const i64 begin =
        std::chrono::duration_cast<std::chrono::nanoseconds>((since - kStep).time_since_epoch()).count();
    std::set<std::string> wanted;
    std::map<std::string, Stamp> known;
    bool late = false;
    for (const std::string& file : files) {
        wanted.merge(directories_of(file));
        const auto before = files_.find(file);
        const Stamp now = stamp_of(file);
        known[file] = before != files_.end() ? before->second : now;
        late |= before != files_.end() ? now != before->second : now.size >= 0 && now.written_ns >= begin;
        if (before == files_.end() && now.written_ns >= begin) known[file] = {};
    }
    files_ = std::move(known);
    std::erase_if(directories_, [&](const auto& one) {
        if (wanted.contains(one.first)) return false;
        inotify_rm_watch(inotify_.native_handle(), one.second);
        return true;
    });
    std::vector<std::string> failed;
    for (const std::string& directory : wanted) {
        // Again for those that are watched: one may have been replaced by another of the name.
        const int number = inotify_add_watch(inotify_.native_handle(), directory.c_str(), kEvents);
        if (number < 0)
            failed.push_back(fmt::format("{}: {}", directory, std::strerror(errno)));
        else
            directories_[directory] = number;
    }
    if (late) settle();
    return failed;
}

void FileWatch::wait() {
    inotify_.async_wait(asio::posix::stream_descriptor::wait_read, [this](ErrorCode error) {
        if (error) return;
        // What they say does not matter: the files do.
        alignas(inotify_event) std::array<char, 4096> events;
        while (::read(inotify_.native_handle(), events.data(), events.size()) > 0) {
        }
        settle();
        wait();
    });
}

void FileWatch::settle() {
    const auto now = std::chrono::steady_clock::now();
    if (!settling_) first_ = now;
    settling_ = true;
    quiet_.expires_at(std::min(now + kQuiet, first_ + kPatience));
    quiet_.async_wait([this](ErrorCode error) {
        if (!error) compare();
    });
}

void FileWatch::compare() {
    settling_ = false;
    bool changed = false;
    for (auto& [file, before] : files_) {
        const Stamp now = stamp_of(file);
        changed |= now != before;
        before = now;
    }
    if (changed) changed_();
}

} // namespace xdplane
