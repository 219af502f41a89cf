// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "pcap_replay/output_file.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace xdplane {
namespace {

std::unexpected<Error> system_error(int code) { return fail(code, "{}", std::strerror(code)); }

mode_t current_umask() {
    const mode_t mask = ::umask(077);
    ::umask(mask);
    return mask;
}

} // namespace

bool is_standard_output(const std::string& path) {
    constexpr std::string_view kNames[] = {"-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"};
    return std::ranges::find(kNames, path) != std::end(kNames);
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : fd_(std::move(other.fd_)),
      path_(std::move(other.path_)),
      final_path_(std::move(other.final_path_)),
      part_path_(std::exchange(other.part_path_, {})),
      buffer_(std::move(other.buffer_)),
      used_(std::exchange(other.used_, 0)),
      error_(other.error_) {}

OutputFile::~OutputFile() {
    if (!part_path_.empty()) ::unlink(part_path_.c_str());
}

Result<OutputFile> OutputFile::open(const std::string& path) {
    OutputFile file;
    file.path_ = path;
    if (is_standard_output(path)) {
        file.fd_ = UniqueFd(::dup(STDOUT_FILENO));
        if (!file.fd_) return system_error(errno);
        return file;
    }
    struct stat status{};
    const bool exists = ::stat(path.c_str(), &status) == 0;
    if (exists && !S_ISREG(status.st_mode)) {
        file.fd_ = UniqueFd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
        if (!file.fd_) return system_error(errno);
        return file;
    }
    file.final_path_ = path;
    if (exists) {
        // A link goes on pointing where it did, and a file that may not be written is not replaced either.
        if (::access(path.c_str(), W_OK) != 0) return system_error(errno);
        if (char* real = ::realpath(path.c_str(), nullptr); real != nullptr) {
            file.final_path_ = real;
            std::free(real);
        }
    }
    std::string part = file.final_path_ + ".XXXXXX.part";
    file.fd_ = UniqueFd(::mkostemps(part.data(), 5, O_CLOEXEC));
    if (!file.fd_) return system_error(errno);
    file.part_path_ = std::move(part);
    ::fchmod(file.fd_.get(), exists ? status.st_mode & 07777 : 0666 & ~current_umask());
    return file;
}

void OutputFile::write_all(const u8* bytes, std::size_t size) {
    while (size != 0 && error_ == 0) {
        const ssize_t done = ::write(fd_.get(), bytes, size);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) {
            error_ = done < 0 ? errno : EIO;
            break;
        }
        bytes += done;
        size -= static_cast<std::size_t>(done);
    }
}

void OutputFile::put_slow(const void* bytes, std::size_t size) {
    const auto* from = static_cast<const u8*>(bytes);
    // Small pieces fill the buffer up; what is left of a large one is written from where it is.
    const std::size_t fits = std::min(size, buffer_.size() - used_);
    std::memcpy(buffer_.data() + used_, from, fits);
    write_all(buffer_.data(), used_ + fits);
    used_ = 0;
    from += fits;
    size -= fits;
    if (size >= buffer_.size()) return write_all(from, size);
    std::memcpy(buffer_.data(), from, size);
    used_ = size;
}

Result<> OutputFile::flush() {
    write_all(buffer_.data(), used_);
    used_ = 0;
    if (error_ != 0) return system_error(error_);
    return {};
}

Result<> OutputFile::finish() {
    (void)flush(); // error_ keeps what went wrong
    // Network file systems tell of a full disk at close.
    if (const int fd = fd_.release(); ::close(fd) != 0 && error_ == 0 && errno != EINTR) error_ = errno;
    if (error_ == 0 && !part_path_.empty()) {
        if (::rename(part_path_.c_str(), final_path_.c_str()) == 0)
            part_path_.clear();
        else
            error_ = errno;
    }
    if (error_ != 0) return system_error(error_);
    return {};
}

} // namespace xdplane
