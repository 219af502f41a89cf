// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// The libc calls of stock libbpf, wrapped at link time (ld --wrap): bpf(2) goes to bpf_syscall(), everything
// else to libc. The calls of the whole binary pass here, so each wrapper is cheap where no object is
// concerned.
#include <cerrno>
#include <cstdarg>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>

#include "bpf/libbpf/wrap.h"
#include "bpf/syscall/bpf_system.h"

extern "C" {
long __real_syscall(long number, ...);
void* __real_mmap(void* address, size_t size, int protection, int flags, int fd, off_t offset);
int __real_close(int fd);
int __real_dup3(int fd, int copy, int flags);
int __real_fcntl64(int fd, int command, ...);

long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);
void* __wrap_mmap(void* address, size_t size, int protection, int flags, int fd, off_t offset);
void* __wrap_mmap64(void* address, size_t size, int protection, int flags, int fd, off_t offset);
int __wrap_close(int fd);
int __wrap_dup3(int fd, int copy, int flags);
int __wrap_fcntl64(int fd, int command, ...);
}

namespace xdplane {

namespace {
thread_local bool t_kernel = false;
} // namespace

bool libbpf_is_wrapped() { return true; }

KernelScope::KernelScope() : before_(t_kernel) { t_kernel = true; }
KernelScope::~KernelScope() { t_kernel = before_; }

} // namespace xdplane

namespace {

/// Other events are the kernel's.
bool is_bpf_output(const perf_event_attr* attr) {
    return attr != nullptr && attr->type == PERF_TYPE_SOFTWARE && attr->config == PERF_COUNT_SW_BPF_OUTPUT;
}

} // namespace

// Not variadic, as libc's own is not: callers pass fewer arguments than the kernel might read, and what is
// missing is garbage that nobody looks at.
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f) {
    if (xdplane::t_kernel) return __real_syscall(number, a, b, c, d, e, f);
    long result = 0;
    if (number == __NR_bpf)
        result = xdplane::bpf_syscall(static_cast<xdplane::u32>(a), reinterpret_cast<void*>(b),
                                      static_cast<xdplane::u32>(c));
    else if (number == __NR_perf_event_open && is_bpf_output(reinterpret_cast<const perf_event_attr*>(a)))
        result = xdplane::open_perf_event(reinterpret_cast<const void*>(a), static_cast<xdplane::i32>(b),
                                          static_cast<xdplane::i32>(c), static_cast<xdplane::i32>(d),
                                          static_cast<xdplane::u64>(e));
    else
        return __real_syscall(number, a, b, c, d, e, f);
    if (result >= 0) return result;
    errno = static_cast<int>(-result);
    return -1;
}

void* __wrap_mmap(void* address, size_t size, int protection, int flags, int fd, off_t offset) {
    if (fd >= 0 && (flags & MAP_ANONYMOUS) == 0) {
        const auto mapped = xdplane::map_object(address, size, protection, flags, fd, offset);
        if (mapped) return *mapped;
    }
    return __real_mmap(address, size, protection, flags, fd, offset);
}

// The same call where off_t has 64 bits, as everywhere here.
void* __wrap_mmap64(void* address, size_t size, int protection, int flags, int fd, off_t offset) {
    static_assert(sizeof(off_t) == 8);
    return __wrap_mmap(address, size, protection, flags, fd, offset);
}

int __wrap_close(int fd) {
    const xdplane::ClosingFd closing(fd);
    return __real_close(fd);
}

int __wrap_dup3(int fd, int copy, int flags) {
    const int result = __real_dup3(fd, copy, flags);
    if (result >= 0) xdplane::object_fd_duplicated(fd, result);
    return result;
}

int __wrap_fcntl64(int fd, int command, ...) {
    va_list list;
    va_start(list, command);
    void* argument = va_arg(list, void*);
    va_end(list);
    const int result = __real_fcntl64(fd, command, argument);
    if (result >= 0 && (command == F_DUPFD || command == F_DUPFD_CLOEXEC))
        xdplane::object_fd_duplicated(fd, result);
    return result;
}
