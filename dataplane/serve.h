// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <boost/asio/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <vector>

/// What servers of the control thread have in common. Everything happens in the io_context's thread.
namespace xdplane {

/// Accepts the server's next connection, then calls its accept() again, until it is closed. A server has an
/// `acceptor`, a timer `retry`, `closed`, accept(), and welcome(), which takes the connection.
template<class Server>
void accept_next(const std::shared_ptr<Server>& server) {
    using Socket = typename decltype(server->acceptor)::protocol_type::socket;
    using ErrorCode = boost::system::error_code;
    server->acceptor.async_accept([server](ErrorCode error, Socket socket) {
        if (server->closed) return;
        if (!error) server->welcome(std::move(socket));
        if (!error || error == boost::asio::error::connection_aborted) return server->accept();
        // No fd is free: the next try waits for one.
        server->retry.expires_after(std::chrono::milliseconds(100));
        server->retry.async_wait([server](ErrorCode cancelled) {
            if (!cancelled && !server->closed) server->accept();
        });
    });
}

/// Closes the client when the time is over, unless its timer `idle` is set again or cancelled before.
template<class Client>
void close_after(Client& client, std::chrono::seconds time) {
    client.idle.expires_after(time);
    client.idle.async_wait([weak = client.weak_from_this()](boost::system::error_code error) {
        const auto self = weak.lock();
        if (!error && self) self->close();
    });
}

/// The clients of a server, which live as long as their own handlers keep them.
template<class Client>
class ClientList {
public:
    void add(const std::shared_ptr<Client>& client) {
        std::erase_if(all_, [](const std::weak_ptr<Client>& one) { return one.expired(); });
        all_.push_back(client);
    }
    void close() {
        for (const auto& weak : all_)
            if (const auto client = weak.lock()) client->close();
    }

private:
    std::vector<std::weak_ptr<Client>> all_;
};

} // namespace xdplane
