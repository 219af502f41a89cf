// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <linux/bpf.h>
#include <memory>

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

} // namespace xdplane
