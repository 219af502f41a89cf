// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <array>
#include <cerrno>
#include <cstring>
#include <linux/bpf.h>

#include "bpf/helpers/rows.h"
#include "bpf/maps/perf_event_array.h"
#include "bpf/maps/ring_buffer.h"
#include "bpf/run/packet.h"

/// Events for user space: ring buffers and perf event arrays.
namespace xdplane {
namespace {

u64 error(int code) noexcept { return static_cast<u64>(static_cast<i64>(-code)); }
RingBuffer& ring_of(u64 map) noexcept { return static_cast<RingBuffer&>(*reinterpret_cast<Map*>(map)); }
void* record_of(u64 argument) noexcept { return reinterpret_cast<void*>(argument); }

u64 ringbuf_output(u64 map, u64 data, u64 size, u64 flags, u64) noexcept {
    if ((flags & ~u64{BPF_RB_NO_WAKEUP | BPF_RB_FORCE_WAKEUP}) != 0) return error(EINVAL);
    void* record = ring_of(map).reserve(size);
    if (record == nullptr) return error(EAGAIN);
    if (size != 0) std::memcpy(record, reinterpret_cast<const void*>(data), size);
    RingBuffer::commit(record, flags, false);
    return 0;
}

u64 ringbuf_reserve(u64 map, u64 size, u64 flags, u64, u64) noexcept {
    return flags != 0 ? 0 : reinterpret_cast<u64>(ring_of(map).reserve(size));
}
u64 ringbuf_submit(u64 record, u64 flags, u64, u64, u64) noexcept {
    RingBuffer::commit(record_of(record), flags, false);
    return 0;
}
u64 ringbuf_discard(u64 record, u64 flags, u64, u64, u64) noexcept {
    RingBuffer::commit(record_of(record), flags, true);
    return 0;
}
u64 ringbuf_query(u64 map, u64 what, u64, u64, u64) noexcept { return ring_of(map).query(what); }

/// Of packet programs: the flags say how many bytes of the packet go behind the data.
u64 perf_event_output(u64 ctx, u64 map, u64 flags, u64 data, u64 size) noexcept {
    const auto& packet = *reinterpret_cast<const XdpBuff*>(ctx);
    const u64 appended = (flags & BPF_F_CTXLEN_MASK) >> 32;
    if ((flags & ~u64{BPF_F_CTXLEN_MASK | BPF_F_INDEX_MASK}) != 0) return error(EINVAL);
    if (appended > packet.length()) return error(EFAULT);
    const std::array<std::span<const u8>, 2> parts{std::span(reinterpret_cast<const u8*>(data), size),
                                                   std::span(static_cast<const u8*>(packet.data), appended)};
    auto& array = static_cast<PerfEventArray&>(*reinterpret_cast<Map*>(map));
    return static_cast<u64>(static_cast<i64>(array.output(parts, flags)));
}

constexpr HelperProto release_row(u32 id, const char* name, HelperFn fn) {
    return {.id = id,
            .name = name,
            .fn = fn,
            .ret = Ret::nothing,
            .args = {Arg::ringbuf_record, Arg::anything},
            .releases = 1};
}

} // namespace

const HelperProto kHelperPerfEventOutput = {
    .id = BPF_FUNC_perf_event_output,
    .name = "perf_event_output",
    .fn = perf_event_output,
    .ret = Ret::integer,
    .args = {Arg::ctx, Arg::const_map, Arg::anything, Arg::mem, Arg::size_or_zero},
    .use = kUsePacket,
    .gpl_only = true};
const HelperProto kHelperRingbufOutput = {
    .id = BPF_FUNC_ringbuf_output,
    .name = "ringbuf_output",
    .fn = ringbuf_output,
    .ret = Ret::integer,
    .args = {Arg::const_map, Arg::mem, Arg::size_or_zero, Arg::anything}};
const HelperProto kHelperRingbufReserve = {.id = BPF_FUNC_ringbuf_reserve,
                                           .name = "ringbuf_reserve",
                                           .fn = ringbuf_reserve,
                                           .ret = Ret::mem_or_null,
                                           .args = {Arg::const_map, Arg::const_alloc_size, Arg::anything},
                                           .acquires = true};
const HelperProto kHelperRingbufSubmit =
    release_row(BPF_FUNC_ringbuf_submit, "ringbuf_submit", ringbuf_submit);
const HelperProto kHelperRingbufDiscard =
    release_row(BPF_FUNC_ringbuf_discard, "ringbuf_discard", ringbuf_discard);
const HelperProto kHelperRingbufQuery = {.id = BPF_FUNC_ringbuf_query,
                                         .name = "ringbuf_query",
                                         .fn = ringbuf_query,
                                         .ret = Ret::integer,
                                         .args = {Arg::const_map, Arg::anything}};

} // namespace xdplane
