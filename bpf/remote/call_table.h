// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <span>

#include "bpf/remote/protocol.h"

/// What the attributes of each command of bpf(2) point to, and where they name fds: a row per command.
/// Client and daemon walk the same rows over the same bytes, so a message needs no description of itself and
/// there is none that could lie.
///
/// Built into the preload library too: nothing from outside of this directory but bpf/base/types.h.
namespace xdplane::remote {

/// How many bytes are behind a pointer.
enum class Extent : u8 {
    counted, ///< a number of elements of `size` bytes
    records, ///< a number of elements whose size is a number too
    room,    ///< counted; where the number is 0, kOpenEnd bytes, and the daemon writes that down
    text,    ///< up to and with the NUL, which is there within `size` bytes
    path,    ///< text; the client makes it absolute
    key,
    value,
    keys,   ///< a number of them
    values, ///< a number of them
    cursor, ///< of the batch commands: a key, or 4 bytes where that is shorter
    insns,  ///< a number of instructions, some of which name fds
    fds,    ///< as many as the instructions ask for by index
    info,   ///< the structure of OBJ_GET_INFO_BY_FD, with pointers of its own
};
inline constexpr u32 kOpenEnd = 64 * 1024;

/// All offsets are those of fields in the block: the attributes, or the info structure.
struct Pointer {
    u16 at;
    Extent extent;
    bool out;      ///< the command may write there
    u16 count = 0; ///< a u32: how many
    u16 size = 1;  ///< bytes of an element; records: offset of the u32 that says it
};

inline constexpr u16 kNoFd = 0xffff;
/// Offsets of i32 fields.
struct FdFields {
    u16 first = kNoFd; ///< whose shape is that of key, value and info
    u16 second = kNoFd;
    u16 third = kNoFd;
};
struct RemoteCall {
    u32 command;
    FdFields fds;
    std::span<const Pointer> pointers;
    bool makes_fd = false;
};
/// Null: no such command, or none that is for other processes.
[[nodiscard]] const RemoteCall* find_remote_call(u32 command);

/// One side's part in a walk. The bytes it hands out and is given are the same ones on both sides, but for
/// pointers and fds.
class CallWalker {
public:
    virtual ~CallWalker() = default;
    /// An fd, at a place that may not be aligned.
    virtual void fd(u8* field) = 0;
    /// What an fd names, after fd() was called for its field.
    [[nodiscard]] virtual Shape shape(i32 fd) = 0;
    /// A pointer that is not null: its bytes, `size` of them or, for texts, at most that. Null with an
    /// error() ends the walk; null without one has made the pointer null.
    [[nodiscard]] virtual u8* memory(const Pointer& pointer, u8* field, u64 size) = 0;
    /// An open-ended size that now is `size`.
    virtual void set_size(u8* field, u32 size) = 0;
    [[nodiscard]] virtual int error() const = 0; ///< errno of the last memory()
};

/// `attributes` are all of kMaxAttributes bytes, zeros behind `size`. 0, or an errno: EINVAL where a pointer
/// or fd is only half in the attributes; EFAULT where an instruction's index of an fd is out of all bounds;
/// error().
[[nodiscard]] int walk_call(const RemoteCall& call, std::span<u8, kMaxAttributes> attributes, u32 size,
                            CallWalker& walker);

} // namespace xdplane::remote
