// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <span>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

#include "bpf/base/types.h"
#include "bpf/base/unique_fd.h"

namespace xdplane::fuzz {

/// Takes an input apart, front to back; behind its end there are zeros.
class Input {
public:
    explicit Input(std::span<const u8> bytes) : bytes_(bytes) {}

    [[nodiscard]] bool empty() const { return bytes_.empty(); }
    template<class T>
    T take() {
        T value{};
        const std::size_t n = std::min(sizeof value, bytes_.size());
        if (n != 0) std::memcpy(&value, bytes_.data(), n);
        bytes_ = bytes_.subspan(n);
        return value;
    }
    std::span<const u8> take(std::size_t size) {
        const auto taken = bytes_.first(std::min(size, bytes_.size()));
        bytes_ = bytes_.subspan(taken.size());
        return taken;
    }
    std::span<const u8> rest() { return take(bytes_.size()); }

private:
    std::span<const u8> bytes_;
};

/// A file in memory that can be opened by path.
class MemoryFile {
public:
    explicit MemoryFile(std::span<const u8> bytes) : fd_(::memfd_create("fuzz", MFD_CLOEXEC)) {
        if (!fd_ || ::write(fd_.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
            std::abort();
        path_ = "/proc/self/fd/" + std::to_string(fd_.get());
    }
    [[nodiscard]] const std::string& path() const { return path_; }

private:
    UniqueFd fd_;
    std::string path_;
};

} // namespace xdplane::fuzz
