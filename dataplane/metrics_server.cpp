// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/metrics_server.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>

#include "dataplane/serve.h"

namespace xdplane {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using Tcp = asio::ip::tcp;
using ErrorCode = boost::system::error_code;
using Response = http::response<http::string_body>;

std::optional<Tcp::endpoint> parse_address(std::string_view text) {
    const std::size_t colon = text.rfind(':');
    std::string host(colon == std::string_view::npos ? "127.0.0.1" : text.substr(0, colon));
    if (host.size() > 2 && host.starts_with('[') && host.ends_with(']'))
        host = host.substr(1, host.size() - 2);
    else if (host.contains(':'))
        return std::nullopt;
    const std::string_view number = colon == std::string_view::npos ? text : text.substr(colon + 1);
    u16 port = 0;
    const auto [end, wrong] = std::from_chars(number.data(), number.data() + number.size(), port);
    ErrorCode error;
    const auto address = asio::ip::make_address(host, error);
    if (error || wrong != std::errc{} || end != number.data() + number.size()) return std::nullopt;
    return Tcp::endpoint(address, port);
}

std::string text_of(const Tcp::endpoint& endpoint) {
    const std::string address = endpoint.address().to_string();
    return fmt::format("{}:{}", endpoint.address().is_v6() ? "[" + address + "]" : address, endpoint.port());
}

} // namespace

struct MetricsServer::State : std::enable_shared_from_this<State> {
    State(asio::io_context& context, Page to_call)
        : io(context), page(std::move(to_call)), acceptor(context), retry(context) {}

    struct Client : std::enable_shared_from_this<Client> {
        Client(std::shared_ptr<State> owner, Tcp::socket connection)
            : server(std::move(owner)), stream(std::move(connection)) {
            ++server->clients;
            parser.header_limit(kMaxMetricsRequest);
            parser.body_limit(0);
        }
        ~Client() {
            --server->clients;
            if (server->waiting) server->accept();
        }
        Client(const Client&) = delete;
        Client& operator=(const Client&) = delete;

        void read() {
            stream.expires_after(std::chrono::seconds(kMetricsIdleSeconds));
            http::async_read(
                stream, buffer, parser,
                [self = shared_from_this()](ErrorCode error, std::size_t) { self->received(error); });
        }
        void received(ErrorCode error) {
            static const auto& kBadHttp = http::make_error_code(http::error::bad_method).category();
            if (server->closed || error == http::error::end_of_stream) return;
            if (error && error.category() != kBadHttp) return; // it is gone, or too slow
            answer(error ? http::status::bad_request : status_of(parser.get()));
        }
        static http::status status_of(const http::request<http::string_body>& request) {
            const auto target = request.target();
            if (target.substr(0, target.find('?')) != "/metrics") return http::status::not_found;
            const bool asks = request.method() == http::verb::get || request.method() == http::verb::head;
            return asks ? http::status::ok : http::status::method_not_allowed;
        }
        [[nodiscard]] std::string page_or_error(Response& to) const {
            try {
                return server->page();
            } catch (const std::exception& error) {
                to.result(http::status::internal_server_error);
                return fmt::format("{}\n", error.what());
            }
        }
        void answer(http::status status) {
            response.result(status);
            response.version(11);
            response.keep_alive(false);
            response.set(http::field::content_type, "text/plain; version=0.0.4; charset=utf-8");
            if (status == http::status::method_not_allowed) response.set(http::field::allow, "GET, HEAD");
            response.body() = status == http::status::ok ? page_or_error(response)
                                                         : std::string(http::obsolete_reason(status)) + "\n";
            response.prepare_payload();
            if (status == http::status::ok && parser.get().method() == http::verb::head)
                response.body().clear();
            stream.expires_after(std::chrono::seconds(kMetricsIdleSeconds));
            http::async_write(stream, response, [self = shared_from_this()](ErrorCode, std::size_t) {
                ErrorCode ignored;
                self->stream.socket().shutdown(Tcp::socket::shutdown_send, ignored);
            });
        }

        void close() { stream.close(); }

        std::shared_ptr<State> server;
        beast::tcp_stream stream;
        beast::flat_buffer buffer{kMaxMetricsRequest + 1024};
        http::request_parser<http::string_body> parser;
        Response response;
    };

    Result<> listen(const Tcp::endpoint& endpoint) {
        ErrorCode error;
        acceptor.open(endpoint.protocol(), error);
        if (!error) acceptor.set_option(asio::socket_base::reuse_address(true), error);
        if (!error) acceptor.bind(endpoint, error);
        if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
        if (error) return fail(error.value(), "{}", std::strerror(error.value()));
        return {};
    }

    void accept() {
        waiting = clients >= kMaxMetricsClients;
        if (waiting || closed) return;
        accept_next(shared_from_this());
    }
    void welcome(Tcp::socket socket) {
        const auto client = std::make_shared<Client>(shared_from_this(), std::move(socket));
        all.add(client);
        client->read();
    }

    void close() {
        closed = true;
        ErrorCode ignored;
        acceptor.close(ignored);
        retry.cancel();
        all.close();
    }

    asio::io_context& io;
    Page page;
    Tcp::acceptor acceptor;
    asio::steady_timer retry;
    ClientList<Client> all;
    u32 clients = 0;
    bool waiting = false; ///< for a client to leave
    bool closed = false;
};

Result<std::unique_ptr<MetricsServer>> MetricsServer::open(asio::io_context& io, const std::string& address,
                                                           Page page) {
    const auto endpoint = parse_address(address);
    if (!endpoint)
        return fail(EINVAL, "metrics on {}: is no address and port, as in 127.0.0.1:9500 or [::1]:9500",
                    address);
    const auto state = std::make_shared<State>(io, std::move(page));
    if (auto listening = state->listen(*endpoint); !listening)
        return fail(listening.error(), fmt::format("metrics on {}", text_of(*endpoint)));
    state->accept();
    return std::unique_ptr<MetricsServer>(new MetricsServer(state));
}

MetricsServer::~MetricsServer() { state_->close(); }

std::string MetricsServer::address() const {
    ErrorCode ignored;
    return text_of(state_->acceptor.local_endpoint(ignored));
}

} // namespace xdplane
