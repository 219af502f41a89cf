// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <boost/asio/local/stream_protocol.hpp>
#include <string>

#include "bpf/base/result.h"
#include "bpf/base/types.h"
#include "bpf/base/unique_fd.h"

/// Unix sockets that this process listens on.
namespace xdplane {

/// sockaddr_un::sun_path without its NUL.
inline constexpr std::size_t kMaxSocketPath = 107;

/// Where a socket is, and who may connect.
struct ControlSocket {
    std::string path;
    std::string group; ///< owner of the socket file; empty: the process's
    u32 mode = 0660;   ///< its permissions
};

/// Makes the socket file and listens on it; nobody connects before the permissions are right. A socket file
/// that nobody listens on any more is taken over. Error: none is left behind; EADDRINUSE if another process
/// listens there.
[[nodiscard]] Result<> listen_at(const ControlSocket& where,
                                 boost::asio::local::stream_protocol::acceptor& acceptor);

/// sendmsg(2) and recvmsg(2) with at most one descriptor beside the bytes (-1: none); send_with_fd() does not
/// wait.
[[nodiscard]] ssize_t send_with_fd(int socket, const void* from, std::size_t size, int fd);
[[nodiscard]] ssize_t receive_with_fd(int socket, void* to, std::size_t room, UniqueFd& fd);

} // namespace xdplane
