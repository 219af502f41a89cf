// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "bpf/base/result.h"
#include "bpf/base/types.h"

namespace boost::asio {
class io_context;
}

namespace xdplane {

/// What a client may do to the process: no more than this.
inline constexpr u32 kMaxMetricsClients = 16;       ///< those that come then wait
inline constexpr u32 kMaxMetricsRequest = 8 * 1024; ///< bytes of a request's header; it has no body
inline constexpr u32 kMetricsIdleSeconds = 10;      ///< for a request, and for reading the answer

/// Serves one page over HTTP: GET or HEAD of /metrics. A connection has one request and is closed then.
/// Everything happens in the io_context's thread.
class MetricsServer {
public:
    using Page = std::function<std::string()>;

    /// `address`: "127.0.0.1:9500", "[::1]:9500", or a port alone, which is one of 127.0.0.1. Port 0: any
    /// free one. Errors name the address: EINVAL, EADDRINUSE, ...
    static Result<std::unique_ptr<MetricsServer>> open(boost::asio::io_context& io,
                                                       const std::string& address, Page page);
    ~MetricsServer();
    MetricsServer(const MetricsServer&) = delete;
    MetricsServer& operator=(const MetricsServer&) = delete;

    [[nodiscard]] std::string address() const; ///< where it listens: "127.0.0.1:9500"

private:
    struct State;
    explicit MetricsServer(std::shared_ptr<State> state) : state_(std::move(state)) {}
    std::shared_ptr<State> state_;
};

} // namespace xdplane
