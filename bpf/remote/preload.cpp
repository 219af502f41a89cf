// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// The calls of libc that programs make around bpf(2), for a library that is loaded in front of libc: what
// concerns objects goes to the daemon, everything else to libc.
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <linux/bpf.h>
#include <map>
#include <mutex>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bpf/base/unique_fd.h"
#include "bpf/maps/ring_view.h"
#include "bpf/remote/client.h"
#include "bpf/remote/preload.h"

extern "C" {
long take_syscall(long number, long a, long b, long c, long d, long e, long f) XDPLANE_TAKES("syscall");
void* take_mmap(void* address, size_t size, int protection, int flags, int fd, off_t offset)
    XDPLANE_TAKES("mmap");
void* take_mmap64(void* address, size_t size, int protection, int flags, int fd, off_t offset)
    XDPLANE_TAKES("mmap64");
std::FILE* take_fopen(const char* path, const char* mode) XDPLANE_TAKES("fopen");
std::FILE* take_fopen64(const char* path, const char* mode) XDPLANE_TAKES("fopen64");
int take_epoll_ctl(int epoll, int operation, int fd, epoll_event* event) XDPLANE_TAKES("epoll_ctl");
int take_epoll_wait(int epoll, epoll_event* events, int count, int timeout) XDPLANE_TAKES("epoll_wait");
int take_epoll_pwait(int epoll, epoll_event* events, int count, int timeout, const sigset_t* signals)
    XDPLANE_TAKES("epoll_pwait");
}

namespace {

using namespace xdplane::remote;

/// The number in /proc/self/fdinfo/N, or of this process by its number; -1 for any other path.
int fdinfo_number(const char* path) {
    int fd = -1;
    int process = 0;
    int end = 0;
    if (std::sscanf(path, "/proc/self/fdinfo/%d%n", &fd, &end) == 1 && path[end] == '\0') return fd;
    if (std::sscanf(path, "/proc/%d/fdinfo/%d%n", &process, &fd, &end) == 2 && path[end] == '\0')
        return process == ::getpid() ? fd : -1;
    return -1;
}

/// Linux's first lines, then the object's.
std::FILE* open_fdinfo(int fd) {
    char text[4096];
    FdinfoCall call{.fd = static_cast<xdplane::u32>(fd),
                    .size = sizeof text,
                    .text = reinterpret_cast<xdplane::u64>(text)};
    const long size = forward(kGetFdinfo, &call, sizeof call);
    if (size < 0) return nullptr;
    struct stat st{};
    ::fstat(fd, &st);
    std::FILE* const file = ::tmpfile();
    if (file == nullptr) return nullptr;
    std::fprintf(file, "pos:\t0\nflags:\t0%o\nmnt_id:\t0\nino:\t%lu\n", ::fcntl(fd, F_GETFL) | O_CLOEXEC,
                 st.st_ino);
    std::fwrite(text, 1, static_cast<std::size_t>(size), file);
    std::rewind(file);
    return file;
}

std::FILE* open_file(const char* name, const char* path, const char* mode) {
    const int fd = path != nullptr && std::strncmp(path, "/proc/", 6) == 0 ? fdinfo_number(path) : -1;
    if (fd >= 0 && may_be_handle(fd))
        if (std::FILE* const file = open_fdinfo(fd)) return file;
    return real<std::FILE*(const char*, const char*)>(name)(path, mode);
}

void* map(const char* name, void* address, size_t size, int protection, int flags, int fd, off_t offset) {
    using Mmap = void*(void*, size_t, int, int, int, off_t);
    if ((flags & MAP_ANONYMOUS) != 0 || !may_be_handle(fd))
        return real<Mmap>(name)(address, size, protection, flags, fd, offset);
    MemoryCall call{.fd = static_cast<xdplane::u32>(fd),
                    .protection = static_cast<xdplane::u32>(protection),
                    .flags = static_cast<xdplane::u32>(flags),
                    .user_produces = 0,
                    .ring_size = 0};
    int number = -1;
    const long result = forward(kGetMemory, &call, sizeof call, number);
    const xdplane::UniqueFd memory(number);
    if (result < 0) {
        errno = static_cast<int>(-result);
        return MAP_FAILED;
    }
    if (!memory) return real<Mmap>(name)(address, size, protection, flags, fd, offset);
    if (call.ring_size == 0) return real<Mmap>(name)(address, size, protection, flags, memory.get(), offset);
    const xdplane::RingPages ring{
        .fd = memory.get(), .data_size = call.ring_size, .user_produces = call.user_produces != 0};
    return xdplane::map_ring(ring, address, size, protection, flags, offset);
}

/// What epoll waits for in place of objects, by their inodes: kept open, for epoll knows it by its number.
class Waiters {
public:
    static Waiters& instance() {
        static auto& waiters = *new Waiters;
        return waiters;
    }
    /// -1: fd is none of ours; or -errno.
    int find(int fd, bool add) {
        struct stat st{};
        if (!may_be_handle(fd) || ::fstat(fd, &st) != 0) return -1;
        WaiterCall call{.fd = static_cast<xdplane::u32>(fd), .add = add ? 1U : 0U};
        int number = -1;
        const long result = forward(kGetWaiter, &call, sizeof call, number);
        xdplane::UniqueFd waiter(number);
        if (result < 0) return static_cast<int>(result);
        if (!waiter) return -1;
        const std::lock_guard guard(lock_);
        const auto known = fds_.try_emplace(st.st_ino, waiter.get());
        if (known.second) (void)waiter.release();
        any_ = true;
        return known.first->second;
    }
    /// Before a wait.
    void settle() const {
        char nothing = 0;
        if (any_) (void)forward(kSettle, &nothing, 0);
    }

private:
    std::mutex lock_;
    std::map<ino_t, int> fds_; ///< guarded by lock_
    std::atomic<bool> any_{false};
};

} // namespace

// Not variadic, as libc's own is not: callers pass fewer arguments than the kernel might read, and what is
// missing is garbage that nobody looks at.
long take_syscall(long number, long a, long b, long c, long d, long e, long f) {
    if (number == __NR_bpf) {
        const auto command = static_cast<xdplane::u32>(a);
        const auto size = static_cast<xdplane::u32>(c);
        const long result = forward(command, reinterpret_cast<void*>(b), size);
        const bool refused =
            (command == BPF_OBJ_PIN && result == -EPERM) || (command == BPF_OBJ_GET && result == -EACCES);
        return answer(refused ? answer_elsewhere(command, static_cast<xdplane::u64>(b), size, result)
                              : result);
    }
    return real<long(long, long, long, long, long, long, long)>("syscall")(number, a, b, c, d, e, f);
}

void* take_mmap(void* address, size_t size, int protection, int flags, int fd, off_t offset) {
    return map("mmap", address, size, protection, flags, fd, offset);
}
void* take_mmap64(void* address, size_t size, int protection, int flags, int fd, off_t offset) {
    return map("mmap64", address, size, protection, flags, fd, offset);
}

std::FILE* take_fopen(const char* path, const char* mode) { return open_file("fopen", path, mode); }
std::FILE* take_fopen64(const char* path, const char* mode) { return open_file("fopen64", path, mode); }

int take_epoll_ctl(int epoll, int operation, int fd, epoll_event* event) {
    const int waiter = Waiters::instance().find(fd, operation != EPOLL_CTL_DEL);
    if (waiter < -1) return answer(waiter);
    return real<int(int, int, int, epoll_event*)>("epoll_ctl")(epoll, operation, waiter < 0 ? fd : waiter,
                                                               event);
}
int take_epoll_wait(int epoll, epoll_event* events, int count, int timeout) {
    Waiters::instance().settle();
    return real<int(int, epoll_event*, int, int)>("epoll_wait")(epoll, events, count, timeout);
}
int take_epoll_pwait(int epoll, epoll_event* events, int count, int timeout, const sigset_t* signals) {
    Waiters::instance().settle();
    return real<int(int, epoll_event*, int, int, const sigset_t*)>("epoll_pwait")(epoll, events, count,
                                                                                  timeout, signals);
}
