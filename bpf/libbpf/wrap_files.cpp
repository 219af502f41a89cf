// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// More libc calls, wrapped at link time (see wrap.cpp): those that wait for events, and those on paths of the
// bpf file system.
#include <cerrno>
#include <cstdarg>
#include <cstring>
#include <linux/magic.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "bpf/syscall/bpf_system.h"
#include "bpf/syscall/pins.h"

extern "C" {
int __real_epoll_ctl(int epoll, int operation, int fd, epoll_event* event);
int __real_epoll_wait(int epoll, epoll_event* events, int count, int timeout);
int __real_epoll_pwait(int epoll, epoll_event* events, int count, int timeout, const sigset_t* signals);
int __real_ioctl(int fd, unsigned long request, void* argument);
int __real_statfs(const char* path, struct statfs* result);
int __real_statfs64(const char* path, struct statfs64* result);
int __real_mkdir(const char* path, mode_t mode);
int __real_rmdir(const char* path);
int __real_unlink(const char* path);

int __wrap_epoll_ctl(int epoll, int operation, int fd, epoll_event* event);
int __wrap_epoll_wait(int epoll, epoll_event* events, int count, int timeout);
int __wrap_epoll_pwait(int epoll, epoll_event* events, int count, int timeout, const sigset_t* signals);
int __wrap_ioctl(int fd, unsigned long request, void* argument);
int __wrap_statfs(const char* path, struct statfs* result);
int __wrap_statfs64(const char* path, struct statfs64* result);
int __wrap_mkdir(const char* path, mode_t mode);
int __wrap_rmdir(const char* path);
int __wrap_unlink(const char* path);
}

namespace {

using xdplane::PinTable;

/// 0, or -1 with errno.
int answer(int result) {
    if (result >= 0) return result;
    errno = -result;
    return -1;
}

template<class Statfs>
int describe(int found, Statfs* result) {
    if (found == 0) {
        std::memset(result, 0, sizeof *result);
        result->f_type = BPF_FS_MAGIC;
        result->f_bsize = ::getpagesize();
        result->f_namelen = 255;
    }
    return answer(found);
}

} // namespace

int __wrap_epoll_ctl(int epoll, int operation, int fd, epoll_event* event) {
    const int stand_in = xdplane::epoll_stand_in(fd, operation != EPOLL_CTL_DEL);
    return stand_in < 0 && fd >= 0 ? answer(stand_in) : __real_epoll_ctl(epoll, operation, stand_in, event);
}

int __wrap_epoll_wait(int epoll, epoll_event* events, int count, int timeout) {
    xdplane::settle_epoll();
    return __real_epoll_wait(epoll, events, count, timeout);
}

int __wrap_epoll_pwait(int epoll, epoll_event* events, int count, int timeout, const sigset_t* signals) {
    xdplane::settle_epoll();
    return __real_epoll_pwait(epoll, events, count, timeout, signals);
}

// Not variadic: one argument of a word is all that there ever is.
int __wrap_ioctl(int fd, unsigned long request, void* argument) {
    constexpr unsigned kPerfEvents = '$';
    if (_IOC_TYPE(request) == kPerfEvents) {
        const auto done = xdplane::control_perf_event(fd, request, reinterpret_cast<unsigned long>(argument));
        if (done) return answer(*done);
    }
    return __real_ioctl(fd, request, argument);
}

int __wrap_statfs(const char* path, struct statfs* result) {
    const auto found = PinTable::instance().look_up(path);
    return found ? describe(*found, result) : __real_statfs(path, result);
}

int __wrap_statfs64(const char* path, struct statfs64* result) {
    const auto found = PinTable::instance().look_up(path);
    return found ? describe(*found, result) : __real_statfs64(path, result);
}

int __wrap_mkdir(const char* path, mode_t mode) {
    const auto made = PinTable::instance().make_directory(path);
    return made ? answer(*made) : __real_mkdir(path, mode);
}

int __wrap_rmdir(const char* path) {
    const auto removed = PinTable::instance().remove_directory(path);
    return removed ? answer(*removed) : __real_rmdir(path);
}

int __wrap_unlink(const char* path) {
    const auto removed = PinTable::instance().unlink(path);
    return removed ? answer(*removed) : __real_unlink(path);
}
