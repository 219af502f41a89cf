// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "bpf/base/mapping.h"
#include "bpf/base/wakeup.h"
#include "bpf/maps/map.h"
#include "bpf/maps/spin_lock.h"

namespace xdplane {

/// BPF_MAP_TYPE_RINGBUF and BPF_MAP_TYPE_USER_RINGBUF (Documentation/bpf/ringbuf.rst), in the layout that
/// consumers map: a page with the consumer's position, a page with the producer's, max_entries bytes of data.
/// The memfd holds them once; every mapping shows the data twice, one copy behind the other, so that no
/// record is ever in two pieces. max_entries bytes and two pages in all.
///
/// A record is a header of 8 bytes (length with busy and discard bits, distance in pages from the page in
/// front of the consumer's) and round_up(length, 8) bytes. Positions count bytes and never wrap.
///
/// RINGBUF: programs produce, any number of them at once: reserving takes a spin lock, committing does not.
/// User space may write its position only, and what it writes is not trusted. Who holds the fd could map the
/// rest writable by other means than mmap() here, and is trusted not to.
/// USER_RINGBUF: user space produces; programs consume.
class RingBuffer final : public Map, public Pollable {
public:
    static Result<std::shared_ptr<Map>> create(MapSpec spec, const MapOps& ops);

    /// Largest record; longer ones are never reserved.
    static constexpr u32 kMaxRecord = ~u32{0} / 4;

    /// Data path: `size` bytes, 8-aligned, not zeroed, to be passed to commit() exactly once; null if there
    /// is no room or size is more than kMaxRecord. Consumers see neither this record nor any behind it until
    /// then.
    [[nodiscard]] void* reserve(u64 size) noexcept;
    /// Data path: hands a record of reserve() to the consumer, or (`discard`) has it skipped. Wakes the
    /// consumer if it waits for just this record, never with BPF_RB_NO_WAKEUP, always with
    /// BPF_RB_FORCE_WAKEUP.
    static void commit(void* record, u64 flags, bool discard) noexcept;
    /// Data path: BPF_RB_AVAIL_DATA, _RING_SIZE, _CONS_POS, _PROD_POS; 0 for anything else. A snapshot.
    [[nodiscard]] u64 query(u64 what) const noexcept;

    /// RINGBUF: there are bytes that were not consumed, committed or not, as Linux's poll says it.
    [[nodiscard]] bool readable() const noexcept override { return query(BPF_RB_AVAIL_DATA) != 0; }

    /// mmap(2) of the map's fd, for the control thread: the address or MAP_FAILED with errno. Writable are
    /// only the consumer's page (RINGBUF) or everything behind it (USER_RINGBUF): EPERM. EINVAL: out of
    /// range.
    [[nodiscard]] void* map_for_user(void* address, u64 size, int protection, int flags, i64 offset) const;

    /// USER_RINGBUF, for its consumer: the pages as mapped here. The producer's position is user space's and
    /// may be anything.
    [[nodiscard]] std::atomic<u64>& consumer_position() const noexcept { return position(0); }
    [[nodiscard]] std::atomic<u64>& producer_position() const noexcept { return position(1); }
    [[nodiscard]] u8* data() const noexcept { return data_; }
    /// Held by the program that consumes: others give up at once.
    [[nodiscard]] std::atomic<bool>& draining() noexcept { return draining_; }
    [[nodiscard]] u64 data_size() const noexcept { return mask_ + 1; }
    [[nodiscard]] u64 memory_bytes() const override { return data_size() + 2 * page_; }
    [[nodiscard]] std::span<const u8> own_pages() const override { return pages_.bytes(); }
    void last_fd_closed() override { wakeup().disarm(); }

    RingBuffer(MapSpec spec, const MapOps& ops, Mapping pages, UniqueFd storage, u64 page);

private:
    struct Header {
        std::atomic<u32> length; ///< with BPF_RINGBUF_BUSY_BIT and _DISCARD_BIT
        u32 page_offset;
    };
    static_assert(sizeof(Header) == BPF_RINGBUF_HDR_SZ);

    [[nodiscard]] std::atomic<u64>& position(u64 page) const noexcept {
        return *reinterpret_cast<std::atomic<u64>*>(pages_.data() + (1 + page) * page_);
    }
    [[nodiscard]] Header& header(u64 at) const noexcept {
        return *reinterpret_cast<Header*>(data_ + (at & mask_));
    }
    void skip_finished() noexcept;

    Mapping pages_; ///< a page with our address, then what consumers map
    u8* data_;
    u64 mask_;
    u64 page_;
    std::atomic<bool> draining_{false};
    SpinLock lock_;    ///< guards produced_, pending_
    u64 produced_ = 0; ///< the producer's position: the page holds a copy
    u64 pending_ = 0;  ///< of the oldest record that is not committed, or a bit behind
};

} // namespace xdplane
