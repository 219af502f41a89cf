// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/maps/ring_view.h"

#include <cerrno>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace xdplane {

void* raw_mmap(void* address, u64 size, int protection, int flags, int fd, u64 offset) {
    const long result = ::syscall(SYS_mmap, address, size, protection, flags, fd, offset);
    return result == -1 ? MAP_FAILED : reinterpret_cast<void*>(result);
}

void* map_ring_range(int fd, void* address, u64 begin, u64 size, u64 once, int protection, int flags) {
    const u64 end = begin + size;
    // The file holds the first `once` bytes of the view. One mapping reserves the whole range; what lies
    // behind them is laid over it, from the data's first copy.
    const u64 data = once - 2 * ring_page_size();
    const u64 first = begin < once ? begin : begin - data;
    void* place = raw_mmap(address, size, protection, flags, fd, first);
    if (place == MAP_FAILED || begin >= once || end <= once) return place;
    u8* second = static_cast<u8*>(place) + (once - begin);
    if (raw_mmap(second, end - once, protection, MAP_SHARED | MAP_FIXED, fd, 2 * ring_page_size()) ==
        MAP_FAILED) {
        const int code = errno;
        ::syscall(SYS_munmap, place, size);
        errno = code;
        return MAP_FAILED;
    }
    return place;
}

u64 ring_page_size() {
    static const auto size = static_cast<u64>(::sysconf(_SC_PAGESIZE));
    return size;
}

void* map_ring(const RingPages& pages, void* address, u64 size, int protection, int flags, i64 offset) {
    const auto refuse = [](int code) {
        errno = code;
        return MAP_FAILED;
    };
    const u64 page = ring_page_size();
    const auto begin = static_cast<u64>(offset);
    const u64 length = (size + page - 1) / page * page;
    if (offset < 0 || begin % page != 0 || size == 0) return refuse(EINVAL);
    if ((protection & PROT_WRITE) != 0) {
        if (pages.user_produces ? begin == 0 : begin != 0 || length != page) return refuse(EPERM);
    }
    const u64 once = 2 * page + pages.data_size;
    if (length > once + pages.data_size || begin > once + pages.data_size - length) return refuse(EINVAL);
    return map_ring_range(pages.fd, address, begin, length, once, protection, flags);
}

} // namespace xdplane
