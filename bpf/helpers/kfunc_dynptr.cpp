// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "bpf/helpers/dynptr.h"
#include "bpf/helpers/kfunc_rows.h"

namespace xdplane {
namespace {

Dynptr& dynptr_of(u64 argument) noexcept { return *reinterpret_cast<Dynptr*>(argument); }
u64 result(i64 code) noexcept { return static_cast<u64>(code); }

u64 from_packet(u64 ctx, u64 flags, u64 to, Dynptr::Kind kind) noexcept {
    auto* packet = reinterpret_cast<XdpBuff*>(ctx);
    dynptr_of(to) = {};
    if (flags != 0) return result(-EINVAL);
    dynptr_of(to) = Dynptr::make(packet, kind, std::min(packet->length(), Dynptr::kMaxSize));
    return 0;
}
u64 from_skb(u64 ctx, u64 flags, u64 to, u64, u64) noexcept {
    return from_packet(ctx, flags, to, Dynptr::Kind::skb);
}
u64 from_skb_read_only(u64 ctx, u64 flags, u64 to, u64, u64) noexcept {
    const u64 made = from_packet(ctx, flags, to, Dynptr::Kind::skb);
    if (made == 0) dynptr_of(to).set_read_only();
    return made;
}
u64 from_xdp(u64 ctx, u64 flags, u64 to, u64, u64) noexcept {
    return from_packet(ctx, flags, to, Dynptr::Kind::xdp);
}

/// Packets lie in one piece here, so the buffer for the others is never needed.
u64 slice(u64 of, u64 at, u64, u64 length, u64) noexcept {
    return reinterpret_cast<u64>(dynptr_of(of).bytes(static_cast<u32>(at), static_cast<u32>(length)));
}
u64 slice_rdwr(u64 of, u64 at, u64 buffer, u64 length, u64) noexcept {
    return dynptr_of(of).read_only() ? 0 : slice(of, at, buffer, length, 0);
}

u64 adjust(u64 of, u64 start, u64 end, u64, u64) noexcept {
    Dynptr& dynptr = dynptr_of(of);
    const u32 from = static_cast<u32>(start);
    const u32 to = static_cast<u32>(end);
    if (dynptr.data == nullptr || from > to) return result(-EINVAL);
    if (from > dynptr.size() || to > dynptr.size()) return result(-ERANGE);
    dynptr.offset += from;
    dynptr.set_size(to - from);
    return 0;
}

u64 is_null(u64 of, u64, u64, u64, u64) noexcept { return dynptr_of(of).data == nullptr ? 1 : 0; }
u64 is_rdonly(u64 of, u64, u64, u64, u64) noexcept {
    return dynptr_of(of).data != nullptr && dynptr_of(of).read_only() ? 1 : 0;
}
/// A u32: errors are those 32 bits of theirs.
u64 size(u64 of, u64, u64, u64, u64) noexcept {
    const Dynptr& dynptr = dynptr_of(of);
    return dynptr.data == nullptr ? static_cast<u32>(-EINVAL) : dynptr.size();
}
u64 clone(u64 of, u64 to, u64, u64, u64) noexcept {
    const Dynptr& dynptr = dynptr_of(of);
    dynptr_of(to) = dynptr.data == nullptr ? Dynptr{} : dynptr;
    return dynptr.data == nullptr ? result(-EINVAL) : 0;
}

u64 copy(u64 to, u64 to_at, u64 from, u64 from_at, u64 length) noexcept {
    const Dynptr& target = dynptr_of(to);
    const Dynptr& source = dynptr_of(from);
    const u32 size = static_cast<u32>(length);
    const u8* bytes = source.bytes(static_cast<u32>(from_at), size);
    if (bytes != nullptr) return result(dynptr_write(target, static_cast<u32>(to_at), bytes, size, 0));
    u8* room = target.read_only() ? nullptr : target.bytes(static_cast<u32>(to_at), size);
    return result(room != nullptr ? dynptr_read(room, size, source, static_cast<u32>(from_at), 0) : -E2BIG);
}

u64 memory_set(u64 of, u64 at, u64 length, u64 value, u64) noexcept {
    const Dynptr& dynptr = dynptr_of(of);
    const u32 from = static_cast<u32>(at);
    const u32 size = static_cast<u32>(length);
    if (dynptr.read_only()) return result(-EINVAL);
    if (!dynptr.contains(from, size)) return result(-E2BIG);
    if (u8* bytes = dynptr.bytes(from, size)) {
        std::memset(bytes, static_cast<u8>(value), size);
    } else if (size > 0) {
        return result(-E2BIG); // the packet has shrunk
    }
    return 0;
}

constexpr HelperProto row(const char* name, HelperFn fn, Ret ret, std::array<Arg, 5> args) {
    return {
        .id = 0, .name = name, .fn = fn, .ret = ret, .args = args, .unprivileged = false, .is_kfunc = true};
}
constexpr HelperProto from_row(const char* name, HelperFn fn, u32 use, DynptrKind kind) {
    HelperProto made = row(name, fn, Ret::integer, {Arg::ctx, Arg::anything, Arg::uninit_dynptr});
    made.use = use;
    made.makes_dynptr = kind;
    return made;
}
constexpr HelperProto from_skb_row() {
    HelperProto made = from_row("bpf_dynptr_from_skb", from_skb, kUseSkb, DynptrKind::skb);
    made.fn_read_only = from_skb_read_only;
    return made;
}
constexpr HelperProto writer_row(const char* name, HelperFn fn, Ret ret, std::array<Arg, 5> args) {
    HelperProto made = row(name, fn, ret, args);
    made.writes_packet = true;
    return made;
}
constexpr std::array<Arg, 5> kSliceArgs = {Arg::dynptr, Arg::anything, Arg::buffer_or_null,
                                           Arg::const_alloc_size};

} // namespace

const HelperProto kKfuncDynptrFromSkb = from_skb_row();
const HelperProto kKfuncDynptrFromXdp = from_row("bpf_dynptr_from_xdp", from_xdp, kUseXdp, DynptrKind::xdp);
const HelperProto kKfuncDynptrSlice =
    row("bpf_dynptr_slice", slice, Ret::dynptr_rdonly_mem_or_null, kSliceArgs);
const HelperProto kKfuncDynptrSliceRdwr =
    writer_row("bpf_dynptr_slice_rdwr", slice_rdwr, Ret::dynptr_mem_or_null, kSliceArgs);
const HelperProto kKfuncDynptrAdjust =
    row("bpf_dynptr_adjust", adjust, Ret::integer, {Arg::dynptr, Arg::anything, Arg::anything});
const HelperProto kKfuncDynptrIsNull = row("bpf_dynptr_is_null", is_null, Ret::integer, {Arg::dynptr});
const HelperProto kKfuncDynptrIsRdonly = row("bpf_dynptr_is_rdonly", is_rdonly, Ret::integer, {Arg::dynptr});
const HelperProto kKfuncDynptrSize = row("bpf_dynptr_size", size, Ret::integer, {Arg::dynptr});
const HelperProto kKfuncDynptrClone =
    row("bpf_dynptr_clone", clone, Ret::integer, {Arg::dynptr, Arg::uninit_dynptr});
const HelperProto kKfuncDynptrCopy =
    writer_row("bpf_dynptr_copy", copy, Ret::integer,
               {Arg::dynptr, Arg::anything, Arg::dynptr, Arg::anything, Arg::anything});
const HelperProto kKfuncDynptrMemset = writer_row("bpf_dynptr_memset", memory_set, Ret::integer,
                                                  {Arg::dynptr, Arg::anything, Arg::anything, Arg::anything});

} // namespace xdplane
