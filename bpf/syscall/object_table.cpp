// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/syscall/object_table.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

#include "bpf/syscall/pins.h"

namespace xdplane {

namespace {

// By syscall(): libc's close and fcntl are wrapped at link time and would come back here, under the lock.
void raw_close(int fd) { ::syscall(SYS_close, fd); }
int raw_dup(int fd) { return static_cast<int>(::syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 0)); }

/// The same file with another access mode.
int reopen(int fd, int access) {
    const std::string path = fmt::format("/proc/self/fd/{}", fd);
    return static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path.c_str(), access | O_CLOEXEC, 0));
}

/// Released when the scope ends: declared before the lock is taken, so after it is given back.
struct Dropped {
    ObjectRef object;
    ~Dropped() { release_object(std::move(object)); }
};

const char* file_name(const ObjectRef& object) {
    switch (object.index()) {
    case 1: return "bpf-map";
    case 2: return "bpf-prog";
    case 4: return "perf_event";
    case 5: return "bpf-stats";
    case 6: return "bpf-link";
    default: return "bpf-btf";
    }
}

} // namespace

ObjectTable& ObjectTable::instance() {
    static auto& table = *new ObjectTable;
    return table;
}

bool ObjectTable::same_file(int fd, const File& file, ino_t inode) {
    struct stat st{};
    return ::fstat(fd, &st) == 0 && st.st_ino == inode && st.st_dev == file.device;
}

int ObjectTable::storage_fd(const ObjectRef& object) {
    const auto* map = std::get_if<std::shared_ptr<Map>>(&object);
    if (map) return (*map)->storage_fd();
    const auto* event = std::get_if<std::shared_ptr<PerfEvent>>(&object);
    return event ? (*event)->storage_fd() : -1;
}

int ObjectTable::open(const ObjectRef& object, int access) {
    Dropped dropped;
    const std::lock_guard guard(lock_);
    int source = storage_fd(object);
    for (auto& [inode, file] : files_) {
        if (file.object != object) continue;
        for (const int fd : file.fds)
            if (same_file(fd, file, inode)) source = fd;
    }
    int fd = -1;
    if (source >= 0) {
        fd = reopen(source, access);
        // Without /proc only the common case works.
        if (fd < 0 && access == O_RDWR) fd = raw_dup(source);
    } else {
        fd = ::memfd_create(file_name(object), MFD_CLOEXEC);
        if (fd >= 0 && access != O_RDWR) {
            const int writable = fd;
            fd = reopen(writable, access);
            raw_close(writable);
        }
    }
    if (fd < 0) return -errno;
    struct stat st{};
    if (::fstat(fd, &st) != 0) {
        raw_close(fd);
        return -EMFILE;
    }
    if (fds_.contains(fd)) dropped.object = forget(fd);
    files_.try_emplace(st.st_ino, File{object, st.st_dev, {}, false});
    track(fd, st.st_ino);
    return fd;
}

void ObjectTable::track(int fd, ino_t inode) {
    fds_[fd] = inode;
    files_.at(inode).fds.insert(fd);
}

ObjectRef ObjectTable::find(int fd, int* access) {
    struct stat st{};
    if (fd < 0 || ::fstat(fd, &st) != 0) return {};
    Dropped dropped;
    const std::lock_guard guard(lock_);
    const auto it = files_.find(st.st_ino);
    if (it == files_.end() || it->second.device != st.st_dev) return {};
    // The map's own fd is not the user's: it would keep the map alive for ever.
    if (fd != storage_fd(it->second.object) && !it->second.fds.contains(fd)) {
        if (fds_.contains(fd)) dropped.object = forget(fd);
        track(fd, st.st_ino);
    }
    if (access) *access = static_cast<int>(::syscall(SYS_fcntl, fd, F_GETFL)) & O_ACCMODE;
    return it->second.object;
}

bool ObjectTable::has_file(const ObjectRef& object) const {
    return std::ranges::any_of(files_, [&](const auto& row) { return row.second.object == object; });
}

bool ObjectTable::has_fd(const ObjectRef& object) {
    const std::lock_guard guard(lock_);
    return has_file(object);
}

/// Looks for an fd on the file that we have not seen: dup'ed by code that is not wrapped, or received.
bool ObjectTable::find_other_fd(File& file, ino_t inode, int except) {
    DIR* dir = ::opendir("/proc/self/fd");
    if (dir == nullptr) return false;
    const int storage = storage_fd(file.object);
    while (const dirent* entry = ::readdir(dir)) {
        char* end = nullptr;
        const long fd = std::strtol(entry->d_name, &end, 10);
        if (*end != '\0' || fd == except || fd == storage) continue;
        if (same_file(static_cast<int>(fd), file, inode)) track(static_cast<int>(fd), inode);
    }
    ::closedir(dir);
    return !file.fds.empty();
}

ObjectRef ObjectTable::forget(int fd) {
    const auto known = fds_.find(fd);
    if (known == fds_.end()) return {};
    const ino_t inode = known->second;
    fds_.erase(known);
    const auto it = files_.find(inode);
    if (it == files_.end()) return {};
    it->second.fds.erase(fd);
    if (it->second.held || !it->second.fds.empty() || find_other_fd(it->second, inode, fd)) return {};
    return erase(inode);
}

/// Returns what nobody names any more: then, the last reference may be the returned one.
ObjectRef ObjectTable::erase(ino_t inode) {
    auto node = files_.extract(inode);
    ObjectRef object = std::move(node.mapped().object);
    return has_file(object) ? ObjectRef{} : object;
}

bool ObjectTable::hold(int fd, const ObjectRef& object) {
    struct stat st{};
    if (::fstat(fd, &st) != 0) return false;
    const std::lock_guard guard(lock_);
    files_.insert_or_assign(st.st_ino, File{object, st.st_dev, {}, true});
    return true;
}

void ObjectTable::let_go(dev_t device, ino_t inode) {
    Dropped dropped;
    const std::lock_guard guard(lock_);
    const auto it = files_.find(inode);
    if (it == files_.end() || it->second.device != device) return;
    it->second.held = false;
    std::erase_if(it->second.fds, [&](int fd) {
        const bool closed = !same_file(fd, it->second, inode);
        if (closed) fds_.erase(fd);
        return closed;
    });
    if (it->second.fds.empty()) dropped.object = erase(inode);
}

ObjectRef ObjectTable::closing(int fd) {
    const std::lock_guard guard(lock_);
    return forget(fd);
}

void ObjectTable::duplicated(int fd, int copy) {
    Dropped dropped;
    const std::lock_guard guard(lock_);
    if (fds_.contains(copy)) dropped.object = forget(copy); // dup3 closed what had this number
    if (const auto it = fds_.find(fd); it != fds_.end()) track(copy, it->second);
}

void ObjectTable::sweep() {
    std::vector<ObjectRef> dropped;
    {
        const std::lock_guard guard(lock_);
        std::vector<int> gone;
        for (const auto& [fd, inode] : fds_)
            if (!same_file(fd, files_.at(inode), inode)) gone.push_back(fd);
        for (const int fd : gone) dropped.push_back(forget(fd));
    }
    for (ObjectRef& object : dropped) release_object(std::move(object));
}

template<class T>
u32 ObjectTable::Ids<T>::add(const std::shared_ptr<T>& object) {
    std::erase_if(objects, [](const auto& row) { return row.second.expired(); });
    do ++last;
    while (last == 0 || objects.contains(last));
    objects.emplace(last, object);
    return last;
}

template<class T>
u32 ObjectTable::Ids<T>::next(u32 start) {
    for (auto it = objects.upper_bound(start); it != objects.end(); ++it)
        if (!it->second.expired()) return it->first;
    return 0;
}

template<class T>
std::shared_ptr<T> ObjectTable::Ids<T>::find(u32 id) {
    const auto it = objects.find(id);
    return it == objects.end() ? nullptr : it->second.lock();
}

u32 ObjectTable::add(const std::shared_ptr<Map>& map) {
    const std::lock_guard guard(lock_);
    return map->id = maps_.add(map);
}
u32 ObjectTable::add(const std::shared_ptr<Program>& program) {
    const std::lock_guard guard(lock_);
    return program->id = programs_.add(program);
}
u32 ObjectTable::add(const std::shared_ptr<const Btf>& btf) {
    const std::lock_guard guard(lock_);
    return btfs_.add(btf);
}
u32 ObjectTable::add(const std::shared_ptr<Link>& link) {
    const std::lock_guard guard(lock_);
    return link->id = links_.add(link);
}
u32 ObjectTable::id_of(const Btf* btf) {
    const std::lock_guard guard(lock_);
    for (const auto& [id, object] : btfs_.objects)
        if (btf != nullptr && object.lock().get() == btf) return id;
    return 0;
}

u32 ObjectTable::next_map_id(u32 start) {
    const std::lock_guard guard(lock_);
    return maps_.next(start);
}
u32 ObjectTable::next_program_id(u32 start) {
    const std::lock_guard guard(lock_);
    return programs_.next(start);
}
u32 ObjectTable::next_btf_id(u32 start) {
    const std::lock_guard guard(lock_);
    return btfs_.next(start);
}
u32 ObjectTable::next_link_id(u32 start) {
    const std::lock_guard guard(lock_);
    return links_.next(start);
}
std::shared_ptr<Map> ObjectTable::map_by_id(u32 id) {
    const std::lock_guard guard(lock_);
    return maps_.find(id);
}
std::shared_ptr<const Program> ObjectTable::program_by_id(u32 id) {
    const std::lock_guard guard(lock_);
    return programs_.find(id);
}
std::shared_ptr<const Btf> ObjectTable::btf_by_id(u32 id) {
    const std::lock_guard guard(lock_);
    return btfs_.find(id);
}
std::shared_ptr<Link> ObjectTable::link_by_id(u32 id) {
    const std::lock_guard guard(lock_);
    return links_.find(id);
}

void release_object(ObjectRef object) {
    if (std::holds_alternative<std::monostate>(object) || PinTable::instance().holds(object)) return;
    if (const auto* map = std::get_if<std::shared_ptr<Map>>(&object)) (*map)->last_fd_closed();
    if (const auto* event = std::get_if<std::shared_ptr<PerfEvent>>(&object)) (*event)->wakeup().disarm();
}

} // namespace xdplane
