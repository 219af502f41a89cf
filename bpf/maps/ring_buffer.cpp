// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/maps/ring_buffer.h"

#include <bit>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <sys/syscall.h>
#include <unistd.h>

#include "bpf/maps/memory.h"
#include "bpf/maps/ring_view.h"
#include "bpf/maps/rows.h"
#include "bpf/maps/words.h"

namespace xdplane {
namespace {

u64 record_bytes(u64 length) noexcept { return round_up(length + BPF_RINGBUF_HDR_SZ, 8); }

} // namespace

RingBuffer::RingBuffer(MapSpec spec, const MapOps& ops, Mapping pages, UniqueFd storage, u64 page)
    : Map(ops, std::move(spec)),
      pages_(std::move(pages)),
      data_(pages_.data() + 3 * page),
      mask_(u64{this->spec().max_entries} - 1),
      page_(page) {
    storage_ = std::move(storage);
    RingBuffer* self = this;
    std::memcpy(pages_.data(), &self, sizeof self);
}

Result<std::shared_ptr<Map>> RingBuffer::create(MapSpec spec, const MapOps& ops) {
    const u64 page = ring_page_size();
    if ((spec.flags & ~u32{BPF_F_NUMA_NODE}) != 0)
        return fail(EINVAL, "map flags {:#x} are not allowed", spec.flags & ~u32{BPF_F_NUMA_NODE});
    if (spec.key_size != 0 || spec.value_size != 0)
        return fail(EINVAL, "a ring buffer has no keys or values");
    if (!std::has_single_bit(spec.max_entries) || spec.max_entries % page != 0)
        return fail(EINVAL, "size {} is not a power of 2 and of whole pages", spec.max_entries);

    const u64 data = spec.max_entries;
    const u64 once = 2 * page + data;
    UniqueFd storage;
    // Made of a file of the right size; where it is mapped at first does not matter.
    if (auto shared = map_shared_memory(once, spec.name, storage); !shared) return fail(shared.error());
    void* place = raw_mmap(nullptr, page + once + data, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (place == MAP_FAILED) return fail(ENOMEM, "cannot map {} bytes twice", data);
    Mapping pages(place, page + once + data);
    if (map_ring_range(storage.get(), pages.data() + page, 0, once + data, once, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_FIXED) == MAP_FAILED)
        return fail(ENOMEM, "cannot map {} bytes twice", data);
    return std::make_shared<RingBuffer>(std::move(spec), ops, std::move(pages), std::move(storage), page);
}

/// Moves pending_ over records that are committed. Holds lock_.
void RingBuffer::skip_finished() noexcept {
    while (pending_ < produced_) {
        const u32 length = header(pending_).length.load(std::memory_order_acquire);
        if ((length & BPF_RINGBUF_BUSY_BIT) != 0) return;
        pending_ += record_bytes(length & ~u32{BPF_RINGBUF_DISCARD_BIT});
    }
}

void* RingBuffer::reserve(u64 size) noexcept {
    if (size > kMaxRecord) return nullptr;
    const u64 bytes = record_bytes(size);
    if (bytes > data_size()) return nullptr;
    const u64 consumed = consumer_position().load(std::memory_order_acquire);
    const std::lock_guard guard(lock_);
    skip_finished();
    const u64 end = produced_ + bytes;
    // Neither over what was not consumed, nor over what others still write; and a full ring is never whole,
    // so that it does not look empty.
    if (end - consumed > mask_ || end - pending_ > mask_) return nullptr;
    Header& record = header(produced_);
    record.length.store(static_cast<u32>(size) | BPF_RINGBUF_BUSY_BIT, std::memory_order_relaxed);
    record.page_offset =
        static_cast<u32>(static_cast<u64>(reinterpret_cast<u8*>(&record) - pages_.data()) / page_);
    produced_ = end;
    producer_position().store(end, std::memory_order_release);
    return &record + 1;
}

void RingBuffer::commit(void* record, u64 flags, bool discard) noexcept {
    Header& header = *(static_cast<Header*>(record) - 1);
    const u64 page = ring_page_size();
    u8* begin =
        reinterpret_cast<u8*>(reinterpret_cast<u64>(&header) / page * page) - header.page_offset * page;
    RingBuffer* ring = nullptr;
    std::memcpy(&ring, begin, sizeof ring);

    u32 length = header.length.load(std::memory_order_relaxed) & ~u32{BPF_RINGBUF_BUSY_BIT};
    if (discard) length |= BPF_RINGBUF_DISCARD_BIT;
    // Sequentially consistent, as is the consumer's fence between its position and the next look at a length:
    // one of the two sees the other.
    header.length.exchange(length, std::memory_order_seq_cst);
    const auto at = static_cast<u64>(reinterpret_cast<u8*>(&header) - ring->data_);
    const u64 consumed = ring->consumer_position().load(std::memory_order_seq_cst) & ring->mask_;
    const bool awaited = consumed == at && (flags & BPF_RB_NO_WAKEUP) == 0;
    if (awaited || (flags & BPF_RB_FORCE_WAKEUP) != 0) ring->wakeup().wake();
}

u64 RingBuffer::query(u64 what) const noexcept {
    const u64 consumed = consumer_position().load(std::memory_order_acquire);
    const u64 produced = producer_position().load(std::memory_order_acquire);
    switch (what) {
    case BPF_RB_AVAIL_DATA: return produced - consumed;
    case BPF_RB_RING_SIZE: return data_size();
    case BPF_RB_CONS_POS: return consumed;
    case BPF_RB_PROD_POS: return produced;
    default: return 0;
    }
}

void* RingBuffer::map_for_user(void* address, u64 size, int protection, int flags, i64 offset) const {
    const RingPages pages{.fd = storage_fd(),
                          .data_size = data_size(),
                          .user_produces = spec().type == BPF_MAP_TYPE_USER_RINGBUF};
    return map_ring(pages, address, size, protection, flags, offset);
}

namespace {

Result<std::shared_ptr<Map>> create_ringbuf(MapSpec spec) {
    return RingBuffer::create(std::move(spec), kRingbufOps);
}
Result<std::shared_ptr<Map>> create_user_ringbuf(MapSpec spec) {
    return RingBuffer::create(std::move(spec), kUserRingbufOps);
}

constexpr MapOps keyless(const char* name, Result<std::shared_ptr<Map>> (*create)(MapSpec)) {
    return {.name = name,
            .create = create,
            .lookup = nullptr,
            .update = nullptr,
            .erase = nullptr,
            .copy_value = nullptr,
            .store_value = nullptr,
            .next_key = nullptr,
            .direct_value = nullptr,
            .per_cpu = false,
            .array_like = false};
}

} // namespace

constinit const MapOps kRingbufOps = keyless("ringbuf", create_ringbuf);
constinit const MapOps kUserRingbufOps = keyless("user_ringbuf", create_user_ringbuf);

} // namespace xdplane
