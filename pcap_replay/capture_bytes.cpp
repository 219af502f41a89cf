// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "pcap_replay/capture_bytes.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace xdplane {
namespace {

constexpr std::size_t kChunk = 256 * 1024;

std::unexpected<Error> system_error() { return fail(errno, "{}", std::strerror(errno)); }

} // namespace

Result<CaptureBytes> CaptureBytes::open(const std::string& path) {
    CaptureBytes bytes;
    const int fd = path == "-" ? ::dup(STDIN_FILENO) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return system_error();
    bytes.fd_ = UniqueFd(fd);
    struct stat status{};
    if (::fstat(fd, &status) != 0) return system_error();
    if (S_ISDIR(status.st_mode)) return fail(EISDIR, "{}", std::strerror(EISDIR));
    // A file of /proc says that it has no bytes and has some: only a file with a size is mapped.
    if (S_ISREG(status.st_mode) && status.st_size > 0 && path != "-") {
        const auto size = static_cast<std::size_t>(status.st_size);
        void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (address != MAP_FAILED) {
            bytes.mapping_ = Mapping(address, size);
            ::madvise(address, size, MADV_SEQUENTIAL);
            bytes.base_ = bytes.mapping_.data();
            bytes.end_ = size;
        }
    }
    return bytes;
}

bool CaptureBytes::rewind() {
    if (!mapped()) {
        if (::lseek(fd_.get(), 0, SEEK_SET) != 0) return false;
        end_ = 0;
        eof_ = false;
    }
    begin_ = 0;
    dropped_ = 0;
    return true;
}

const u8* CaptureBytes::refill(std::size_t size) {
    if (begin_ != 0) {
        std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
        dropped_ += begin_;
        end_ -= begin_;
        begin_ = 0;
    }
    while (end_ < size && !eof_ && read_error_ == 0) {
        // Grows with what has really arrived, never to a length that a hostile header claims.
        if (buffer_.size() - end_ < kChunk) buffer_.resize(std::max(2 * buffer_.size(), end_ + kChunk));
        const ssize_t got = ::read(fd_.get(), buffer_.data() + end_, buffer_.size() - end_);
        if (got < 0)
            read_error_ = errno;
        else if (got == 0)
            eof_ = true;
        else
            end_ += static_cast<std::size_t>(got);
    }
    base_ = buffer_.data();
    return end_ >= size ? base_ : nullptr;
}

} // namespace xdplane
