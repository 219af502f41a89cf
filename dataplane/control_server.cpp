// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/control_server.h"

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <sys/un.h>
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
            reply(server->answer(line, session), false);
        }
        void reply(const Json& json, bool last) {
            output = as_line(json);
            expect_soon();
            if (!session.fd) return write(0, last);
            socket.async_wait(Local::socket::wait_write, [self = shared_from_this(), last](ErrorCode error) {
                const ssize_t sent = error ? -1
                                           : send_with_fd(self->socket.native_handle(), self->output.data(),
                                                          self->output.size(), self->session.fd.get());
                if (sent <= 0 || self->server->closed) return self->close();
                self->session.fd = UniqueFd();
                self->write(static_cast<std::size_t>(sent), last);
            });
        }
        void write(std::size_t from, bool last) {
            asio::async_write(socket, asio::buffer(output) + from,
                              [self = shared_from_this(), last](ErrorCode error, std::size_t) {
                                  if (error || last || self->server->closed)
                                      self->close();
                                  else
                                      self->read();
                              });
        }
        void expect_soon() {
            if (session.held)
                idle.cancel();
            else
                close_after(*this, std::chrono::seconds(kControlIdleSeconds));
        }
        void close() {
            ErrorCode ignored;
            socket.close(ignored);
            idle.cancel();
            session = {};
        }

        std::shared_ptr<State> server;
        Local::socket socket;
        asio::steady_timer idle;
        ControlSession session;
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

    Json answer(const std::string& line, ControlSession& session) const {
        const Json request = Json::parse(line, nullptr, false);
        if (!request.is_object()) return refusal("a request is a line with a JSON object");
        try {
            return handler(request, session);
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

Result<ControlConnection> ControlConnection::open(const std::string& path) {
    const auto failed = [&](int code) {
        const bool nobody = code == ENOENT || code == ECONNREFUSED;
        return fail(code, "{}: {}{}", path, std::strerror(code),
                    nobody ? " (is `xdplane run` running?)" : "");
    };
    if (path.empty() || path.size() > kMaxSocketPath) return failed(path.empty() ? ENOENT : ENAMETOOLONG);
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    path.copy(address.sun_path, path.size());
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd || ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return failed(errno);
    return ControlConnection(path, std::move(fd));
}

Result<Json> ControlConnection::ask(const Json& request, UniqueFd* fd) {
    const auto failed = [&](int code) { return fail(code, "{}: {}", path_, std::strerror(code)); };
    const std::string line = as_line(request);
    for (std::size_t done = 0; done < line.size();) {
        const ssize_t size = ::send(fd_.get(), line.data() + done, line.size() - done, MSG_NOSIGNAL);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) break; // who closes has often said why
        done += static_cast<std::size_t>(size);
    }
    std::string reply;
    std::array<char, 4096> some;
    while (!reply.ends_with('\n')) {
        UniqueFd passed;
        const ssize_t size = receive_with_fd(fd_.get(), some.data(), some.size(), passed);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return failed(errno);
        if (size == 0) return fail(ECONNRESET, "{}: closed without a reply", path_);
        if (passed && fd != nullptr) *fd = std::move(passed);
        reply.append(some.data(), static_cast<std::size_t>(size));
    }
    Json json = Json::parse(reply, nullptr, false);
    if (!json.is_object() || !json.contains("ok"))
        return fail(EPROTO, "{}: the reply is no JSON object of xdplane's", path_);
    return json;
}

bool ControlConnection::alive() const {
    char byte;
    const ssize_t size = ::recv(fd_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return size > 0 || (size < 0 && (errno == EAGAIN || errno == EINTR));
}

Result<Json> control_request(const std::string& path, const Json& request) {
    auto connection = ControlConnection::open(path);
    if (!connection) return fail(connection.error());
    return connection->ask(request);
}

} // namespace xdplane
