// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Netlink route sockets, by which programs list interfaces and attach XDP programs (see preload.cpp). Such a
// socket is one end of a pair: what is sent is answered here, into the other end, so that receiving and
// waiting are the kernel's.
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/netlink.h>
#include <map>
#include <mutex>
#include <new>
#include <optional>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "bpf/base/unique_fd.h"
#include "bpf/remote/preload.h"
#include "bpf/remote/route_answers.h"
#include "bpf/remote/user_memory.h"

extern "C" {
int take_socket(int domain, int type, int protocol) XDPLANE_TAKES("socket");
int take_bind(int fd, const sockaddr* address, socklen_t size) XDPLANE_TAKES("bind");
int take_connect(int fd, const sockaddr* address, socklen_t size) XDPLANE_TAKES("connect");
int take_getsockname(int fd, sockaddr* address, socklen_t* size) XDPLANE_TAKES("getsockname");
int take_setsockopt(int fd, int level, int option, const void* value, socklen_t size)
    XDPLANE_TAKES("setsockopt");
ssize_t take_send(int fd, const void* data, size_t size, int flags) XDPLANE_TAKES("send");
ssize_t take_sendto(int fd, const void* data, size_t size, int flags, const sockaddr* to, socklen_t to_size)
    XDPLANE_TAKES("sendto");
ssize_t take_sendmsg(int fd, const msghdr* message, int flags) XDPLANE_TAKES("sendmsg");
ssize_t take_recvmsg(int fd, msghdr* message, int flags) XDPLANE_TAKES("recvmsg");
ssize_t take_recvfrom(int fd, void* data, size_t size, int flags, sockaddr* from, socklen_t* from_size)
    XDPLANE_TAKES("recvfrom");
}

namespace {

using namespace xdplane::remote;
using xdplane::u32;
using xdplane::u8;
using xdplane::UniqueFd;

/// Requests are short; a program may still claim any length.
constexpr std::size_t kLongestRequest = 64 * 1024;

/// The pairs, by the program's ends, which are known by their inodes: closed, dup'ed and inherited as any fd.
class RouteSockets {
public:
    static RouteSockets& instance() {
        static auto& sockets = *new RouteSockets; // calls may come at any time, also at exit
        return sockets;
    }

    int open(int type, bool generic) {
        int ends[2];
        const int flags = type & (SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return -1;
        UniqueFd other(ends[1]);
        UniqueFd ours(ends[0]);
        // The program's end as it wants it, and the other one out of its way.
        constexpr int kHigh = 800;
        if (const int moved = ::fcntl(other.get(), F_DUPFD_CLOEXEC, kHigh); moved >= 0)
            other = UniqueFd(moved);
        if ((flags & SOCK_CLOEXEC) == 0) ::fcntl(ours.get(), F_SETFD, 0);
        if ((flags & SOCK_NONBLOCK) != 0) ::fcntl(ours.get(), F_SETFL, O_NONBLOCK);
        struct stat st{};
        if (::fstat(ours.get(), &st) != 0) return -1;
        const std::lock_guard guard(lock_);
        drop_closed();
        const u32 port = pairs_.empty() ? static_cast<u32>(::getpid()) : ++last_port_;
        pairs_[st.st_ino] = {std::move(other), {.port = port, .generic = generic}};
        any_ = true;
        return ours.release();
    }

    /// Calls `use` with the options of the socket; false if it is none of these.
    template<class Use>
    bool with(int fd, Use use) {
        const std::optional<ino_t> inode = find(fd);
        if (!inode) return false;
        const std::lock_guard guard(lock_);
        const auto pair = pairs_.find(*inode);
        if (pair == pairs_.end()) return false;
        use(pair->second.options);
        return true;
    }
    [[nodiscard]] bool has(int fd) {
        return with(fd, [](RouteOptions&) {});
    }

    /// No value: none of these. Else what send(2) returns: the size, or -errno.
    std::optional<ssize_t> send(int fd, std::span<const u8> request) {
        RouteOptions options;
        if (!with(fd, [&](const RouteOptions& current) { options = current; })) return std::nullopt;
        // Not under the lock: it asks the daemon.
        const auto replies = answer_route(request, options, forwarded_routes());
        const std::lock_guard guard(lock_);
        const auto pair = pairs_.find(*find(fd));
        if (pair == pairs_.end()) return -EBADF;
        // libc's: what stands in for it would come back here, under the lock.
        auto* const send = real<ssize_t(int, const void*, size_t, int)>("send");
        for (const auto& reply : replies)
            if (send(pair->second.other.get(), reply.data(), reply.size(), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
                return -ENOBUFS;
        return static_cast<ssize_t>(request.size());
    }

private:
    struct Pair {
        UniqueFd other;
        RouteOptions options;
    };

    RouteSockets() = default;
    [[nodiscard]] std::optional<ino_t> find(int fd) const {
        if (!any_) return std::nullopt;
        const int before = errno;
        struct stat st{};
        const bool is_socket = ::fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
        errno = before;
        return is_socket ? std::optional(st.st_ino) : std::nullopt;
    }
    void drop_closed() {
        std::erase_if(pairs_, [](const auto& row) {
            u8 byte;
            return ::recv(row.second.other.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
        });
    }

    std::atomic<bool> any_{false}; ///< there was one ever: what others do costs nothing before
    std::mutex lock_;              ///< guards what is below
    std::map<ino_t, Pair> pairs_;
    u32 last_port_ = 1U << 31;
};

/// What the vectors hold: 0 or -errno.
int gather(const msghdr& message, std::vector<u8>& bytes) {
    for (std::size_t i = 0; i < message.msg_iovlen; ++i) {
        const iovec& part = message.msg_iov[i];
        const std::size_t before = bytes.size();
        if (part.iov_len > kLongestRequest - before) return -EMSGSIZE;
        bytes.resize(before + part.iov_len);
        if (read_memory(reinterpret_cast<xdplane::u64>(part.iov_base), std::span(bytes).subspan(before)) !=
            part.iov_len)
            return -EFAULT;
    }
    return 0;
}

/// From the kernel, as every answer.
void put_sender(void* address, socklen_t room, socklen_t& size) {
    const sockaddr_nl kernel{.nl_family = AF_NETLINK, .nl_pad = 0, .nl_pid = 0, .nl_groups = 0};
    std::memcpy(address, &kernel, std::min<std::size_t>(room, sizeof kernel));
    size = sizeof kernel;
}

ssize_t send_message(int fd, const msghdr& message, const auto& otherwise) {
    if (!RouteSockets::instance().has(fd)) return otherwise();
    try {
        std::vector<u8> request;
        if (const int error = gather(message, request); error != 0) return answer<ssize_t>(error);
        const auto sent = RouteSockets::instance().send(fd, request);
        return sent ? answer(*sent) : otherwise();
    } catch (const std::bad_alloc&) {
        return answer<ssize_t>(-ENOMEM);
    }
}

} // namespace

int take_socket(int domain, int type, int protocol) {
    const int kind = type & ~(SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (domain == AF_NETLINK && (kind == SOCK_RAW || kind == SOCK_DGRAM) &&
        (protocol == NETLINK_ROUTE || protocol == NETLINK_GENERIC))
        return RouteSockets::instance().open(type, protocol == NETLINK_GENERIC);
    return real<int(int, int, int)>("socket")(domain, type, protocol);
}

int take_bind(int fd, const sockaddr* address, socklen_t size) {
    sockaddr_nl wanted{};
    const bool route = RouteSockets::instance().has(fd);
    if (!route) return real<int(int, const sockaddr*, socklen_t)>("bind")(fd, address, size);
    if (address == nullptr || size < sizeof wanted) return answer(-EINVAL);
    std::memcpy(&wanted, address, sizeof wanted);
    if (wanted.nl_family != AF_NETLINK) return answer(-EINVAL);
    RouteSockets::instance().with(fd, [&](RouteOptions& options) {
        if (wanted.nl_pid != 0) options.port = wanted.nl_pid;
    });
    return 0;
}

int take_connect(int fd, const sockaddr* address, socklen_t size) {
    if (RouteSockets::instance().has(fd)) return 0; // there is nobody but the kernel
    return real<int(int, const sockaddr*, socklen_t)>("connect")(fd, address, size);
}

int take_getsockname(int fd, sockaddr* address, socklen_t* size) {
    sockaddr_nl name{.nl_family = AF_NETLINK, .nl_pad = 0, .nl_pid = 0, .nl_groups = 0};
    if (!RouteSockets::instance().with(fd, [&](const RouteOptions& options) { name.nl_pid = options.port; }))
        return real<int(int, sockaddr*, socklen_t*)>("getsockname")(fd, address, size);
    if (address == nullptr || size == nullptr) return answer(-EFAULT);
    std::memcpy(address, &name, std::min<std::size_t>(*size, sizeof name));
    *size = sizeof name;
    return 0;
}

int take_setsockopt(int fd, int level, int option, const void* value, socklen_t size) {
    int number = 0;
    const auto set = [&](RouteOptions& options) {
        if (value != nullptr && size >= sizeof number) std::memcpy(&number, value, sizeof number);
        if (option == NETLINK_EXT_ACK) options.ext_ack = number != 0;
        if (option == NETLINK_CAP_ACK) options.cap_ack = number != 0;
    };
    if (level == SOL_NETLINK && RouteSockets::instance().with(fd, set)) return 0;
    return real<int(int, int, int, const void*, socklen_t)>("setsockopt")(fd, level, option, value, size);
}

ssize_t take_send(int fd, const void* data, size_t size, int flags) {
    iovec part{const_cast<void*>(data), size};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    return send_message(fd, message, [&] {
        return real<ssize_t(int, const void*, size_t, int)>("send")(fd, data, size, flags);
    });
}

ssize_t take_sendto(int fd, const void* data, size_t size, int flags, const sockaddr* to, socklen_t to_size) {
    iovec part{const_cast<void*>(data), size};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    return send_message(fd, message, [&] {
        return real<ssize_t(int, const void*, size_t, int, const sockaddr*, socklen_t)>("sendto")(
            fd, data, size, flags, to, to_size);
    });
}

ssize_t take_sendmsg(int fd, const msghdr* message, int flags) {
    const auto otherwise = [&] {
        return real<ssize_t(int, const msghdr*, int)>("sendmsg")(fd, message, flags);
    };
    return message == nullptr ? otherwise() : send_message(fd, *message, otherwise);
}

ssize_t take_recvmsg(int fd, msghdr* message, int flags) {
    const socklen_t room = message != nullptr ? message->msg_namelen : 0;
    const ssize_t size = real<ssize_t(int, msghdr*, int)>("recvmsg")(fd, message, flags);
    if (size < 0 || message == nullptr || !RouteSockets::instance().has(fd)) return size;
    if (message->msg_name != nullptr) put_sender(message->msg_name, room, message->msg_namelen);
    return size;
}

ssize_t take_recvfrom(int fd, void* data, size_t size, int flags, sockaddr* from, socklen_t* from_size) {
    const socklen_t room =
        from_size != nullptr ? *from_size : 0; // of the pair's, which have no names, 0 is left
    const ssize_t got = real<ssize_t(int, void*, size_t, int, sockaddr*, socklen_t*)>("recvfrom")(
        fd, data, size, flags, from, from_size);
    if (got >= 0 && from != nullptr && from_size != nullptr && RouteSockets::instance().has(fd))
        put_sender(from, room, *from_size);
    return got;
}
