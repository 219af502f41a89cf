// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <cstring>
#include <gtest/gtest.h>
#include <linux/bpf.h>

#include "bpf/syscall/bpf_system.h"
#include "tests/unit/remote_side.h"

/// What the tests of bpf(2) over a socket share: a server, and calls of a client.
namespace xdplane::test {

using remote::forward;

inline bpf_attr zero_attr() {
    bpf_attr attr;
    std::memset(static_cast<void*>(&attr), 0, sizeof attr);
    return attr;
}
inline u64 address(const void* pointer) { return reinterpret_cast<u64>(pointer); }

inline long make_map(u32 type = BPF_MAP_TYPE_HASH, u32 flags = 0) {
    auto attr = zero_attr();
    attr.map_type = type;
    attr.key_size = 4;
    attr.value_size = 8;
    attr.max_entries = 16;
    attr.map_flags = flags;
    return forward(BPF_MAP_CREATE, &attr, sizeof attr);
}
inline long element(u32 command, int map, const void* key, const void* value) {
    auto attr = zero_attr();
    attr.map_fd = static_cast<u32>(map);
    attr.key = address(key);
    attr.value = address(value);
    return forward(command, &attr, sizeof attr);
}
inline u32 id_of(int map) {
    bpf_map_info info{};
    auto attr = zero_attr();
    attr.info.bpf_fd = static_cast<u32>(map);
    attr.info.info_len = sizeof info;
    attr.info.info = address(&info);
    return forward(BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof attr) == 0 ? info.id : 0;
}
/// As the server's process sees it.
inline bool lives(u32 id) {
    auto attr = zero_attr();
    attr.map_id = id;
    const long fd = bpf_syscall(BPF_MAP_GET_FD_BY_ID, &attr, sizeof attr);
    if (fd < 0) return false;
    close_object_fd(static_cast<int>(fd));
    return true;
}

class Remote : public testing::Test {
protected:
    ServerThread server_;
};

} // namespace xdplane::test
