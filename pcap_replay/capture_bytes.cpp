// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "pcap_replay/capture_bytes.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace xdplane {
namespace {

/// Of a mapping: brought in at a time, and left in the page table behind what is read.
constexpr u64 kStep = 2U << 20;
constexpr u64 kBehind = 64U << 20;

std::unexpected<Error> system_error() { return fail(errno, "{}", std::strerror(errno)); }

} // namespace

Result<CaptureBytes> CaptureBytes::open(const std::string& path, const MapPolicy& policy) {
    CaptureBytes bytes;
    const int fd = path == "-" ? ::dup(STDIN_FILENO) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return system_error();
    bytes.fd_ = UniqueFd(fd);
    struct stat status{};
    if (::fstat(fd, &status) != 0) return system_error();
    if (S_ISDIR(status.st_mode)) return fail(EISDIR, "{}", std::strerror(EISDIR));
    // A file of /proc says that it has no bytes and has some: only a size that is one is believed. Standard
    // input may stand anywhere in its file.
    if (S_ISREG(status.st_mode) && path != "-") {
        bytes.size_ = static_cast<u64>(status.st_size);
        (void)::posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
        if (bytes.size_ >= policy.from) bytes.try_map(policy);
    }
    return bytes;
}

void CaptureBytes::try_map(const MapPolicy& policy) {
    auto map = MappedFile::map(fd_.get(), size_);
    if (map == nullptr) return;
    const u64 first = std::min(size_, kStep);
    const auto begin = std::chrono::steady_clock::now();
    map->bring(0, first);
    if (map->cut()) return;
    const auto took =
        std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - begin);
    if (static_cast<u64>(took.count()) > (first / 4096 + 1) * policy.most_ns_per_page) return;
    map_ = std::move(map);
    base_ = map_->data();
    end_ = first;
}

void CaptureBytes::keep(std::size_t most) {
    if (map_ != nullptr || size_ > most || size_ <= window_) return;
    window_ = static_cast<std::size_t>(size_);
    buffer_.resize(window_);
    base_ = buffer_.data();
}

void CaptureBytes::exchange(std::vector<u8>& buffer) {
    if (map_ != nullptr || kept()) return;
    const std::size_t ahead = end_ - begin_;
    if (buffer.size() < std::max(window_, ahead)) buffer.resize(std::max(window_, ahead));
    if (ahead != 0) std::memcpy(buffer.data(), base_ + begin_, ahead);
    buffer_.swap(buffer);
    base_ = buffer_.data();
    dropped_ += begin_;
    begin_ = 0;
    end_ = ahead;
}

bool CaptureBytes::rewind() {
    if (!rewindable()) return false;
    released_ = 0;
    if (dropped_ != 0) {
        if (::lseek(fd_.get(), 0, SEEK_SET) != 0) return false;
        end_ = 0;
        dropped_ = 0;
        eof_ = false;
    }
    begin_ = 0;
    return true;
}

/// Of a mapping: the next pages.
const u8* CaptureBytes::bring(std::size_t size) {
    while (end_ - begin_ < size && !eof_) {
        const u64 step = std::min(size_ - end_, std::max(kStep, u64{size}));
        // Where pages are gone already, all that is shown is what was there; a failing disk is like a shorter
        // file.
        if (step != 0) map_->bring(end_, step);
        if (step == 0 || map_->cut())
            eof_ = true;
        else
            end_ += step;
    }
    if (begin_ > released_ + 2 * kBehind) {
        map_->release(released_, begin_ - kBehind - released_);
        released_ = begin_ - kBehind;
    }
    return end_ - begin_ >= size ? base_ + begin_ : nullptr;
}

const u8* CaptureBytes::refill(std::size_t size) {
    if (map_ != nullptr) return bring(size);
    if (begin_ != 0 && !kept()) {
        std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
        dropped_ += begin_;
        end_ -= begin_;
        begin_ = 0;
    }
    while (end_ - begin_ < size && !eof_ && read_error_ == 0) {
        // Grows with what has really arrived, never to a length that a hostile header claims.
        const u64 ahead = size_ == 0 ? ~u64{0} : size_ - dropped_ - end_; // bytes of the file not yet read
        if (buffer_.size() == end_ && ahead != 0) buffer_.resize(std::max(2 * buffer_.size(), window_));
        const auto room = static_cast<std::size_t>(std::min<u64>(buffer_.size() - end_, ahead));
        const ssize_t got = room == 0 ? 0 : ::read(fd_.get(), buffer_.data() + end_, room);
        if (got < 0)
            read_error_ = errno;
        else if (got == 0)
            eof_ = true;
        else
            end_ += static_cast<std::size_t>(got);
    }
    base_ = buffer_.data();
    return end_ - begin_ >= size ? base_ + begin_ : nullptr;
}

} // namespace xdplane
