// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/bpf_server.h"

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

#include "bpf/remote/served_call.h"
#include "dataplane/local_socket.h"
#include "dataplane/serve.h"

namespace xdplane {
namespace {

namespace asio = boost::asio;
using Local = asio::local::stream_protocol;
using ErrorCode = boost::system::error_code;
using remote::kMaxFds;
using remote::ReceivedFd;

/// Read at once, so that others have their turn.
constexpr std::size_t kChunk = 256 * 1024;

/// Bytes and fds of one recvmsg(2). `size` is 0 at the end, negative with errno.
struct Received {
    ssize_t size;
    bool bad_fds = false; ///< too many, or such as no client of ours sends
};

/// Closes what no object is behind, on a thread of its own: close(2) waits for whoever is behind a file. So
/// many may wait at once; what comes on top of them stays open.
void close_elsewhere(std::vector<int> fds) {
    constexpr u32 kMostThreads = 64;
    static std::atomic<u32> threads{0};
    if (threads.fetch_add(1) >= kMostThreads) {
        --threads;
        return;
    }
    std::thread([fds = std::move(fds)] {
        for (const int fd : fds) ::syscall(SYS_close, fd);
        --threads;
    }).detach();
}

Received receive(int socket, void* to, std::size_t room, std::vector<ReceivedFd>& fds) {
    alignas(cmsghdr) std::array<char, CMSG_SPACE((kMaxFds + 3) * sizeof(int))> control;
    iovec data{to, room};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t size = ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (size < 0) return {size};
    std::vector<int> strangers;
    for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
        for (std::size_t at = 0; CMSG_LEN(at + sizeof(int)) <= part->cmsg_len; at += sizeof(int)) {
            int fd;
            std::memcpy(&fd, CMSG_DATA(part) + at, sizeof fd);
            if (remote::is_memory(fd))
                fds.emplace_back(fd);
            else
                strangers.push_back(fd);
        }
    }
    const bool bad = !strangers.empty() || (message.msg_flags & MSG_CTRUNC) != 0;
    if (!strangers.empty()) close_elsewhere(std::move(strangers));
    return {size, bad};
}

} // namespace

struct BpfServer::State : std::enable_shared_from_this<State> {
    State(asio::io_context& context, ControlSocket socket, std::unique_ptr<remote::Handles> objects)
        : io(context),
          where(std::move(socket)),
          handles(std::move(objects)),
          acceptor(context),
          gone_handles(context, ::fcntl(handles->fd(), F_DUPFD_CLOEXEC, 0)) {}

    /// A connection: a request, its reply, the next request.
    struct Client : std::enable_shared_from_this<Client> {
        Client(std::shared_ptr<State> owner, Local::socket connection)
            : server(std::move(owner)), socket(std::move(connection)), idle(server->io) {
            ++server->clients;
        }
        ~Client() {
            count(0);
            --server->clients;
        }
        Client(const Client&) = delete;
        Client& operator=(const Client&) = delete;

        void read() {
            socket.async_wait(Local::socket::wait_read, [self = shared_from_this()](ErrorCode error) {
                if (error || self->server->closed)
                    self->close();
                else
                    self->readable();
            });
        }
        void readable() {
            const bool head = got < sizeof header;
            const std::size_t room = head ? sizeof header - got : std::min(missing(), kChunk);
            if (!head) body.resize(got - sizeof header + room);
            u8* const to = head ? reinterpret_cast<u8*>(&header) + got : &body[got - sizeof header];
            const Received received = receive(socket.native_handle(), to, room, fds);
            if (received.size < 0 && (errno == EAGAIN || errno == EINTR)) return read();
            if (received.size <= 0 || received.bad_fds || fds.size() > kMaxFds) return close();
            if (got == 0) expect_soon();
            got += static_cast<std::size_t>(received.size);
            if (got >= sizeof header) body.resize(got - sizeof header);
            if (got == sizeof header && !acceptable()) return close();
            // The request, the call's copies of it, the reply.
            if (!count(4 * u64{got})) return reply(remote::refuse_call(ENOMEM), true);
            if (got >= sizeof header && missing() == 0) return answer();
            read();
        }
        [[nodiscard]] std::size_t missing() const { return header.size - (got - sizeof header); }

        [[nodiscard]] bool acceptable() const {
            constexpr u32 kMostBytes = remote::kMaxMessage + remote::kMaxSlots * sizeof(i32);
            return header.magic == remote::kRequestMagic && header.size <= kMostBytes &&
                   header.fds <= kMaxFds;
        }
        void answer() {
            if (fds.size() != header.fds) return close();
            auto made = remote::serve_call(header, body, fds, *server->handles);
            fds.clear();
            if (!made) return close();
            reply(std::move(*made), false);
        }
        void reply(remote::Reply made, bool is_last) {
            output = std::move(made);
            sent = 0;
            last = is_last;
            expect_soon();
            write();
        }
        void write() {
            while (sent < output.bytes.size()) {
                const ssize_t size =
                    send_with_fd(socket.native_handle(), &output.bytes[sent], output.bytes.size() - sent,
                                 sent == 0 ? output.fd.get() : -1);
                if (size < 0 && errno == EINTR) continue;
                if (size < 0 && errno == EAGAIN) return wait_to_write();
                if (size <= 0) return close();
                sent += static_cast<std::size_t>(size);
            }
            output = {};
            body = {};
            got = 0;
            count(0);
            idle.cancel();
            if (last) return close();
            read();
        }
        void wait_to_write() {
            socket.async_wait(Local::socket::wait_write, [self = shared_from_this()](ErrorCode error) {
                if (error || self->server->closed)
                    self->close();
                else
                    self->write();
            });
        }

        /// Charges this many bytes in place of what was; false if all clients' would be too many.
        bool count(u64 now) {
            const u64 others = server->bytes - counted;
            if (now != 0 && others + now > kMaxBpfBytes) return false;
            server->bytes = others + now;
            counted = now;
            return true;
        }
        void expect_soon() { close_after(*this, std::chrono::seconds(kBpfIdleSeconds)); }
        void close() {
            ErrorCode ignored;
            socket.close(ignored);
            idle.cancel();
        }

        std::shared_ptr<State> server;
        Local::socket socket;
        asio::steady_timer idle;
        remote::RequestHeader header{};
        std::vector<u8> body;
        std::vector<ReceivedFd> fds;
        std::size_t got = 0; ///< bytes of header and body
        remote::Reply output;
        std::size_t sent = 0;
        bool last = false;
        u64 counted = 0;
    };

    void accept() { accept_next(shared_from_this()); }
    void welcome(Local::socket socket) {
        const bool full = clients >= kMaxBpfClients;
        const auto client = std::make_shared<Client>(shared_from_this(), std::move(socket));
        all.add(client);
        if (full)
            client->reply(remote::refuse_call(EUSERS), true);
        else
            client->read();
    }
    /// Objects that nobody has any more go at once, not with the next call.
    void watch_handles() {
        gone_handles.async_wait(asio::posix::stream_descriptor::wait_read,
                                [self = shared_from_this()](ErrorCode error) {
                                    if (error || self->closed) return;
                                    self->handles->collect();
                                    self->watch_handles();
                                });
    }
    void close() {
        closed = true;
        ErrorCode ignored;
        acceptor.close(ignored);
        gone_handles.close(ignored);
        retry.cancel();
        all.close();
        if (bound) unlink(where.path.c_str());
        bound = false;
    }

    asio::io_context& io;
    ControlSocket where;
    std::unique_ptr<remote::Handles> handles;
    Local::acceptor acceptor;
    asio::posix::stream_descriptor gone_handles;
    asio::steady_timer retry{io};
    ClientList<Client> all;
    u32 clients = 0;
    u64 bytes = 0; ///< of requests and replies
    bool bound = false;
    bool closed = false;
};

Result<std::unique_ptr<BpfServer>> BpfServer::open(asio::io_context& io, const ControlSocket& where) {
    const std::string what = fmt::format("socket for bpf(2) {}", where.path);
    auto handles = remote::Handles::make();
    if (!handles) return fail(handles.error(), what);
    const auto state = std::make_shared<State>(io, where, std::move(*handles));
    if (auto listening = listen_at(where, state->acceptor); !listening) return fail(listening.error(), what);
    state->bound = true;
    state->accept();
    state->watch_handles();
    return std::unique_ptr<BpfServer>(new BpfServer(state));
}

BpfServer::~BpfServer() { state_->close(); }

} // namespace xdplane
