// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/base/wakeup.h"

#include <cerrno>
#include <cstring>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bpf/base/reclaimer.h"
#include "bpf/base/unique_fd.h"

namespace xdplane {

Wakeup::~Wakeup() {
    if (const int fd = fd_.load(std::memory_order_relaxed); fd >= 0) ::close(fd);
}

Result<int> Wakeup::arm() {
    int known = fd_.load(std::memory_order_acquire);
    if (known >= 0) return known;
    UniqueFd made(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!made) return fail(errno, "cannot make an eventfd: {}", std::strerror(errno));
    if (fd_.compare_exchange_strong(known, made.get(), std::memory_order_acq_rel)) known = made.release();
    return known;
}

void Wakeup::wake() noexcept {
    const int fd = fd_.load(std::memory_order_acquire);
    if (fd < 0) return;
    const u64 one = 1;
    const int saved = errno;
    // It fails only where the eventfd is as readable as can be.
    [[maybe_unused]] const auto written = ::write(fd, &one, sizeof one);
    errno = saved;
    signalled_.store(true, std::memory_order_release);
}

void Wakeup::drain() noexcept {
    const int fd = fd_.load(std::memory_order_acquire);
    u64 count = 0;
    const int saved = errno;
    if (fd >= 0) [[maybe_unused]]
        const auto got = ::read(fd, &count, sizeof count);
    errno = saved;
}

void Wakeup::disarm() {
    const int fd = fd_.exchange(-1, std::memory_order_acq_rel);
    if (fd >= 0) Reclaimer::instance().retire(new UniqueFd(fd));
}

} // namespace xdplane
