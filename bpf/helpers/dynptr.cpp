// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/helpers/dynptr.h"

#include <cerrno>
#include <cstring>
#include <limits>
#include <linux/bpf.h>

#include "bpf/helpers/rows.h"

namespace xdplane {
namespace {

/// Beyond these, bpf_xdp_load_bytes and its relatives answer -EFAULT.
constexpr u32 kMaxXdpOffset = 0xffff;
constexpr u64 kSkbStoreFlags = BPF_F_RECOMPUTE_CSUM | BPF_F_INVALIDATE_HASH;

/// 0, or what the load or store functions of the packet's kind say of a range that is not in it.
int check_packet(const Dynptr& dynptr, u64 at, u32 length) noexcept {
    const bool outside = at + length > dynptr.packet().length();
    if (dynptr.kind() == Dynptr::Kind::xdp) {
        if (at > kMaxXdpOffset || length > kMaxXdpOffset) return -EFAULT;
        return outside ? -EINVAL : 0;
    }
    return outside || at > std::numeric_limits<i32>::max() ? -EFAULT : 0;
}

} // namespace

u8* Dynptr::bytes(u32 at, u32 length) const noexcept {
    if (data == nullptr || !contains(at, length)) return nullptr;
    const u64 from = u64{offset} + at;
    if (!in_packet()) return static_cast<u8*>(data) + from;
    return check_packet(*this, from, length) == 0 ? packet().data + from : nullptr;
}

i64 dynptr_read(void* to, u32 length, const Dynptr& from, u32 at, u64 flags) noexcept {
    if (from.data == nullptr || flags != 0) return -EINVAL;
    if (!from.contains(at, length)) return -E2BIG;
    if (from.in_packet()) {
        if (const int error = check_packet(from, u64{from.offset} + at, length)) {
            // A program never sees what was in its buffer before.
            if (from.kind() == Dynptr::Kind::skb && length != 0) std::memset(to, 0, length);
            return error;
        }
    }
    if (length != 0) std::memmove(to, from.bytes(at, length), length); // may overlap
    return 0;
}

i64 dynptr_write(const Dynptr& to, u32 at, const void* from, u32 length, u64 flags) noexcept {
    if (to.data == nullptr || to.read_only()) return -EINVAL;
    if (!to.contains(at, length)) return -E2BIG;
    // Packets carry no checksum state and no hash that would have to be renewed.
    const u64 allowed = to.kind() == Dynptr::Kind::skb ? kSkbStoreFlags : 0;
    if ((flags & ~allowed) != 0) return -EINVAL;
    if (to.in_packet())
        if (const int error = check_packet(to, u64{to.offset} + at, length)) return error;
    if (length != 0) std::memmove(to.bytes(at, length), from, length);
    return 0;
}

namespace {

const Dynptr& dynptr_of(u64 argument) noexcept { return *reinterpret_cast<const Dynptr*>(argument); }

u64 from_mem(u64 data, u64 size, u64 flags, u64 to, u64) noexcept {
    Dynptr& made = *reinterpret_cast<Dynptr*>(to);
    const u32 bytes = static_cast<u32>(size);
    made = {};
    if (bytes > Dynptr::kMaxSize) return static_cast<u64>(i64{-E2BIG});
    if (flags != 0) return static_cast<u64>(i64{-EINVAL});
    made = Dynptr::make(reinterpret_cast<void*>(data), Dynptr::Kind::local, bytes);
    return 0;
}

u64 read(u64 to, u64 length, u64 from, u64 at, u64 flags) noexcept {
    return static_cast<u64>(dynptr_read(reinterpret_cast<void*>(to), static_cast<u32>(length),
                                        dynptr_of(from), static_cast<u32>(at), flags));
}

u64 write(u64 to, u64 at, u64 from, u64 length, u64 flags) noexcept {
    return static_cast<u64>(dynptr_write(dynptr_of(to), static_cast<u32>(at),
                                         reinterpret_cast<const void*>(from), static_cast<u32>(length),
                                         flags));
}

/// Packets have slices instead: their memory may move.
u64 data(u64 of, u64 at, u64 length, u64, u64) noexcept {
    const Dynptr& dynptr = dynptr_of(of);
    if (dynptr.in_packet() || dynptr.read_only()) return 0;
    return reinterpret_cast<u64>(dynptr.bytes(static_cast<u32>(at), static_cast<u32>(length)));
}

} // namespace

const HelperProto kHelperDynptrFromMem = {
    .id = BPF_FUNC_dynptr_from_mem,
    .name = "dynptr_from_mem",
    .fn = from_mem,
    .ret = Ret::integer,
    .args = {Arg::uninit_mem, Arg::size_or_zero, Arg::anything, Arg::uninit_dynptr},
    .makes_dynptr = DynptrKind::local,
    .unprivileged = false};
const HelperProto kHelperDynptrRead = {
    .id = BPF_FUNC_dynptr_read,
    .name = "dynptr_read",
    .fn = read,
    .ret = Ret::integer,
    .args = {Arg::uninit_mem, Arg::size_or_zero, Arg::dynptr, Arg::anything, Arg::anything},
    .unprivileged = false};
const HelperProto kHelperDynptrWrite = {
    .id = BPF_FUNC_dynptr_write,
    .name = "dynptr_write",
    .fn = write,
    .ret = Ret::integer,
    .args = {Arg::dynptr, Arg::anything, Arg::mem, Arg::size_or_zero, Arg::anything},
    .writes_packet = true,
    .unprivileged = false};
const HelperProto kHelperDynptrData = {.id = BPF_FUNC_dynptr_data,
                                       .name = "dynptr_data",
                                       .fn = data,
                                       .ret = Ret::dynptr_mem_or_null,
                                       .args = {Arg::dynptr, Arg::anything, Arg::const_alloc_size},
                                       .unprivileged = false};

} // namespace xdplane
