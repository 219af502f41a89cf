// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/control_server.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "dataplane/local_socket.h"
#include "dataplane/serve.h"

namespace xdplane {
namespace {

namespace asio = boost::asio;
using Local = asio::local::stream_protocol;
using ErrorCode = boost::system::error_code;

/// Text of clients may be no UTF-8; replies are.
std::string as_line(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

} // namespace

Json refusal(std::string_view message) { return {{"ok", false}, {"error", message}}; }

struct ControlServer::State : std::enable_shared_from_this<State> {
    State(asio::io_context& context, ControlSocket socket, Handler to_call)
        : io(context), where(std::move(socket)), handler(std::move(to_call)), acceptor(context) {}

    struct Client : std::enable_shared_from_this<Client> {
        Client(std::shared_ptr<State> owner, Local::socket connection)
            : server(std::move(owner)), socket(std::move(connection)), idle(server->io) {
            ++server->clients;
        }
        ~Client() { --server->clients; }
        Client(const Client&) = delete;
        Client& operator=(const Client&) = delete;

        void read() {
            expect_soon();
            asio::async_read_until(socket, asio::dynamic_buffer(input, kMaxControlRequest), '\n',
                                   [self = shared_from_this()](ErrorCode error, std::size_t size) {
                                       self->received(error, size);
                                   });
        }
        void received(ErrorCode error, std::size_t size) {
            if (error == asio::error::not_found)
                return reply(refusal(fmt::format("a request has at most {} bytes", kMaxControlRequest)),
                             true);
            if (error || server->closed) return close();
            const std::string line = input.substr(0, size);
            input.erase(0, size);
            reply(server->answer(line), false);
        }
        void reply(const Json& json, bool last) {
            output = as_line(json);
            expect_soon();
            asio::async_write(socket, asio::buffer(output),
                              [self = shared_from_this(), last](ErrorCode error, std::size_t) {
                                  if (error || last || self->server->closed)
                                      self->close();
                                  else
                                      self->read();
                              });
        }
        void expect_soon() { close_after(*this, std::chrono::seconds(kControlIdleSeconds)); }
        void close() {
            ErrorCode ignored;
            socket.close(ignored);
            idle.cancel();
        }

        std::shared_ptr<State> server;
        Local::socket socket;
        asio::steady_timer idle;
        std::string input;
        std::string output;
    };

    Result<> listen() {
        auto listening = listen_at(where, acceptor);
        bound = listening.has_value();
        return listening;
    }

    void accept() { accept_next(shared_from_this()); }

    void welcome(Local::socket socket) {
        const bool full = clients >= kMaxControlClients;
        const auto client = std::make_shared<Client>(shared_from_this(), std::move(socket));
        all.add(client);
        if (full)
            client->reply(refusal(fmt::format("there are {} clients already", kMaxControlClients)), true);
        else
            client->read();
    }

    Json answer(const std::string& line) const {
        const Json request = Json::parse(line, nullptr, false);
        if (!request.is_object()) return refusal("a request is a line with a JSON object");
        try {
            return handler(request);
        } catch (const std::exception& error) {
            return refusal(error.what());
        }
    }

    void close() {
        closed = true;
        ErrorCode ignored;
        acceptor.close(ignored);
        retry.cancel();
        all.close();
        if (bound) unlink(where.path.c_str());
        bound = false;
    }

    asio::io_context& io;
    ControlSocket where;
    Handler handler;
    Local::acceptor acceptor;
    asio::steady_timer retry{io};
    ClientList<Client> all;
    u32 clients = 0;
    bool bound = false;
    bool closed = false;
};

Result<std::unique_ptr<ControlServer>> ControlServer::open(boost::asio::io_context& io,
                                                           const ControlSocket& where, Handler handler) {
    const auto state = std::make_shared<State>(io, where, std::move(handler));
    if (auto listening = state->listen(); !listening) {
        state->close();
        return fail(listening.error(), fmt::format("control socket {}", where.path));
    }
    state->accept();
    return std::unique_ptr<ControlServer>(new ControlServer(state));
}

ControlServer::~ControlServer() { state_->close(); }

std::string default_control_path() {
    if (geteuid() == 0) return "/run/xdplane.sock";
    const char* const directory = std::getenv("XDG_RUNTIME_DIR");
    return directory != nullptr && *directory != '\0' ? fmt::format("{}/xdplane.sock", directory) : "";
}

Result<Json> control_request(const std::string& path, const Json& request) {
    const auto failed = [&](int code) { return fail(code, "{}: {}", path, std::strerror(code)); };
    if (path.empty() || path.size() > kMaxSocketPath) return failed(path.empty() ? ENOENT : ENAMETOOLONG);
    asio::io_context io;
    Local::socket socket(io);
    ErrorCode error;
    socket.connect(Local::endpoint(path), error);
    if (error) return failed(error.value());
    asio::write(socket, asio::buffer(as_line(request)), error);
    std::string line;
    if (!error) asio::read_until(socket, asio::dynamic_buffer(line), '\n', error);
    if (error == asio::error::eof) return fail(ECONNRESET, "{}: closed without a reply", path);
    if (error) return failed(error.value());
    Json reply = Json::parse(line, nullptr, false);
    if (!reply.is_object() || !reply.contains("ok"))
        return fail(EPROTO, "{}: the reply is no JSON object of xdplane's", path);
    return reply;
}

} // namespace xdplane
