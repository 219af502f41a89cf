// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/syscall/pins.h"

#include <cerrno>
#include <climits>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>

#include "bpf/syscall/command.h"

namespace xdplane {
namespace {

/// Empty for what is no path.
std::string normalised(const std::string& path) {
    if (path.empty()) return {};
    std::error_code error;
    const std::filesystem::path absolute =
        path.front() == '/' ? std::filesystem::path(path) : std::filesystem::current_path(error) / path;
    std::string text = absolute.lexically_normal().string();
    while (text.size() > 1 && text.back() == '/') text.pop_back();
    return text;
}

std::string parent_of(const std::string& path) { return path.substr(0, path.rfind('/')); }
std::string name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

/// What pinning says of a path that is not ours to pin at.
int refuse_elsewhere(const std::string& path) {
    struct stat st{};
    const std::string parent = parent_of(path);
    if (::stat(parent.empty() ? "/" : parent.c_str(), &st) != 0) return -errno;
    if (!S_ISDIR(st.st_mode)) return -ENOTDIR;
    return ::lstat(path.c_str(), &st) == 0 ? -EEXIST : -EPERM;
}

} // namespace

PinTable& PinTable::instance() {
    static auto& table = *new PinTable; // never destroyed, as is the table of objects
    return table;
}

PinTable::PinTable() { add_root("/sys/fs/bpf"); }

void PinTable::add_root(const std::string& path) {
    const std::lock_guard guard(lock_);
    roots_.insert(normalised(path));
    nodes_.try_emplace(normalised(path));
}

bool PinTable::inside(const std::string& path) const {
    for (const std::string& root : roots_)
        if (path == root || (path.starts_with(root) && path[root.size()] == '/')) return true;
    return false;
}

/// The directory that the path is in: 0, -ENOENT, -ENOTDIR.
int PinTable::check_parent(const std::string& path) const {
    // From the root down: what is missing first decides.
    for (std::size_t end = path.find('/', 1); end != std::string::npos; end = path.find('/', end + 1)) {
        const std::string directory = path.substr(0, end);
        if (!inside(directory)) continue;
        const auto node = nodes_.find(directory);
        if (node == nodes_.end()) return -ENOENT;
        if (!is_directory(node->second)) return -ENOTDIR;
    }
    return 0;
}

int PinTable::check_new(const std::string& path) const {
    if (const int error = check_parent(path); error != 0) return error;
    if (nodes_.contains(path)) return -EEXIST;
    const std::string name = name_of(path);
    if (name.size() > NAME_MAX) return -ENAMETOOLONG;
    return name.find('.') != std::string::npos ? -EPERM : 0;
}

int PinTable::pin(const std::string& path, const ObjectRef& object) {
    if (path.size() >= PATH_MAX) return -ENAMETOOLONG;
    const std::string where = normalised(path);
    if (where.empty()) return -ENOENT;
    const std::lock_guard guard(lock_);
    if (!inside(where)) return refuse_elsewhere(where);
    if (const int error = check_new(where); error != 0) return error;
    nodes_.emplace(where, object);
    return 0;
}

int PinTable::get(const std::string& path, ObjectRef& object) {
    if (path.size() >= PATH_MAX) return -ENAMETOOLONG;
    const std::string where = normalised(path);
    if (where.empty()) return -ENOENT;
    const std::lock_guard guard(lock_);
    if (!inside(where)) {
        struct stat st{};
        return ::stat(where.c_str(), &st) == 0 ? -EACCES : -errno;
    }
    if (const int error = check_parent(where); error != 0) return error;
    const auto node = nodes_.find(where);
    if (node == nodes_.end()) return -ENOENT;
    if (is_directory(node->second)) return -EACCES;
    object = node->second;
    return 0;
}

bool PinTable::holds(const ObjectRef& object) {
    const std::lock_guard guard(lock_);
    return std::ranges::any_of(nodes_, [&](const auto& row) { return row.second == object; });
}

std::map<std::string, ObjectRef> PinTable::list() {
    const std::lock_guard guard(lock_);
    return nodes_;
}

std::optional<int> PinTable::make_directory(const char* path) {
    const std::string where = normalised(path);
    const std::lock_guard guard(lock_);
    if (!inside(where)) return std::nullopt;
    if (const int error = check_new(where); error != 0) return error;
    nodes_.try_emplace(where);
    return 0;
}

std::optional<int> PinTable::remove_directory(const char* path) {
    const std::string where = normalised(path);
    const std::lock_guard guard(lock_);
    if (!inside(where)) return std::nullopt;
    if (const int error = check_parent(where); error != 0) return error;
    const auto node = nodes_.find(where);
    if (node == nodes_.end()) return -ENOENT;
    if (!is_directory(node->second)) return -ENOTDIR;
    if (roots_.contains(where)) return -EBUSY;
    const auto below = nodes_.upper_bound(where + '/');
    if (below != nodes_.end() && below->first.starts_with(where + '/')) return -ENOTEMPTY;
    nodes_.erase(node);
    return 0;
}

std::optional<int> PinTable::unlink(const char* path) {
    const std::string where = normalised(path);
    ObjectRef object;
    {
        const std::lock_guard guard(lock_);
        if (!inside(where)) return std::nullopt;
        if (const int error = check_parent(where); error != 0) return error;
        const auto node = nodes_.find(where);
        if (node == nodes_.end()) return -ENOENT;
        if (is_directory(node->second)) return -EISDIR;
        object = std::move(node->second);
        nodes_.erase(node);
    }
    if (!ObjectTable::instance().has_fd(object)) release_object(std::move(object));
    return 0;
}

std::optional<int> PinTable::look_up(const char* path) {
    const std::string where = normalised(path);
    const std::lock_guard guard(lock_);
    if (!inside(where)) return std::nullopt;
    if (const int error = check_parent(where); error != 0) return error;
    return nodes_.contains(where) ? 0 : -ENOENT;
}

long obj_pin(Call& call) {
    if (call.attr.file_flags != 0) return -EINVAL;
    ObjectRef object = ObjectTable::instance().find(static_cast<int>(call.attr.bpf_fd));
    const bool pinnable = std::holds_alternative<std::shared_ptr<Map>>(object) ||
                          std::holds_alternative<std::shared_ptr<const Program>>(object) ||
                          std::holds_alternative<std::shared_ptr<Link>>(object);
    if (!pinnable) return -EINVAL;
    if (call.attr.pathname == 0) return -EFAULT;
    return PinTable::instance().pin(user_pointer<const char>(call.attr.pathname), object);
}

long obj_get(Call& call) {
    constexpr u32 kModes = BPF_F_RDONLY | BPF_F_WRONLY;
    const u32 flags = call.attr.file_flags;
    if (call.attr.bpf_fd != 0 || (flags & ~kModes) != 0 || flags == kModes) return -EINVAL;
    if (call.attr.pathname == 0) return -EFAULT;
    ObjectRef object;
    if (const int error = PinTable::instance().get(user_pointer<const char>(call.attr.pathname), object))
        return error;
    const bool map = std::holds_alternative<std::shared_ptr<Map>>(object);
    if (flags != 0 && std::holds_alternative<std::shared_ptr<Link>>(object)) return -EINVAL;
    const int access = !map || flags == 0 ? O_RDWR : flags == BPF_F_RDONLY ? O_RDONLY : O_WRONLY;
    return ObjectTable::instance().open(object, access);
}

} // namespace xdplane
