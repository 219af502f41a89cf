// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// The calls of libc on paths of the bpf file system, which is the daemon's (see preload.cpp).
#include <climits>
#include <cstring>
#include <linux/bpf.h>
#include <linux/magic.h>
#include <string>
#include <string_view>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "bpf/remote/client.h"
#include "bpf/remote/preload.h"
#include "bpf/remote/user_memory.h"

extern "C" {
int take_statfs(const char* path, struct statfs* result) XDPLANE_TAKES("statfs");
int take_statfs64(const char* path, struct statfs64* result) XDPLANE_TAKES("statfs64");
int take_mkdir(const char* path, mode_t mode) XDPLANE_TAKES("mkdir");
int take_rmdir(const char* path) XDPLANE_TAKES("rmdir");
int take_unlink(const char* path) XDPLANE_TAKES("unlink");
int take_mount(const char* source, const char* target, const char* type, unsigned long flags,
               const void* data) XDPLANE_TAKES("mount");
}

namespace xdplane::remote {

long answer_elsewhere(u32 command, u64 attributes, u32 size, long refusal) {
    bpf_attr attr;
    std::memset(static_cast<void*>(&attr), 0, sizeof attr);
    char text[PATH_MAX] = {};
    const std::size_t known = size < sizeof attr ? size : sizeof attr;
    if (read_memory(attributes, {reinterpret_cast<u8*>(&attr), known}) != known) return refusal;
    (void)read_memory(attr.pathname, {reinterpret_cast<u8*>(text), sizeof text - 1});
    const std::string path = absolute_path(text);
    if (*text == '\0' || is_pin_path(path)) return refusal;
    const int before = errno;
    struct stat st{};
    long result = refusal;
    if (command == BPF_OBJ_GET) {
        if (::stat(path.c_str(), &st) != 0) result = -errno;
    } else {
        const std::string parent = path.substr(0, path.rfind('/') + 1);
        if (::stat(parent.c_str(), &st) != 0)
            result = -errno;
        else if (::lstat(path.c_str(), &st) == 0)
            result = -EEXIST;
    }
    errno = before;
    return result;
}

} // namespace xdplane::remote

namespace {

using namespace xdplane::remote;

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

} // namespace

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

// No bpf file system of the kernel's is mounted where the daemon's pins were meant, nor a
// directory made ready for one, as bpftool does first.
int take_mount(const char* source, const char* target, const char* type, unsigned long flags,
               const void* data) {
    const std::string_view kind = type != nullptr ? type : "";
    const bool first =
        kind == "none" && source != nullptr && *source == '\0' && flags == (MS_PRIVATE | MS_REC);
    if (kind != "bpf" && !first)
        return real<int(const char*, const char*, const char*, unsigned long, const void*)>("mount")(
            source, target, type, flags, data);
    if (kind == "bpf" && target != nullptr && absolute_path(target) == kPinRoot) return 0; // it is there
    static bool said = false;
    say_once(said, target, "pins are below /sys/fs/bpf, in directories that mkdir made");
    errno = EPERM;
    return -1;
}
