// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Maps of what only a kernel has: sockets, cgroups, stacks of kernel code. Programs that refer to one load
// and run here, and find nothing in it; updates are checked as Linux checks them, and an object that Linux
// would take is answered with EOPNOTSUPP.
#include <cerrno>
#include <cstring>
#include <limits>
#include <linux/magic.h>
#include <sys/socket.h>
#include <sys/statfs.h>

#include "bpf/maps/redirect_action.h"
#include "bpf/maps/rows.h"

namespace xdplane {
namespace {

// linux/bpf.h of older systems.
constexpr u32 kStackBuildId = 1U << 5; // BPF_F_STACK_BUILD_ID
constexpr u32 kClone = 1U << 9;        // BPF_F_CLONE
constexpr u32 kNodeAndModes = BPF_F_NUMA_NODE | BPF_F_RDONLY | BPF_F_WRONLY;

bool one_of(u32 value, u32 a, u32 b) { return value == a || value == b; }

// Attributes, in Linux's order.

int check_sockmap(const MapSpec& s) {
    const bool good = s.max_entries != 0 && s.key_size == 4 && one_of(s.value_size, 4, 8) &&
                      (s.flags & ~kNodeAndModes) == 0;
    return good ? 0 : EINVAL;
}

int check_sockhash(const MapSpec& s) {
    constexpr u32 kLongestKey = 512;
    const bool good = s.max_entries != 0 && s.key_size != 0 && one_of(s.value_size, 4, 8) &&
                      (s.flags & ~kNodeAndModes) == 0;
    if (!good) return EINVAL;
    return s.key_size > kLongestKey ? E2BIG : 0;
}

int check_xskmap(const MapSpec& s) {
    const bool good =
        s.max_entries != 0 && s.key_size == 4 && s.value_size == 4 && (s.flags & ~kNodeAndModes) == 0;
    return good ? 0 : EINVAL;
}

int check_cgroup_array(const MapSpec& s) {
    if (s.value_size != 4) return EINVAL;
    const auto checked = check_array_spec(s, kNodeAndModes, false);
    return checked ? 0 : checked.error().code;
}

int check_reuseport_array(const MapSpec& s) {
    if (!one_of(s.value_size, 4, 8)) return EINVAL;
    const auto checked = check_array_spec(s, kNodeAndModes | kAccessFlags, false);
    return checked ? 0 : checked.error().code;
}

int check_stack_trace(const MapSpec& s) {
    constexpr u32 kDeepest = 127; // kernel.perf_event_max_stack, as it is by default
    if ((s.flags & ~(kNodeAndModes | kStackBuildId)) != 0) return EINVAL;
    const u32 frame = (s.flags & kStackBuildId) != 0 ? sizeof(bpf_stack_build_id) : sizeof(u64);
    if (s.max_entries == 0 || s.key_size != 4 || s.value_size < 8 || s.value_size % 8 != 0) return EINVAL;
    if (s.value_size % frame != 0 || s.value_size / frame > kDeepest) return EINVAL;
    return s.max_entries > 1U << 31 ? E2BIG : 0;
}

int check_sk_storage(const MapSpec& s) {
    constexpr u32 kLargest = 0xffff - 128; // Linux counts an element of its own in 16 bits
    const bool good = (s.flags & ~(BPF_F_NO_PREALLOC | kClone)) == 0 && (s.flags & BPF_F_NO_PREALLOC) != 0 &&
                      s.max_entries == 0 && s.key_size == 4 && s.value_size != 0 && s.btf_key_type_id != 0 &&
                      s.btf_value_type_id != 0;
    if (!good) return EINVAL;
    return s.value_size > kLargest ? E2BIG : 0;
}

template<int (*check)(const MapSpec&), const MapOps& ops>
Result<std::shared_ptr<Map>> create(MapSpec spec) {
    if (const int code = check(spec); code != 0) return fail(code, "bad attributes of a {}", ops.name);
    return std::make_shared<Map>(ops, std::move(spec));
}

// Contents.

u32 index_of(const void* key) noexcept {
    u32 index;
    std::memcpy(&index, key, sizeof index);
    return index;
}

/// An fd that has to be a socket: 0, -EBADF, -ENOTSOCK.
int check_socket(u64 fd) {
    int type = 0;
    socklen_t size = sizeof type;
    return ::getsockopt(static_cast<int>(fd), SOL_SOCKET, SO_TYPE, &type, &size) == 0 ? 0 : -errno;
}

/// The socket that a value of 4 or 8 bytes names.
int check_socket_value(const Map& map, const void* value) {
    u64 fd = 0;
    std::memcpy(&fd, value, map.spec().value_size);
    return fd > std::numeric_limits<i32>::max() ? -EINVAL : check_socket(fd);
}

int refused(int error) { return error != 0 ? error : -EOPNOTSUPP; }

int store_sockmap(Map& map, const void*, const void* value, u64) {
    return refused(check_socket_value(map, value));
}
int store_indexed(Map& map, const void* key, const void* value, u64 flags) {
    if (flags > BPF_EXIST) return -EINVAL;
    if (index_of(key) >= map.spec().max_entries) return -E2BIG;
    // Here 4 bytes are a signed fd, and of a negative one there is no file.
    return refused(map.spec().value_size == 4 ? check_socket(index_of(value))
                                              : check_socket_value(map, value));
}
int store_cgroup(Map& map, const void* key, const void* value, u64 flags) {
    if (flags != BPF_ANY) return -EINVAL;
    if (index_of(key) >= map.spec().max_entries) return -E2BIG;
    struct statfs fs{};
    const bool cgroup =
        ::fstatfs(static_cast<int>(index_of(value)), &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
    return cgroup ? -EOPNOTSUPP : -EBADF;
}
int store_nothing(Map&, const void*, const void*, u64) { return -EINVAL; }
int store_sk_storage(Map&, const void* key, const void*, u64 flags) {
    if (const int error = check_socket(index_of(key)); error != 0) return error;
    return flags > BPF_EXIST ? -EINVAL : -EOPNOTSUPP;
}

void* lookup_nothing(Map&, const void*) noexcept { return nullptr; }
int copy_nothing(Map&, const void*, void*, u64 flags) { return flags != 0 ? -EINVAL : -ENOENT; }
/// User space gets a socket's cookie, of 8 bytes.
int copy_cookie(Map& map, const void*, void*, u64 flags) {
    if (flags != 0) return -EINVAL;
    return map.spec().value_size != 8 ? -ENOSPC : -ENOENT;
}
int copy_refused(Map&, const void*, void*, u64) { return -EOPNOTSUPP; }
int copy_sk_storage(Map&, const void* key, void*, u64) {
    const int error = check_socket(index_of(key));
    return error != 0 ? error : -ENOENT;
}

bool in_range(const Map& map, const void* key) { return index_of(key) < map.spec().max_entries; }
int erase_xsk(Map& map, const void* key) noexcept { return in_range(map, key) ? 0 : -EINVAL; }
int erase_sockmap(Map&, const void*) noexcept { return -EINVAL; }
int erase_missing(Map&, const void*) noexcept { return -ENOENT; }
int erase_indexed(Map& map, const void* key) noexcept { return in_range(map, key) ? -ENOENT : -E2BIG; }
int erase_stack(Map& map, const void* key) noexcept {
    u32 buckets = 1;
    while (buckets < map.spec().max_entries) buckets *= 2;
    return index_of(key) < buckets ? -ENOENT : -E2BIG;
}
int erase_sk_storage(Map&, const void* key) noexcept {
    const int error = check_socket(index_of(key));
    return error != 0 ? error : -ENOENT;
}

int next_none(Map&, const void*, void*) { return -ENOENT; }

u64 redirect_xsk(Map&, u64, u64 flags) noexcept {
    return (flags & ~kMissActions) != 0 ? u64{kAborted} : redirect_missed(flags);
}

constexpr MapOps base(const char* name, Result<std::shared_ptr<Map>> (*create_it)(MapSpec)) {
    return {.name = name,
            .create = create_it,
            .lookup = nullptr,
            .update = nullptr,
            .erase = erase_missing,
            .copy_value = copy_nothing,
            .store_value = store_nothing,
            .next_key = next_none,
            .direct_value = nullptr,
            .per_cpu = false,
            .array_like = false,
            .without_btf = true};
}

} // namespace

constinit const MapOps kXskmapOps = [] {
    MapOps ops = base("xskmap", create<check_xskmap, kXskmapOps>);
    ops.lookup = lookup_nothing;
    ops.erase = erase_xsk;
    ops.copy_value = copy_refused;
    ops.store_value = store_indexed;
    ops.next_key = array_next_key;
    ops.redirect = redirect_xsk;
    return ops;
}();
constinit const MapOps kCgroupArrayOps = [] {
    MapOps ops = base("cgroup_array", create<check_cgroup_array, kCgroupArrayOps>);
    ops.erase = erase_indexed;
    ops.copy_value = nullptr;
    ops.store_value = store_cgroup;
    ops.next_key = array_next_key;
    return ops;
}();
constinit const MapOps kSockmapOps = [] {
    MapOps ops = base("sockmap", create<check_sockmap, kSockmapOps>);
    ops.lookup = lookup_nothing;
    ops.erase = erase_sockmap;
    ops.copy_value = copy_cookie;
    ops.store_value = store_sockmap;
    ops.next_key = array_next_key;
    return ops;
}();
constinit const MapOps kSockhashOps = [] {
    MapOps ops = base("sockhash", create<check_sockhash, kSockhashOps>);
    ops.lookup = lookup_nothing;
    ops.copy_value = copy_cookie;
    ops.store_value = store_sockmap;
    return ops;
}();
constinit const MapOps kReuseportArrayOps = [] {
    MapOps ops = base("reuseport_sockarray", create<check_reuseport_array, kReuseportArrayOps>);
    ops.erase = erase_indexed;
    ops.copy_value = copy_cookie;
    ops.store_value = store_indexed;
    ops.next_key = array_next_key;
    ops.without_btf = false;
    return ops;
}();
constinit const MapOps kStackTraceOps = [] {
    MapOps ops = base("stack_trace", create<check_stack_trace, kStackTraceOps>);
    ops.erase = erase_stack;
    return ops;
}();
constinit const MapOps kSkStorageOps = [] {
    MapOps ops = base("sk_storage", create<check_sk_storage, kSkStorageOps>);
    ops.erase = erase_sk_storage;
    ops.copy_value = copy_sk_storage;
    ops.store_value = store_sk_storage;
    ops.next_key = nullptr;
    ops.without_btf = false;
    return ops;
}();

} // namespace xdplane
