// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <memory>
#include <string_view>

#include "dataplane/local_socket.h"

namespace boost::asio {
class io_context;
}

/// The socket beside the control socket by which `xdplane exec` brings other programs' bpf(2) here
/// (bpf/remote/protocol.h). One call at a time, in the io_context's thread, between the control commands.
namespace xdplane {

// What clients may do to the process: no more than this.
inline constexpr u32 kMaxBpfClients = 64;       ///< the next one is refused with EUSERS
inline constexpr u64 kMaxBpfBytes = 512U << 20; ///< that calls of all of them take; ENOMEM beyond
inline constexpr u32 kBpfIdleSeconds = 60;      ///< for the rest of a request or a reply
inline constexpr std::string_view kBpfSocketSuffix = ".bpf"; ///< behind the control socket's path

class BpfServer {
public:
    /// Errors name the path, as those of ControlServer::open().
    static Result<std::unique_ptr<BpfServer>> open(boost::asio::io_context& io, const ControlSocket& where);
    /// Closes all connections and removes the socket file.
    ~BpfServer();
    BpfServer(const BpfServer&) = delete;
    BpfServer& operator=(const BpfServer&) = delete;

private:
    struct State;
    explicit BpfServer(std::shared_ptr<State> state) : state_(std::move(state)) {}
    std::shared_ptr<State> state_;
};

} // namespace xdplane
