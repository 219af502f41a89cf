// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <linux/bpf.h>
#include <memory>
#include <optional>

#include "bpf/maps/map.h"
#include "bpf/prog/program.h"

/// bpf(2) in user space: the same commands, attributes, fds, ids and errno values, on the UAPI of
/// <linux/bpf.h>.
namespace xdplane {

enum class Engine : u8 { jit, interpreter };

/// Which engine programs loaded from now on get. Process-wide, like net.core.bpf_jit_enable. Default: jit
/// where the host has a backend.
void set_engine(Engine engine);
[[nodiscard]] Engine engine();

/// bpf(2): returns what Linux returns (>= 0), or -errno. `attr` may be shorter or longer than the union,
/// under Linux's rules. Control threads only; takes a lock.
[[nodiscard]] long bpf_syscall(u32 command, void* attr, u32 size);

/// The object behind an fd that bpf_syscall() returned; null if it is none of that kind. The returned pointer
/// keeps the object alive beyond its fds.
[[nodiscard]] std::shared_ptr<Map> map_from_fd(int fd);
[[nodiscard]] std::shared_ptr<const Program> program_from_fd(int fd);
[[nodiscard]] std::shared_ptr<const Btf> btf_from_fd(int fd);

/// close(2) for an fd of bpf_syscall(). In binaries linked with libbpf_dep the wrapped close() does the same.
void close_object_fd(int fd);

/// For the wrapped libc calls: encloses the close(2) of any fd, and lets go of the object afterwards if this
/// was its last fd.
class ClosingFd {
public:
    explicit ClosingFd(int fd);
    ~ClosingFd();
    ClosingFd(const ClosingFd&) = delete;
    ClosingFd& operator=(const ClosingFd&) = delete;

private:
    std::shared_ptr<void> object_;
};
/// For the wrapped libc calls: `copy` is a new number for what `fd` names.
void object_fd_duplicated(int fd, int copy);

/// A new fd for a map that lives already; close it with close_object_fd(). Error: EMFILE and its like.
[[nodiscard]] Result<int> open_map_fd(const std::shared_ptr<Map>& map);

/// What mmap(2) of an object's fd would answer: 0 if the mapping may be made on the fd itself, 1 if the fd is
/// none of ours, or -errno.
[[nodiscard]] int check_object_mmap(int fd, int protection, int flags);

/// mmap(2) of an object's fd: the address, or MAP_FAILED with errno; no value if the mapping is to be made on
/// the fd itself, by the caller.
[[nodiscard]] std::optional<void*> map_object(void* address, u64 size, int protection, int flags, int fd,
                                              i64 offset);

/// For epoll_ctl(2): the fd that epoll can wait for in place of `fd` (itself, where it is none of ours), or
/// -errno: EPERM for an object that nobody can wait for. The eventfd of a ring buffer or perf event is one
/// for all fds of that object.
[[nodiscard]] int epoll_stand_in(int fd, bool add);
/// Before any epoll_wait(2): makes the stand-ins readable only where there is something to consume.
void settle_epoll();

/// perf_event_open(2) for PERF_TYPE_SOFTWARE, PERF_COUNT_SW_BPF_OUTPUT: a new fd, or -errno.
[[nodiscard]] long open_perf_event(const void* attributes, i32 pid, i32 cpu, i32 group, u64 flags);
/// ioctl(2) of a perf event's fd (ENABLE, DISABLE, ID): 0 or -errno; no value if the fd is none.
[[nodiscard]] std::optional<int> control_perf_event(int fd, unsigned long request, unsigned long argument);

} // namespace xdplane
