// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <gtest/gtest.h>
#include <string>
#include <thread>
#include <unistd.h>

#include "bpf/remote/client.h"
#include "dataplane/bpf_server.h"

/// bpf(2) of this process by way of a socket, to a thread of its own. One binary includes it once.
namespace xdplane::test {

/// Answers while it lives.
class ServerThread {
public:
    ServerThread() {
        char name[] = "/tmp/xdplane-remote-XXXXXX";
        directory_ = mkdtemp(name);
        auto server = BpfServer::open(io_, {.path = path(), .group = "", .mode = 0600});
        EXPECT_TRUE(server) << server.error().message;
        if (server) server_ = std::move(*server);
        setenv(remote::kSocketVariable, path().c_str(), 1);
        thread_ = std::thread([this] { io_.run(); });
    }
    ~ServerThread() {
        // In the thread that everything of it happens in.
        boost::asio::post(io_, [this] { server_.reset(); });
        thread_.join();
        std::filesystem::remove_all(directory_);
    }
    ServerThread(const ServerThread&) = delete;
    ServerThread& operator=(const ServerThread&) = delete;
    [[nodiscard]] std::string path() const { return directory_ + "/bpf"; }
    /// Does nothing until the promise is kept.
    void wait_for(std::promise<void>& promise) {
        boost::asio::post(io_, [future = promise.get_future().share()] { future.wait(); });
    }

private:
    std::string directory_;
    boost::asio::io_context io_;
    std::unique_ptr<BpfServer> server_;
    std::thread thread_;
};

inline long remote_bpf(u32 command, void* attributes, u32 size) {
    static ServerThread server;
    return remote::forward(command, attributes, size);
}
inline void remote_close(int fd) { ::close(fd); }

} // namespace xdplane::test
