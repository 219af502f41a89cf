// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <cerrno>
#include <cstring>
#include <linux/bpf.h>
#include <string>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fmt/format.h>

#include "bpf/base/unique_fd.h"

namespace xdplane {

/// Why this machine lets nobody have AF_XDP sockets and the kernel program they need; empty if it does.
inline std::string no_af_xdp() {
    const UniqueFd socket(::socket(AF_XDP, SOCK_RAW, 0));
    if (!socket) return fmt::format("no AF_XDP sockets here: {}", std::strerror(errno));
    bpf_attr attr{};
    attr.map_type = BPF_MAP_TYPE_XSKMAP;
    attr.key_size = attr.value_size = 4;
    attr.max_entries = 1;
    const UniqueFd map(static_cast<int>(syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof attr)));
    return map ? "" : fmt::format("no bpf() here: {}", std::strerror(errno));
}

} // namespace xdplane
