// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// The calls of libc that programs make around bpf(2), for a library that is loaded in front of libc: what
// concerns objects goes to the daemon, everything else to libc.
#include <cerrno>
#include <climits>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bpf/base/unique_fd.h"
#include "bpf/remote/client.h"
#include "bpf/remote/user_memory.h"

// By names of our own: headers give some of libc's other names, and syscall() other arguments.
#define XDPLANE_TAKES(name) __asm__(name) __attribute__((visibility("default")))

extern "C" {
long take_syscall(long number, long a, long b, long c, long d, long e, long f) XDPLANE_TAKES("syscall");
void* take_mmap(void* address, size_t size, int protection, int flags, int fd, off_t offset)
    XDPLANE_TAKES("mmap");
void* take_mmap64(void* address, size_t size, int protection, int flags, int fd, off_t offset)
    XDPLANE_TAKES("mmap64");
std::FILE* take_fopen(const char* path, const char* mode) XDPLANE_TAKES("fopen");
std::FILE* take_fopen64(const char* path, const char* mode) XDPLANE_TAKES("fopen64");
int take_statfs(const char* path, struct statfs* result) XDPLANE_TAKES("statfs");
int take_statfs64(const char* path, struct statfs64* result) XDPLANE_TAKES("statfs64");
int take_mkdir(const char* path, mode_t mode) XDPLANE_TAKES("mkdir");
int take_rmdir(const char* path) XDPLANE_TAKES("rmdir");
int take_unlink(const char* path) XDPLANE_TAKES("unlink");
int take_mount(const char* source, const char* target, const char* type, unsigned long flags,
               const void* data) XDPLANE_TAKES("mount");
}

namespace {

using namespace xdplane::remote;

/// libc's own. A program without it would not have started.
template<class Function>
Function* real(const char* name) {
    return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

/// 0 or more, or -1 with errno.
template<class T>
T answer(T result) {
    if (result >= 0) return result;
    errno = static_cast<int>(-result);
    return -1;
}

/// What the daemon says of a path of its file system; false if it is none.
bool on_path(const char* path, PathOperation operation, int& result) {
    if (path == nullptr) return false;
    const int before = errno;
    const std::string absolute = absolute_path(path);
    errno = before;
    if (!is_pin_path(absolute)) return false;
    PathCall call{
        .path = reinterpret_cast<xdplane::u64>(absolute.c_str()), .operation = operation, .reserved = 0};
    const long done = forward(kOnPath, &call, sizeof call);
    if (done == kElsewhere) return false;
    result = answer(static_cast<int>(done));
    return true;
}

template<class Statfs>
bool describe(const char* path, Statfs* result, int& status) {
    if (!on_path(path, PathOperation::look_up, status)) return false;
    if (status != 0) return true;
    std::memset(result, 0, sizeof *result);
    result->f_type = BPF_FS_MAGIC;
    result->f_bsize = ::getpagesize();
    result->f_namelen = NAME_MAX;
    return true;
}

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
                    .reserved = 0};
    int number = -1;
    const long result = forward(kGetMemory, &call, sizeof call, number);
    const xdplane::UniqueFd memory(number);
    if (result < 0) {
        errno = static_cast<int>(-result);
        return MAP_FAILED;
    }
    return real<Mmap>(name)(address, size, protection, flags, memory ? memory.get() : fd, offset);
}

} // namespace

// Not variadic, as libc's own is not: callers pass fewer arguments than the kernel might read, and what is
// missing is garbage that nobody looks at.
long take_syscall(long number, long a, long b, long c, long d, long e, long f) {
    if (number == __NR_bpf)
        return answer(
            forward(static_cast<xdplane::u32>(a), reinterpret_cast<void*>(b), static_cast<xdplane::u32>(c)));
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

int take_statfs(const char* path, struct statfs* result) {
    int status = 0;
    if (describe(path, result, status)) return status;
    return real<int(const char*, struct statfs*)>("statfs")(path, result);
}
int take_statfs64(const char* path, struct statfs64* result) {
    int status = 0;
    if (describe(path, result, status)) return status;
    return real<int(const char*, struct statfs64*)>("statfs64")(path, result);
}

int take_mkdir(const char* path, mode_t mode) {
    int status = 0;
    if (on_path(path, PathOperation::make_directory, status)) return status;
    return real<int(const char*, mode_t)>("mkdir")(path, mode);
}
int take_rmdir(const char* path) {
    int status = 0;
    if (on_path(path, PathOperation::remove_directory, status)) return status;
    return real<int(const char*)>("rmdir")(path);
}
int take_unlink(const char* path) {
    int status = 0;
    if (on_path(path, PathOperation::unlink, status)) return status;
    return real<int(const char*)>("unlink")(path);
}

// Nobody is to have a bpf file system of the kernel's where the daemon's pins were meant, nor a directory
// made ready for one, as bpftool does first.
int take_mount(const char* source, const char* target, const char* type, unsigned long flags,
               const void* data) {
    const std::string_view kind = type != nullptr ? type : "";
    const bool first =
        kind == "none" && source != nullptr && *source == '\0' && flags == (MS_PRIVATE | MS_REC);
    if (kind != "bpf" && !first)
        return real<int(const char*, const char*, const char*, unsigned long, const void*)>("mount")(
            source, target, type, flags, data);
    static bool said = false;
    say_once(said, target, "pins are below /sys/fs/bpf, in directories that mkdir made");
    errno = EPERM;
    return -1;
}
