// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <span>
#include <vector>

#include "bpf/base/result.h"
#include "bpf/base/unique_fd.h"
#include "bpf/remote/handles.h"
#include "bpf/remote/protocol.h"

/// The daemon's end of a call: from a whole request to a whole reply, without the socket.
namespace xdplane::remote {

struct Reply {
    std::vector<u8> bytes; ///< header included
    UniqueFd fd;           ///< to travel beside them; may be none
};

/// False for what no object can be behind: not to be touched, as even fstat(2) and close(2) may wait for
/// whoever is behind it.
[[nodiscard]] bool is_memory(int fd);

/// An fd that a client sent; closed like every fd that may name an object. Its number means nothing outside.
class ReceivedFd {
public:
    explicit ReceivedFd(int fd) : fd_(fd) {}
    ReceivedFd(ReceivedFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    ReceivedFd& operator=(ReceivedFd&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~ReceivedFd();
    [[nodiscard]] int get() const { return fd_; }

private:
    int fd_;
};

/// Runs the call in this process. Reads nothing but `body`, whatever is in it; every pointer of the call is
/// replaced by one into memory of its own, and every fd by one of `fds`. Error: EPROTO, for a request that
/// does not hold together: the client is no client of ours. Control thread; a test run takes at most
/// kTestRunSeconds, plus what one run over its packet takes.
inline constexpr u32 kTestRunSeconds = 2;
[[nodiscard]] Result<Reply> serve_call(const RequestHeader& header, std::span<const u8> body,
                                       std::span<const ReceivedFd> fds, Handles& handles);

/// A reply that is an error and nothing else.
[[nodiscard]] Reply refuse_call(int code);

} // namespace xdplane::remote
