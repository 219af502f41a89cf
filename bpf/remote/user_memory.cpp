// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/remote/user_memory.h"

#include <cerrno>
#include <climits>
#include <cstring>
#include <sys/uio.h>
#include <unistd.h>
#include <vector>

namespace xdplane::remote {
namespace {

/// Where this is not allowed, wrong addresses end the program, as they do elsewhere.
bool not_allowed() { return errno == ENOSYS || errno == EPERM; }

} // namespace

std::size_t read_memory(u64 address, std::span<u8> to) {
    if (to.empty()) return 0;
    const iovec local{to.data(), to.size()};
    const iovec remote{reinterpret_cast<void*>(address), to.size()};
    const ssize_t size = ::process_vm_readv(::getpid(), &local, 1, &remote, 1, 0);
    if (size >= 0) return static_cast<std::size_t>(size);
    if (!not_allowed()) return 0;
    std::memcpy(to.data(), remote.iov_base, to.size());
    return to.size();
}

bool write_memory(u64 address, std::span<const u8> from) {
    if (from.empty()) return true;
    const iovec local{const_cast<u8*>(from.data()), from.size()};
    const iovec remote{reinterpret_cast<void*>(address), from.size()};
    const ssize_t size = ::process_vm_writev(::getpid(), &local, 1, &remote, 1, 0);
    if (size >= 0) return static_cast<std::size_t>(size) == from.size();
    if (!not_allowed()) return false;
    std::memcpy(remote.iov_base, from.data(), from.size());
    return true;
}

std::string absolute_path(const std::string& path) {
    std::string whole = path;
    if (!path.starts_with('/')) {
        char directory[PATH_MAX];
        if (::getcwd(directory, sizeof directory) == nullptr) return path;
        whole = std::string(directory) + "/" + path;
    }
    std::string result;
    std::size_t at = 0;
    while (at < whole.size()) {
        const std::size_t end = std::min(whole.find('/', at), whole.size());
        const std::string name = whole.substr(at, end - at);
        at = end + 1;
        if (name == "..")
            result.resize(result.rfind('/') == std::string::npos ? 0 : result.rfind('/'));
        else if (!name.empty() && name != ".")
            result += "/" + name;
    }
    return result.empty() ? "/" : result;
}

bool is_pin_path(const std::string& absolute) {
    const std::size_t root = std::strlen(kPinRoot);
    return absolute.starts_with(kPinRoot) && (absolute.size() == root || absolute[root] == '/');
}

} // namespace xdplane::remote
