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

/// Linux's internal "not supported", which bpf(2) lets escape.
inline constexpr int kNotSupported = 524;

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
// prog_load.cpp
long prog_load(Call&);
long prog_bind_map(Call&);
// test_run.cpp
long prog_test_run(Call&);
// btf_load.cpp
long btf_load(Call&);
// info.cpp
long obj_get_info_by_fd(Call&);
long prog_get_next_id(Call&);
long map_get_next_id(Call&);
long btf_get_next_id(Call&);
long prog_get_fd_by_id(Call&);
long map_get_fd_by_id(Call&);
long btf_get_fd_by_id(Call&);

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
    /// the first), and the answer is -ENOSPC.
    [[nodiscard]] int write(std::string_view text) const;
    [[nodiscard]] u32 verifier_level() const { return level & 7; }
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
