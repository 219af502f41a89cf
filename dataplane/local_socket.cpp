// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/local_socket.h"

#include <boost/asio/io_context.hpp>
#include <cerrno>
#include <cstring>
#include <grp.h>
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

} // namespace

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
