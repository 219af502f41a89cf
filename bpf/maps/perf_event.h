// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <atomic>
#include <linux/perf_event.h>
#include <memory>
#include <span>

#include "bpf/base/mapping.h"
#include "bpf/base/result.h"
#include "bpf/base/unique_fd.h"
#include "bpf/base/wakeup.h"
#include "bpf/maps/spin_lock.h"

namespace xdplane {

/// What perf_event_open(2) makes of PERF_COUNT_SW_BPF_OUTPUT, in user space: a ring in the layout of
/// <linux/perf_event.h> (a page of struct perf_event_mmap_page, 2^n pages of data), into which
/// bpf_perf_event_output writes PERF_RECORD_SAMPLE and, after records that found no room, PERF_RECORD_LOST.
/// One memfd, sized by the first mmap(2).
///
/// Any thread may write; one at a time does, under a spin lock. User space writes data_tail, which is not
/// trusted.
class PerfEvent final : public Pollable {
public:
    /// An event of one CPU and of all threads. Errors: EINVAL as Linux, EOPNOTSUPP for what it does not do
    /// here (a thread's own events, sample types other than RAW, TIME, TID, CPU, ID, PERIOD, IP and ADDR).
    [[nodiscard]] static Result<std::shared_ptr<PerfEvent>> create(const perf_event_attr& attr, i32 pid,
                                                                   i32 cpu);

    /// Data path: one sample made of `parts`. 0; -EOPNOTSUPP if the event is off or another CPU's; -ENOSPC if
    /// nobody has mapped it, or it is full, or can not hold a record of this size (counted as lost).
    [[nodiscard]] int output(std::span<const std::span<const u8>> parts, u32 cpu) noexcept;

    /// mmap(2) of its fd, control thread: the address or MAP_FAILED with errno. The first call decides the
    /// size (a page and 0 or 2^n pages). Not writable: no positions of the consumer, old data is overwritten.
    [[nodiscard]] void* map_for_user(void* address, u64 size, int protection, int flags, i64 offset);
    void enable(bool on) noexcept { enabled_.store(on, std::memory_order_release); }

    [[nodiscard]] bool readable() const noexcept override;
    [[nodiscard]] int storage_fd() const { return storage_.get(); }
    [[nodiscard]] u64 id() const { return id_; }
    [[nodiscard]] u64 lost() const { return lost_.load(std::memory_order_relaxed); }

private:
    /// The ring, as mapped here. Made once.
    struct Ring {
        Mapping pages;
        perf_event_mmap_page* control;
        u8* data;
        u64 size;       ///< 0 or a power of 2
        bool overwrite; ///< nobody says what was consumed
        u64 head = 0;   ///< the control page holds a copy
        u64 woken = 0;  ///< head at the last wake-up
        u64 pending_lost = 0;
        u32 events = 0; ///< since the last wake-up
    };
    struct Fields;

    PerfEvent(const perf_event_attr& attr, u32 cpu, UniqueFd storage);
    [[nodiscard]] bool has_room(const Ring& ring, u64 bytes) const noexcept;
    void put(Ring& ring, const void* bytes, u64 size) noexcept;
    void put_lost(Ring& ring) noexcept;
    [[nodiscard]] bool wants_wake(Ring& ring) const noexcept;
    Result<> make_ring(u64 bytes, bool overwrite);

    perf_event_attr attr_;
    u32 cpu_;
    u64 id_;
    UniqueFd storage_;
    std::atomic<bool> enabled_;
    std::atomic<u64> lost_{0};         ///< ever; written under lock_
    std::unique_ptr<Ring> owned_;      ///< written by the control thread, once
    std::atomic<Ring*> ring_{nullptr}; ///< what workers see of it
    SpinLock lock_;                    ///< guards *ring_
};

} // namespace xdplane
