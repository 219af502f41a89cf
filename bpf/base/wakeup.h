// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <atomic>

#include "bpf/base/result.h"
#include "bpf/base/types.h"

namespace xdplane {

/// What epoll waits for where Linux would wait for the object itself: a memfd cannot be epolled, so an
/// eventfd stands in for it, made when somebody first asks. Until then waking costs one load.
///
/// An eventfd stays readable until it is read, which no consumer of a ring buffer does: consumers move a
/// position in shared memory. So whoever is about to wait calls settle() first, and the wait is
/// level-triggered, as on Linux: it ends at once as long as there is something to consume.
class Wakeup {
public:
    Wakeup() = default;
    ~Wakeup();
    Wakeup(const Wakeup&) = delete;
    Wakeup& operator=(const Wakeup&) = delete;

    /// Control thread: the eventfd, owned by this object. Error: EMFILE and its like.
    [[nodiscard]] Result<int> arm();
    /// Data path: wakes who waits. A system call where somebody once asked for the eventfd, else nothing.
    void wake() noexcept;
    /// Control thread, before a wait: takes back what was signalled if nothing is `readable`.
    template<class Readable>
    void settle(Readable readable) {
        if (!signalled_.exchange(false, std::memory_order_acq_rel)) return;
        if (!readable()) drain();
        // What was made readable before the drain may have been signalled before it too.
        if (readable()) wake();
    }
    /// Nobody can wait any more: closes the eventfd once no worker may be about to write to it.
    void disarm();

private:
    void drain() noexcept;

    std::atomic<int> fd_{-1};            ///< written by control threads, read by workers
    std::atomic<bool> signalled_{false}; ///< set by who wakes, after the fact; cleared by settle()
};

/// An object with an fd that epoll may wait for.
class Pollable {
public:
    virtual ~Pollable() = default;
    /// Any thread: there is something to consume.
    [[nodiscard]] virtual bool readable() const noexcept = 0;
    [[nodiscard]] Wakeup& wakeup() noexcept { return wakeup_; }

private:
    Wakeup wakeup_;
};

} // namespace xdplane
