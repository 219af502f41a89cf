// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <string>
#include <vector>

#include "bpf/base/mapping.h"
#include "bpf/base/result.h"
#include "bpf/base/unique_fd.h"

namespace xdplane {

/// The bytes of an input, front to back. A regular file is mapped: pointers into it stay valid for as long as
/// this object lives, and nothing is copied. Anything else (a pipe, standard input, a device) is read through
/// a buffer: pointers are valid until the next call of need(). One thread.
class CaptureBytes {
public:
    /// "-" is standard input. Errors name the reason, not the path.
    static Result<CaptureBytes> open(const std::string& path);

    /// The next `size` bytes without consuming them; null if the input ends before. left() then says how many
    /// there are.
    [[nodiscard]] const u8* need(std::size_t size) {
        if (size <= end_ - begin_) [[likely]]
            return base_ + begin_;
        return mapped() ? nullptr : refill(size);
    }
    /// Consumes bytes that need() has shown.
    void skip(std::size_t size) { begin_ += size; }
    /// Bytes known to be ahead: all of them after need() has returned null.
    [[nodiscard]] std::size_t left() const { return end_ - begin_; }

    [[nodiscard]] bool mapped() const { return static_cast<bool>(mapping_); }
    /// Bytes consumed, and bytes in all (0 where nobody knows).
    [[nodiscard]] u64 offset() const { return dropped_ + begin_; }
    [[nodiscard]] u64 size() const { return mapping_.size(); }
    /// errno of the read that failed; 0 if none did. EINTR: a signal asked to stop.
    [[nodiscard]] int read_error() const { return read_error_; }
    /// Back to the first byte. False where the input cannot go back.
    [[nodiscard]] bool rewind();

private:
    const u8* refill(std::size_t size);

    UniqueFd fd_;
    Mapping mapping_;
    std::vector<u8> buffer_; ///< streams only
    const u8* base_ = nullptr;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    u64 dropped_ = 0; ///< streams: bytes that have left the buffer
    int read_error_ = 0;
    bool eof_ = false;
};

} // namespace xdplane
