// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <cerrno>
#include <linux/bpf.h>

#include "bpf/helpers/dynptr.h"
#include "bpf/helpers/rows.h"
#include "bpf/maps/ring_buffer.h"
#include "bpf/maps/words.h"
#include "bpf/run/callback.h"

/// The consumer of BPF_MAP_TYPE_USER_RINGBUF (the comment of bpf_user_ringbuf_drain in linux/bpf.h). User
/// space writes the data, the headers and its position whenever it likes: each is read once and then checked.
namespace xdplane {
namespace {

/// Samples that one call takes at most.
constexpr u32 kMaxSamples = 128 * 1024;

struct Sample {
    u8* data = nullptr;
    u32 size = 0;
    u64 end = 0; ///< position behind it
};

/// 0 and the next sample; -ENODATA if there is none yet; -EAGAIN for one that user space discarded, which is
/// skipped; -EINVAL and -E2BIG for what cannot be a sample.
int next_sample(RingBuffer& ring, Sample& sample) noexcept {
    const u64 produced = ring.producer_position().load(std::memory_order_acquire);
    if (produced % 8 != 0) return -EINVAL;
    const u64 consumed = ring.consumer_position().load(std::memory_order_acquire);
    if (consumed >= produced) return -ENODATA;

    const u64 at = consumed & (ring.data_size() - 1);
    const u32 header = __atomic_load_n(reinterpret_cast<const u32*>(ring.data() + at), __ATOMIC_ACQUIRE);
    const u32 length = header & ~u32{BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT};
    const u64 total = round_up(u64{length} + BPF_RINGBUF_HDR_SZ, 8);
    if (total > produced - consumed) return -EINVAL;
    if (total > ring.data_size() || length > Dynptr::kMaxSize) return -E2BIG;
    if ((header & BPF_RINGBUF_DISCARD_BIT) != 0) {
        ring.consumer_position().store(consumed + total, std::memory_order_release);
        return -EAGAIN;
    }
    if ((header & BPF_RINGBUF_BUSY_BIT) != 0) return -ENODATA;
    sample = {ring.data() + at + BPF_RINGBUF_HDR_SZ, length, consumed + total};
    return 0;
}

i64 drain(RingBuffer& ring, const CallbackRef& callback, u64 context) noexcept {
    i64 taken = 0;
    u64 stop = 0;
    for (u32 i = 0; i < kMaxSamples && stop == 0; ++i) {
        Sample sample;
        const int error = next_sample(ring, sample);
        if (error == -EAGAIN) continue;
        if (error == -ENODATA) break;
        if (error != 0) return error;
        Dynptr dynptr = Dynptr::make(sample.data, Dynptr::Kind::local, sample.size);
        stop = callback(reinterpret_cast<u64>(&dynptr), context);
        ring.consumer_position().store(sample.end, std::memory_order_release);
        ++taken;
    }
    return taken;
}

/// Whoever waits for room waits for an eventfd to be writable, which it always is: there is nobody to wake.
u64 user_ringbuf_drain(u64 map, u64 callback, u64 context, u64 flags, u64) noexcept {
    if ((flags & ~u64{BPF_RB_NO_WAKEUP | BPF_RB_FORCE_WAKEUP}) != 0) return static_cast<u64>(i64{-EINVAL});
    RingBuffer& ring = static_cast<RingBuffer&>(*reinterpret_cast<Map*>(map));
    if (ring.draining().exchange(true, std::memory_order_acquire)) return static_cast<u64>(i64{-EBUSY});
    const i64 taken = drain(ring, CallbackRef(callback), context);
    ring.draining().store(false, std::memory_order_release);
    return static_cast<u64>(taken);
}

} // namespace

const HelperProto kHelperUserRingbufDrain = {
    .id = BPF_FUNC_user_ringbuf_drain,
    .name = "user_ringbuf_drain",
    .fn = user_ringbuf_drain,
    .ret = Ret::integer,
    .args = {Arg::const_map, Arg::callback, Arg::stack_or_null, Arg::anything},
    .callback = Callback::user_ringbuf,
    .unprivileged = false};

} // namespace xdplane
