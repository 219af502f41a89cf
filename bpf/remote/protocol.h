// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "bpf/base/types.h"

/// bpf(2) between two processes: what crosses the socket. Both ends are on one machine and of one build.
///
/// A request is a RequestHeader, `slots` numbers that say what becomes of each fd in the call's memory, the
/// attributes, and what their pointers point to, all in the order in which walk_call() (call_table.h) meets
/// it. A reply is a ReplyHeader and `changes` times a Change with the bytes that it names. Fds travel beside
/// the first byte of either (SCM_RIGHTS). A client asks one thing at a time.
namespace xdplane::remote {

// Limits: what does not keep to them is refused, and the connection closed.
inline constexpr u32 kMaxMessage = 64U << 20; ///< bytes of a request: the attributes and their memory
inline constexpr u32 kMaxAttributes = 4096;   ///< as Linux: a page
inline constexpr u32 kMaxFds = 250;           ///< different ones in a request; Linux takes 253
inline constexpr u32 kMaxSlots = 1U << 20;    ///< fds in a request, each time that one is named

inline constexpr u32 kRequestMagic = 0x71647078; ///< "xpdq"
inline constexpr u32 kReplyMagic = 0x61647078;   ///< "xpda"

struct RequestHeader {
    u32 magic;
    u32 command;    ///< of bpf(2), or one of Extra
    u32 attributes; ///< bytes
    u32 slots;
    u32 fds;  ///< that travel beside it
    u32 size; ///< bytes behind this header
};
struct ReplyHeader {
    u32 magic;
    u32 size;   ///< bytes behind this header
    i64 result; ///< what bpf(2) returns; where that is an fd, it travels beside it
    u32 fds;    ///< 0 or 1
    u32 changes;
};
/// Bytes of the client's memory that the call wrote.
struct Change {
    u32 piece; ///< 0: the attributes; else the pieces of the walk, counted from 1
    u32 offset;
    u32 size;
    u32 reserved;
};

/// A slot: an index into the fds beside the request, or one of these.
enum Slot : i32 {
    kClosed = -1,    ///< no such fd is open: EBADF
    kStranger = -2,  ///< open, but no object of ours could be behind it
    kUntouched = -3, ///< 0 or negative, which have meanings of their own
};

/// What clients ask besides the commands of bpf(2).
enum Extra : u32 {
    kGetShape = 0x78640000,
    kGetMemory,
    kGetFdinfo,
    kOnPath,
    kGetWaiter,
    kSettle,
    kListInterfaces,
    kSetXdp,
};

/// A result: not the daemon's.
inline constexpr i64 kElsewhere = 1;

/// What an fd names, as far as the length of memory depends on it. Never changes.
enum class Kind : u32 { none, map, program, btf };
struct Shape {
    Kind kind = Kind::none;
    u32 map_type = 0;
    u32 key_size = 0;
    u32 value_size = 0; ///< as it crosses bpf(2)
};
struct ShapeCall {
    u32 fd;
    Shape shape; ///< written
};

/// What to map in place of an object's fd. Result: 0, with the fd of the memory; -errno of mmap(2);
/// kElsewhere for an fd of others.
struct MemoryCall {
    u32 fd;
    u32 protection;
    u32 flags;
    u32 user_produces; ///< written: of a ring buffer, which is mapped by map_ring()
    u64 ring_size;     ///< written: bytes of its data; 0 for other maps
};

/// What epoll waits for in place of an object's fd. Result: 0, with the eventfd, the same one for all of an
/// object's; -errno of epoll_ctl(2); kElsewhere. kSettle, before a wait: settle_epoll() (bpf_system.h).
struct WaiterCall {
    u32 fd;
    u32 add;
};

/// /proc/self/fdinfo/N of an object. Result: bytes written, at most `size`.
struct FdinfoCall {
    u32 fd;
    u32 size;
    u64 text;
};

/// What a path means to the daemon's bpf file system. Result: 0 or -errno, kElsewhere for paths outside.
enum class PathOperation : u32 { look_up, make_directory, remove_directory, unlink };
struct PathCall {
    u64 path;
    PathOperation operation;
    u32 reserved;
};

/// The interfaces, and what is attached to them. Result: how many there are; as many as `size` bytes hold are
/// written.
struct InterfaceRecord {
    u32 ifindex;
    u32 mtu;
    u32 generic_program; ///< id, or 0
    u32 native_program;
    u8 mac[6];
    char name[66]; ///< cut; Linux's have at most 15 characters
};
struct InterfacesCall {
    u64 records;
    u32 size;
    u32 reserved;
};

/// RTM_SETLINK with IFLA_XDP: attaches a program, or, where that is -1, detaches the one that is. Result: 0
/// or -errno.
struct SetXdpCall {
    u32 program;  ///< fd
    u32 expected; ///< fd, or -1: with XDP_FLAGS_REPLACE
    u32 ifindex;
    u32 flags;
    char why[96]; ///< written: the kernel's words for an error, or none
};

} // namespace xdplane::remote
