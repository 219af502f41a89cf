// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "bpf/base/result.h"
#include "bpf/base/types.h"
#include "bpf/base/unique_fd.h"
#include "dataplane/json.h"
#include "dataplane/local_socket.h"

/// The control socket: a Unix stream socket. A request is a line with a JSON object, {"command": "status"}
/// and whatever the command takes; so is the reply: {"ok": true, "result": ...} or {"ok": false, "error":
/// "..."}. A client may send any number of requests on one connection, one after another.
namespace xdplane {

/// What clients may do to the process: no more than this.
inline constexpr u32 kMaxControlClients = 64;                ///< the next one is told so, and closed
inline constexpr std::size_t kMaxControlRequest = 64 * 1024; ///< bytes of a line
inline constexpr u32 kControlIdleSeconds = 60; ///< without a whole request, or without reading a reply

/// The reply to a request that is not granted.
[[nodiscard]] Json refusal(std::string_view message);

/// What a connection has besides its requests.
struct ControlSession {
    std::shared_ptr<void> held; ///< for as long as it lasts, which then is as long as the client likes
    UniqueFd fd;                ///< goes with the next reply
};

/// Everything happens in the io_context's thread.
class ControlServer {
public:
    /// From a request to its reply. May throw: the client is told what().
    using Handler = std::function<Json(const Json& request, ControlSession& session)>;

    /// Errors name the path: EADDRINUSE if somebody listens there; a socket that nobody listens on any more
    /// is taken over.
    static Result<std::unique_ptr<ControlServer>> open(boost::asio::io_context& io,
                                                       const ControlSocket& where, Handler handler);
    /// Closes all connections and removes the socket file.
    ~ControlServer();
    ControlServer(const ControlServer&) = delete;
    ControlServer& operator=(const ControlServer&) = delete;

private:
    struct State;
    explicit ControlServer(std::shared_ptr<State> state) : state_(std::move(state)) {}
    std::shared_ptr<State> state_;
};

/// Where `xdplane run` listens, and `xdplane ctl` looks, if nobody says otherwise: /run/xdplane.sock for
/// root, $XDG_RUNTIME_DIR/xdplane.sock for others; empty if there is no such directory.
[[nodiscard]] std::string default_control_path();

/// Client: a connection, for requests one after another. Errors name the path.
class ControlConnection {
public:
    static Result<ControlConnection> open(const std::string& path);
    /// The reply. `fd`, if given, gets what came with it.
    [[nodiscard]] Result<Json> ask(const Json& request, UniqueFd* fd = nullptr);
    /// False once the data plane has closed the connection. Never waits.
    [[nodiscard]] bool alive() const;

private:
    ControlConnection(std::string path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
    std::string path_;
    UniqueFd fd_;
};

/// Client: one request, one reply. Errors name the path.
[[nodiscard]] Result<Json> control_request(const std::string& path, const Json& request);

} // namespace xdplane
