// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/remote/client.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <new>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

#include "bpf/base/unique_fd.h"
#include "bpf/remote/call_table.h"
#include "bpf/remote/gatherer.h"
#include "bpf/remote/user_memory.h"

namespace xdplane::remote {
namespace {

/// The connection, with the lock that serialises calls.
class Connection {
public:
    static Connection& instance() {
        static auto& connection = *new Connection; // calls may come at any time, also at exit
        return connection;
    }

    /// 0 or errno; what the call wrote is in the program's memory.
    int exchange(u32 command, const Gatherer& gathered, i64& result, UniqueFd& fd) {
        const Locked locked(lock_);
        if (const int error = connect(); error != 0) return error;
        const int error = send(command, gathered);
        return error != 0 ? error : receive(gathered, result, fd);
    }

private:
    struct Locked {
        explicit Locked(pthread_mutex_t& mutex) : lock(mutex) { pthread_mutex_lock(&lock); }
        ~Locked() { pthread_mutex_unlock(&lock); }
        pthread_mutex_t& lock;
    };

    Connection() {
        // A child has its parent's memory and none of its other threads.
        pthread_atfork([] { pthread_mutex_lock(&instance().lock_); },
                       [] { pthread_mutex_unlock(&instance().lock_); },
                       [] { pthread_mutex_unlock(&instance().lock_); });
    }

    /// Programs close and reuse fds that are not theirs: ours is known by its inode.
    [[nodiscard]] bool is_ours() const {
        struct stat st{};
        return fd_ >= 0 && ::fstat(fd_, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_ino == inode_;
    }

    int connect() {
        if (is_ours()) {
            u8 byte;
            const bool mine = process_ == ::getpid();
            // Closed meanwhile: the daemon may be another one by now, and that is no error yet.
            if (mine && ::recv(fd_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 0) return 0;
            ::close(fd_);
        }
        fd_ = -1;
        const char* const path = std::getenv(kSocketVariable);
        sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
        if (path == nullptr || std::strlen(path) >= sizeof address.sun_path)
            return gone("no socket is named");
        std::strcpy(address.sun_path, path);
        UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (!fd) return gone(std::strerror(errno));
        const timeval limit{.tv_sec = kAnswerSeconds, .tv_usec = 0};
        ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
            return gone(std::strerror(errno));
        // Out of the way: programs may count on low numbers.
        constexpr int kHigh = 800;
        const int moved = ::fcntl(fd.get(), F_DUPFD_CLOEXEC, kHigh);
        fd_ = moved >= 0 ? moved : fd.release();
        struct stat st{};
        ::fstat(fd_, &st);
        inode_ = st.st_ino;
        process_ = ::getpid();
        ++g_connections;
        return 0;
    }

    int gone(const char* why) {
        if (fd_ >= 0) ::close(fd_);
        fd_ = -1;
        static bool said = false;
        const char* const path = std::getenv(kSocketVariable);
        say_once(said, path != nullptr ? path : kSocketVariable, why);
        return EIO;
    }
    /// After a system call on the socket that did not move all it should.
    int broken(ssize_t size) {
        if (size == 0) return gone("the daemon has closed the connection");
        const bool late = errno == EAGAIN || errno == EWOULDBLOCK;
        return gone(late ? "no answer in time" : std::strerror(errno));
    }

    int send(u32 command, const Gatherer& gathered) {
        u64 size = gathered.slots().size() * sizeof(i32);
        for (const auto& piece : gathered.pieces) size += piece.size();
        const RequestHeader header{.magic = kRequestMagic,
                                   .command = command,
                                   .attributes = static_cast<u32>(gathered.pieces.front().size()),
                                   .slots = static_cast<u32>(gathered.slots().size()),
                                   .fds = static_cast<u32>(gathered.fds().size()),
                                   .size = static_cast<u32>(size)};
        std::vector<u8> bytes(sizeof header + gathered.slots().size() * sizeof(i32));
        std::memcpy(bytes.data(), &header, sizeof header);
        if (!gathered.slots().empty())
            std::memcpy(bytes.data() + sizeof header, gathered.slots().data(),
                        gathered.slots().size() * sizeof(i32));
        for (const auto& piece : gathered.pieces) bytes.insert(bytes.end(), piece.begin(), piece.end());

        alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxFds * sizeof(int))> control{};
        for (std::size_t done = 0; done < bytes.size();) {
            iovec data{&bytes[done], bytes.size() - done};
            msghdr message{};
            message.msg_iov = &data;
            message.msg_iovlen = 1;
            if (done == 0 && header.fds != 0) {
                message.msg_control = control.data();
                message.msg_controllen = CMSG_SPACE(header.fds * sizeof(int));
                cmsghdr* const rights = CMSG_FIRSTHDR(&message);
                rights->cmsg_level = SOL_SOCKET;
                rights->cmsg_type = SCM_RIGHTS;
                rights->cmsg_len = CMSG_LEN(header.fds * sizeof(int));
                std::memcpy(CMSG_DATA(rights), gathered.fds().data(), header.fds * sizeof(int));
            }
            const ssize_t sent = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
            if (sent < 0 && errno == EINTR) continue;
            // It may have said why before it closed.
            if (sent < 0 && (errno == EPIPE || errno == ECONNRESET)) return 0;
            if (sent <= 0) return broken(sent);
            done += static_cast<std::size_t>(sent);
        }
        return 0;
    }

    int receive(const Gatherer& gathered, i64& result, UniqueFd& fd) {
        ReplyHeader header{};
        if (const int error = receive_exactly(&header, sizeof header, fd); error != 0) return error;
        if (header.magic != kReplyMagic || header.size > 2 * kMaxMessage)
            return gone("the daemon is none of this version");
        std::vector<u8> body(header.size);
        if (const int error = receive_exactly(body.data(), body.size(), fd); error != 0) return error;
        result = header.result;
        static bool said = false;
        if (result == -EUSERS) say_once(said, std::getenv(kSocketVariable), "64 programs are served already");
        return apply(header, body, gathered);
    }

    int receive_exactly(void* to, std::size_t size, UniqueFd& fd) {
        alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
        for (std::size_t done = 0; done < size;) {
            iovec data{static_cast<u8*>(to) + done, size - done};
            msghdr message{};
            message.msg_iov = &data;
            message.msg_iovlen = 1;
            message.msg_control = control.data();
            message.msg_controllen = control.size();
            const ssize_t got = ::recvmsg(fd_, &message, MSG_CMSG_CLOEXEC);
            if (got < 0 && errno == EINTR) continue;
            if (got <= 0) return broken(got);
            done += static_cast<std::size_t>(got);
            const cmsghdr* const rights = CMSG_FIRSTHDR(&message);
            if (rights == nullptr || rights->cmsg_type != SCM_RIGHTS) continue;
            int number = -1;
            std::memcpy(&number, CMSG_DATA(rights), sizeof number);
            fd = UniqueFd(number);
        }
        return 0;
    }

    int apply(const ReplyHeader& header, std::span<const u8> body, const Gatherer& gathered) {
        int error = 0;
        for (u32 i = 0; i < header.changes; ++i) {
            Change change{};
            if (body.size() < sizeof change) return gone("the daemon is none of this version");
            std::memcpy(&change, body.data(), sizeof change);
            body = body.subspan(sizeof change);
            if (change.size > body.size() || change.piece >= gathered.pieces.size() ||
                u64{change.offset} + change.size > gathered.pieces[change.piece].size())
                return gone("the daemon is none of this version");
            if (!write_memory(gathered.addresses[change.piece] + change.offset, body.first(change.size)))
                error = EFAULT;
            body = body.subspan(change.size);
        }
        return error;
    }

    pthread_mutex_t lock_ = PTHREAD_MUTEX_INITIALIZER;
    int fd_ = -1;
    ino_t inode_ = 0;
    pid_t process_ = 0;
};

int gather(const RemoteCall& call, u64 address, u32 size, Gatherer& gathered) {
    std::array<u8, kMaxAttributes> attributes{};
    if (read_memory(address, {attributes.data(), size}) != size) return EFAULT;
    gathered.add(address, {attributes.begin(), attributes.begin() + size});
    const int error = walk_call(call, attributes, size, gathered);
    std::copy_n(attributes.begin(), size, gathered.pieces.front().begin());
    static bool said = false;
    if (error == E2BIG) say_once(said, "bpf(2)", "a call takes more than 64 MiB of memory");
    if (error != 0) return error;
    if (gathered.fds().size() <= kMaxFds && gathered.slots().size() <= kMaxSlots) return 0;
    say_once(said, "bpf(2)", "a call names more than 250 objects");
    return E2BIG;
}

} // namespace

long forward(u32 command, void* attributes, u32 size, int& made) {
    const RemoteCall* const call = find_remote_call(command);
    if (call == nullptr) return -EINVAL;
    if (size > kMaxAttributes) return -E2BIG;
    const int before = errno;
    i64 result = 0;
    UniqueFd fd;
    int error = 0;
    try {
        Gatherer gathered;
        error = gather(*call, reinterpret_cast<u64>(attributes), size, gathered);
        if (error == 0) error = Connection::instance().exchange(command, gathered, result, fd);
        if (error == 0 && gathered.faulted && result >= 0) error = EFAULT;
    } catch (const std::bad_alloc&) {
        error = ENOMEM;
    }
    errno = before;
    if (error != 0) return -error;
    made = fd.release();
    return static_cast<long>(result);
}

long forward(u32 command, void* attributes, u32 size) {
    int fd = -1;
    const long result = forward(command, attributes, size, fd);
    return fd >= 0 ? fd : result;
}

bool may_be_handle(int fd) {
    const int before = errno;
    constexpr int kSeals = F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_WRITE | F_SEAL_SEAL;
    const bool sealed = fd >= 0 && ::fcntl(fd, F_GET_SEALS) == kSeals;
    struct stat st{};
    const bool empty = sealed && ::fstat(fd, &st) == 0 && st.st_size == 0;
    errno = before;
    return empty;
}

void say_once(bool& said, const char* what, const char* why) {
    if (said) return;
    said = true;
    ::dprintf(STDERR_FILENO, "xdplane: exec: %s: %s\n", what, why);
}

} // namespace xdplane::remote
