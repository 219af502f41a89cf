// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <linux/bpf.h>
#include <span>
#include <string>
#include <string_view>

#include "bpf/base/result.h"
#include "bpf/syscall/object_table.h"

/// Inside of bpf_syscall(): what the commands share.
namespace xdplane {

/// One call: the attributes, copied and zero-extended, and where the caller's are.
struct Call {
    bpf_attr attr;
    u8* user;
    u32 user_size;

    /// Writes a field back. A field that the caller's structure does not reach is not written: Linux would
    /// write behind it.
    template<class T>
    void put(std::size_t offset, T value) const {
        if (offset + sizeof value <= user_size) std::memcpy(user + offset, &value, sizeof value);
    }
};

/// Runs the command: what bpf(2) returns, or -errno.
using CommandFn = long (*)(Call&);

// map_commands.cpp
long map_create(Call&);
long map_lookup_elem(Call&);
long map_update_elem(Call&);
long map_delete_elem(Call&);
long map_get_next_key(Call&);
long map_lookup_and_delete_elem(Call&);
long map_freeze(Call&);
// map_batch.cpp
long map_lookup_batch(Call&);
long map_lookup_and_delete_batch(Call&);
long map_update_batch(Call&);
long map_delete_batch(Call&);
// prog_load.cpp
long prog_load(Call&);
long prog_bind_map(Call&);
// pins.cpp
long obj_pin(Call&);
long obj_get(Call&);
// test_run.cpp
long prog_test_run(Call&);
// btf_load.cpp
long btf_load(Call&);
// link_commands.cpp
long link_create(Call&);
long link_update(Call&);
long link_detach(Call&);
long prog_attach(Call&);
long prog_detach(Call&);
long prog_query(Call&);
// enable_stats.cpp
long enable_stats(Call&);
// info.cpp
long obj_get_info_by_fd(Call&);
long prog_get_next_id(Call&);
long map_get_next_id(Call&);
long btf_get_next_id(Call&);
long link_get_next_id(Call&);
long prog_get_fd_by_id(Call&);
long map_get_fd_by_id(Call&);
long btf_get_fd_by_id(Call&);
long link_get_fd_by_id(Call&);

/// A map type whose values have fds in them (fd_values.cpp): how bpf(2) stores one. 0 or -errno.
struct FdValues {
    u32 type;
    long (*store)(Map& map, const u8* key, const u8* value, u64 flags);
};
/// Null for other types.
[[nodiscard]] const FdValues* find_fd_values(u32 type);

/// Pointers in attributes are addresses of this process.
template<class T = u8>
T* user_pointer(u64 address) {
    return reinterpret_cast<T*>(address);
}

/// A name in an attribute: letters, digits, '_' and '.', ended by NUL within its 16 bytes.
[[nodiscard]] Result<std::string> object_name(const char (&field)[BPF_OBJ_NAME_LEN]);

/// True if the user's structure holds only zeros behind what is known of it.
[[nodiscard]] inline bool tail_is_zero(const u8* user, u32 known, u32 size) {
    return size <= known || std::all_of(user + known, user + size, [](u8 b) { return b == 0; });
}

[[nodiscard]] bool is_open(int fd);

/// The object behind an fd attribute: EBADF if it is no fd of ours at all, EINVAL if another kind of object.
template<class T>
[[nodiscard]] Result<std::shared_ptr<T>> object_from_fd(i32 fd, int* access = nullptr) {
    ObjectRef ref = ObjectTable::instance().find(fd, access);
    if (auto* object = std::get_if<std::shared_ptr<T>>(&ref)) return std::move(*object);
    if (std::holds_alternative<std::monostate>(ref) && !is_open(fd))
        return fail(EBADF, "fd {} is not open", fd);
    return fail(EINVAL, "fd {} is another kind of object", fd);
}

/// The log buffer of PROG_LOAD and BTF_LOAD.
struct UserLog {
    u32 level;
    u32 size;
    u8* buffer;

    /// The rules of Linux 6.4 on: a level without a buffer is fine, a buffer without a level is not.
    [[nodiscard]] bool valid() const;
    /// Copies the text with its NUL. If it does not fit the last part of it is kept (with BPF_LOG_FIXED, 8,
    /// the first), and the answer is -ENOSPC: also if it was too long, `peak`, and got shorter. What is
    /// before `begin` was lost then.
    [[nodiscard]] int write(std::string_view text, u64 begin = 0, u64 peak = 0) const;
    [[nodiscard]] u32 verifier_level() const { return level & 15; }
};

/// What is known of a loaded program besides the Program: it lives as long as that does.
struct ProgramExtras {
    std::mutex lock;
    std::vector<std::shared_ptr<Map>> bound; ///< PROG_BIND_MAP; guarded by lock
    std::vector<bpf_func_info> functions;
    std::vector<bpf_line_info> lines;
    u32 expected_attach_type = 0;
    u32 uid = 0;
};
/// Null for programs that PROG_LOAD did not make.
[[nodiscard]] std::shared_ptr<ProgramExtras> extras_of(const std::shared_ptr<const Program>& program);

} // namespace xdplane
