// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/remote/gatherer.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <string>
#include <sys/stat.h>

#include "bpf/remote/client.h"
#include "bpf/remote/user_memory.h"

namespace xdplane::remote {
namespace {

/// Shapes never change, and an fd's file is known by its inode for as long as it is open: asked for once.
struct KnownShape {
    u64 connection = 0;
    ino_t inode = 0;
    timespec made{};
    Shape shape;
};
thread_local std::array<KnownShape, 16> t_shapes;
Shape shape_behind(i32 fd) {
    ShapeCall call{.fd = static_cast<u32>(fd), .shape = {}};
    struct stat st{};
    if (::fstat(fd, &st) != 0) return {};
    KnownShape& known = t_shapes[st.st_ino % t_shapes.size()];
    const bool same = known.connection == g_connections && known.inode == st.st_ino &&
                      known.made.tv_sec == st.st_ctim.tv_sec && known.made.tv_nsec == st.st_ctim.tv_nsec;
    if (same) return known.shape;
    (void)forward(kGetShape, &call, sizeof call);
    if (call.shape.kind != Kind::none) known = {g_connections, st.st_ino, st.st_ctim, call.shape};
    return call.shape;
}

} // namespace

Shape Gatherer::shape(i32 fd) {
    // An fd that is none of the daemon's has no shape there either.
    return may_be_handle(fd) ? shape_behind(fd) : Shape{};
}

u8* Gatherer::memory(const Pointer& pointer, u8* field, u64 size) {
    u64 address;
    std::memcpy(&address, field, sizeof address);
    size_ += size;
    if (size_ > kMaxMessage) return fail(E2BIG);
    std::vector<u8> bytes(size + 1);
    const std::size_t there = read_memory(address, {bytes.data(), size});
    bytes.resize(size);
    if (pointer.extent == Extent::text || pointer.extent == Extent::path) {
        if (!keep_text(bytes, there, pointer)) return nullptr;
    } else if (there < size && !pointer.out) {
        if (pointer.extent == Extent::fds) return fail(EFAULT);
        // Null: whatever else is wrong with the call is told first, as on Linux.
        std::memset(field, 0, sizeof address);
        faulted = true;
        return fail(0);
    }
    // What is not there to be read, of memory that is only written, may never be needed.
    bytes.reserve(1); // an address, also of nothing
    return add(address, std::move(bytes));
}

u8* Gatherer::add(u64 address, std::vector<u8> bytes) {
    addresses.push_back(address);
    pieces.push_back(std::move(bytes));
    return pieces.back().data();
}

u8* Gatherer::fail(int code) {
    error_ = code;
    return nullptr;
}

bool Gatherer::keep_text(std::vector<u8>& bytes, std::size_t there, const Pointer& pointer) {
    const auto end = std::find(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(there), u8{0});
    const auto length = static_cast<std::size_t>(end - bytes.begin());
    if (length == there && there < bytes.size()) return fail(EFAULT) != nullptr;
    std::string text(bytes.begin(), end);
    if (pointer.extent == Extent::path) {
        if (length == bytes.size()) return fail(ENAMETOOLONG) != nullptr;
        if (text.empty()) return fail(ENOENT) != nullptr;
        text = absolute_path(text);
        if (text.size() >= pointer.size) return fail(ENAMETOOLONG) != nullptr;
    }
    text.resize(std::min<std::size_t>(text.size(), pointer.size - 1)); // licences are cut, as Linux does
    bytes.assign(text.begin(), text.end());
    bytes.push_back(0);
    return true;
}

i32 Gatherer::slot_of(const u8* field) {
    i32 fd;
    std::memcpy(&fd, field, sizeof fd);
    if (fd < 0) return kUntouched;
    const int before = errno;
    const bool open = ::fcntl(fd, F_GETFD) >= 0;
    const bool memory = open && ::fcntl(fd, F_GET_SEALS) >= 0;
    errno = before;
    if (!memory) return fd == 0 ? kUntouched : open ? kStranger : kClosed;
    const auto known = std::find(fds_.begin(), fds_.end(), fd);
    if (known == fds_.end()) fds_.push_back(fd);
    return static_cast<i32>(std::find(fds_.begin(), fds_.end(), fd) - fds_.begin());
}

} // namespace xdplane::remote
