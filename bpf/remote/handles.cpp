// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/remote/handles.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "bpf/syscall/bpf_system.h"

namespace xdplane::remote {
namespace {

/// As the links in /proc/PID/fd show them: bpftool reads the kind of an object there.
const char* file_name(const ObjectRef& object) {
    if (std::holds_alternative<std::shared_ptr<Map>>(object)) return "bpf-map";
    if (std::holds_alternative<std::shared_ptr<Link>>(object)) return "bpf-link";
    return std::holds_alternative<std::shared_ptr<const Program>>(object) ? "bpf-prog" : "btf";
}

std::string link_to(int fd) { return fmt::format("/proc/self/fd/{}", fd); }

} // namespace

Result<std::unique_ptr<Handles>> Handles::make() {
    std::unique_ptr<Handles> handles(new Handles);
    handles->events_ = UniqueFd(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    if (!handles->events_) return fail(errno, "inotify: {}", std::strerror(errno));
    return handles;
}

int Handles::open(const ObjectRef& object, int access) {
    if (files_.size() >= kMaxHandles) collect();
    if (files_.size() >= kMaxHandles) return -EMFILE;
    UniqueFd fd(::memfd_create(file_name(object), MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!fd) return -errno;
    // Nobody is to keep anything in there.
    ::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_WRITE | F_SEAL_SEAL);
    if (access != O_RDWR) {
        UniqueFd other(::open(link_to(fd.get()).c_str(), access | O_CLOEXEC));
        if (!other) return -errno;
        fd = std::move(other);
    }
    struct stat st{};
    if (::fstat(fd.get(), &st) != 0) return -errno;
    const int watch = ::inotify_add_watch(events_.get(), link_to(fd.get()).c_str(), IN_DELETE_SELF);
    if (watch < 0) return -errno;
    files_[watch] = {st.st_dev, st.st_ino};
    ObjectTable::instance().hold(fd.get(), object);
    return fd.release();
}

void Handles::collect() {
    alignas(inotify_event) std::array<char, 4096> events;
    ssize_t size = 0;
    while ((size = ::read(events_.get(), events.data(), events.size())) > 0) {
        for (ssize_t at = 0; at < size;) {
            inotify_event event;
            std::memcpy(&event, &events[static_cast<std::size_t>(at)], sizeof event);
            at += static_cast<ssize_t>(sizeof event + event.len);
            const auto file = files_.find(event.wd);
            if ((event.mask & IN_DELETE_SELF) == 0 || file == files_.end()) continue;
            const File gone = file->second;
            files_.erase(file);
            ObjectTable::instance().let_go(gone.device, gone.inode);
        }
    }
}

} // namespace xdplane::remote
