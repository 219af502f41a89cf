// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <cerrno>
#include <linux/bpf.h>

#include "bpf/helpers/dynptr.h"
#include "bpf/helpers/rows.h"
#include "bpf/maps/ring_buffer.h"

/// Records of ring buffers whose size is only known at run time.
namespace xdplane {
namespace {

u64 reserve(u64 map, u64 size, u64 flags, u64 to, u64) noexcept {
    Dynptr& made = *reinterpret_cast<Dynptr*>(to);
    const u32 bytes = static_cast<u32>(size);
    made = {};
    if (flags != 0) return static_cast<u64>(i64{-EINVAL});
    if (bytes > Dynptr::kMaxSize) return static_cast<u64>(i64{-E2BIG});
    void* record = static_cast<RingBuffer&>(*reinterpret_cast<Map*>(map)).reserve(bytes);
    if (record == nullptr) return static_cast<u64>(i64{-EINVAL});
    made = Dynptr::make(record, Dynptr::Kind::ringbuf, bytes);
    return 0;
}

/// A null dynptr, of a reservation that failed, has to be released as well.
u64 release(u64 of, u64 flags, bool discard) noexcept {
    Dynptr& dynptr = *reinterpret_cast<Dynptr*>(of);
    if (dynptr.data != nullptr) RingBuffer::commit(dynptr.data, flags, discard);
    dynptr = {};
    return 0;
}
u64 submit(u64 of, u64 flags, u64, u64, u64) noexcept { return release(of, flags, false); }
u64 discard(u64 of, u64 flags, u64, u64, u64) noexcept { return release(of, flags, true); }

constexpr HelperProto release_row(u32 id, const char* name, HelperFn fn) {
    return {.id = id,
            .name = name,
            .fn = fn,
            .ret = Ret::nothing,
            .args = {Arg::ringbuf_dynptr, Arg::anything},
            .releases = 1,
            .unprivileged = false};
}

} // namespace

const HelperProto kHelperRingbufReserveDynptr = {
    .id = BPF_FUNC_ringbuf_reserve_dynptr,
    .name = "ringbuf_reserve_dynptr",
    .fn = reserve,
    .ret = Ret::integer,
    .args = {Arg::const_map, Arg::anything, Arg::anything, Arg::uninit_dynptr},
    .acquires = true,
    .makes_dynptr = DynptrKind::ringbuf,
    .unprivileged = false};
const HelperProto kHelperRingbufSubmitDynptr =
    release_row(BPF_FUNC_ringbuf_submit_dynptr, "ringbuf_submit_dynptr", submit);
const HelperProto kHelperRingbufDiscardDynptr =
    release_row(BPF_FUNC_ringbuf_discard_dynptr, "ringbuf_discard_dynptr", discard);

} // namespace xdplane
