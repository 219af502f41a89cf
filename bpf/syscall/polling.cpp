// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <atomic>
#include <fcntl.h>
#include <mutex>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

#include "bpf/maps/perf_event.h"
#include "bpf/maps/ring_buffer.h"
#include "bpf/syscall/bpf_system.h"
#include "bpf/syscall/command.h"

/// epoll, mmap, perf_event_open and ioctl for fds of objects: what the wrapped libc calls ask.
namespace xdplane {
namespace {

/// Objects that somebody once passed to epoll_ctl().
class Watched {
public:
    void add(const std::shared_ptr<Pollable>& object) {
        const std::lock_guard guard(lock_);
        std::erase_if(objects_, [](const auto& o) { return o.expired(); });
        const bool known = std::ranges::any_of(objects_, [&](const auto& o) { return o.lock() == object; });
        if (!known) objects_.push_back(object);
        count_.store(objects_.size(), std::memory_order_release);
    }
    void settle() {
        if (count_.load(std::memory_order_acquire) == 0) return;
        const std::lock_guard guard(lock_);
        for (const auto& weak : objects_)
            if (const auto object = weak.lock()) object->wakeup().settle([&] { return object->readable(); });
    }

private:
    std::mutex lock_; ///< guards objects_
    std::vector<std::weak_ptr<Pollable>> objects_;
    std::atomic<std::size_t> count_{0};
};

Watched& watched() {
    static auto& all = *new Watched;
    return all;
}

std::shared_ptr<Pollable> pollable(const ObjectRef& ref) {
    if (const auto* map = std::get_if<std::shared_ptr<Map>>(&ref))
        return std::dynamic_pointer_cast<Pollable>(*map);
    if (const auto* event = std::get_if<std::shared_ptr<PerfEvent>>(&ref)) return *event;
    return nullptr;
}

void* refuse(int code) {
    errno = code;
    return MAP_FAILED;
}

} // namespace

int epoll_stand_in(int fd, bool add) {
    const ObjectRef ref = ObjectTable::instance().find(fd);
    if (std::holds_alternative<std::monostate>(ref)) return fd;
    const auto object = pollable(ref);
    if (!object) return -EPERM;
    const auto stand_in = object->wakeup().arm();
    if (!stand_in) return -stand_in.error().code;
    if (add) {
        watched().add(object);
        if (object->readable()) object->wakeup().wake();
    }
    return *stand_in;
}

void settle_epoll() { watched().settle(); }

std::optional<void*> map_object(void* address, u64 size, int protection, int flags, int fd, i64 offset) {
    const ObjectRef ref = ObjectTable::instance().find(fd);
    if (std::holds_alternative<std::monostate>(ref)) return std::nullopt;
    if (const auto* event = std::get_if<std::shared_ptr<PerfEvent>>(&ref))
        return (*event)->map_for_user(address, size, protection, flags, offset);
    if (const int error = check_object_mmap(fd, protection, flags); error < 0) return refuse(-error);
    const auto* map = std::get_if<std::shared_ptr<Map>>(&ref);
    if (const auto ring = std::dynamic_pointer_cast<RingBuffer>(*map))
        return ring->map_for_user(address, size, protection, flags, offset);
    return std::nullopt; // the fd's own pages
}

long open_perf_event(const void* attributes, i32 pid, i32 cpu, i32 group, u64 flags) {
    perf_event_attr attr{};
    u32 size = 0;
    std::memcpy(&size, static_cast<const u8*>(attributes) + offsetof(perf_event_attr, size), sizeof size);
    if (size == 0) size = PERF_ATTR_SIZE_VER0;
    if (size < PERF_ATTR_SIZE_VER0 || size > 4096) return -E2BIG;
    if (!tail_is_zero(static_cast<const u8*>(attributes), sizeof attr, size)) return -E2BIG;
    std::memcpy(&attr, attributes, std::min<std::size_t>(size, sizeof attr));
    if ((flags & ~u64{PERF_FLAG_FD_CLOEXEC}) != 0 || group != -1) return -EINVAL;
    const auto event = PerfEvent::create(attr, pid, cpu);
    if (!event) return -event.error().code;
    return ObjectTable::instance().open(*event, O_RDWR);
}

std::optional<int> control_perf_event(int fd, unsigned long request, unsigned long argument) {
    const ObjectRef ref = ObjectTable::instance().find(fd);
    const auto* event = std::get_if<std::shared_ptr<PerfEvent>>(&ref);
    if (event == nullptr) return std::nullopt;
    switch (request) {
    case PERF_EVENT_IOC_ENABLE: (*event)->enable(true); return 0;
    case PERF_EVENT_IOC_DISABLE: (*event)->enable(false); return 0;
    case PERF_EVENT_IOC_ID: {
        const u64 id = (*event)->id();
        std::memcpy(user_pointer(argument), &id, sizeof id);
        return 0;
    }
    default: return -ENOTTY;
    }
}

} // namespace xdplane
