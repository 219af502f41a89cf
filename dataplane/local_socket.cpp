// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/local_socket.h"

#include <boost/asio/io_context.hpp>
#include <cerrno>
#include <cstring>
#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace xdplane {
namespace {

namespace asio = boost::asio;
using Local = asio::local::stream_protocol;
using ErrorCode = boost::system::error_code;

/// True if somebody accepts connections there.
bool is_alive(const std::string& path) {
    asio::io_context io;
    Local::socket socket(io);
    ErrorCode error;
    socket.connect(Local::endpoint(path), error);
    return !error;
}

/// Group and permissions of the socket file.
Result<> give_to(const ControlSocket& where) {
    if (!where.group.empty()) {
        const group* const entry = getgrnam(where.group.c_str());
        if (entry == nullptr) return fail(EINVAL, "there is no group '{}'", where.group);
        if (chown(where.path.c_str(), static_cast<uid_t>(-1), entry->gr_gid) != 0)
            return fail(errno, "can not be given to group {}: {}", where.group, std::strerror(errno));
    }
    if (chmod(where.path.c_str(), where.mode) != 0) return fail(errno, "{}", std::strerror(errno));
    return {};
}

Result<> open_to_others(const ControlSocket& where, Local::acceptor& acceptor) {
    if (auto given = give_to(where); !given) return given;
    ErrorCode error;
    acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error) return fail(error.value(), "{}", std::strerror(error.value()));
    return {};
}

/// Control data of one descriptor.
struct alignas(cmsghdr) Rights {
    char bytes[CMSG_SPACE(sizeof(int))];
};

} // namespace

ssize_t send_with_fd(int socket, const void* from, std::size_t size, int fd) {
    Rights control{};
    iovec data{const_cast<void*>(from), size};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    if (fd >= 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
        cmsghdr* const rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof fd);
        std::memcpy(CMSG_DATA(rights), &fd, sizeof fd);
    }
    return ::sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

ssize_t receive_with_fd(int socket, void* to, std::size_t room, UniqueFd& fd) {
    Rights control{};
    iovec data{to, room};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    const ssize_t size = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    if (size <= 0) return size;
    const cmsghdr* const rights = CMSG_FIRSTHDR(&message);
    if (rights != nullptr && rights->cmsg_level == SOL_SOCKET && rights->cmsg_type == SCM_RIGHTS &&
        rights->cmsg_len >= CMSG_LEN(sizeof(int))) {
        int passed = -1;
        std::memcpy(&passed, CMSG_DATA(rights), sizeof passed);
        fd = UniqueFd(passed);
    }
    return size;
}

Result<> listen_at(const ControlSocket& where, Local::acceptor& acceptor) {
    if (where.path.size() > kMaxSocketPath)
        return fail(ENAMETOOLONG, "more than {} characters", kMaxSocketPath);
    struct stat st{};
    if (lstat(where.path.c_str(), &st) == 0) {
        if (!S_ISSOCK(st.st_mode)) return fail(EEXIST, "is there, and no socket");
        if (is_alive(where.path)) return fail(EADDRINUSE, "another process listens there");
        unlink(where.path.c_str());
    }
    ErrorCode error;
    acceptor.open(Local(), error);
    const mode_t before = umask(0177);
    if (!error) acceptor.bind(Local::endpoint(where.path), error);
    umask(before);
    if (error) return fail(error.value(), "{}", std::strerror(error.value()));
    auto opened = open_to_others(where, acceptor);
    if (!opened) unlink(where.path.c_str());
    return opened;
}

} // namespace xdplane
