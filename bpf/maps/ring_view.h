// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include "bpf/base/types.h"

/// How the pages of a ring buffer (ring_buffer.h) are mapped: here, and in programs that got their memfd
/// sent. Built into the preload library too: nothing but bpf/base/types.h.
namespace xdplane {

/// The memfd: a page with the consumer's position, one with the producer's, `data_size` bytes of data.
struct RingPages {
    int fd;
    u64 data_size;
    bool user_produces; ///< BPF_MAP_TYPE_USER_RINGBUF
};

/// mmap(2) as Linux has it on the map's fd, under its rules: the address, or MAP_FAILED with errno. Writable
/// are only the consumer's page, or, where user space produces, everything behind it: EPERM. EINVAL: out of
/// range.
[[nodiscard]] void* map_ring(const RingPages& pages, void* address, u64 size, int protection, int flags,
                             i64 offset);

/// Bytes [begin, begin + size) of what consumers see: the first `once` bytes are the file's, and the data
/// comes a second time.
[[nodiscard]] void* map_ring_range(int fd, void* address, u64 begin, u64 size, u64 once, int protection,
                                   int flags);
[[nodiscard]] u64 ring_page_size();
/// mmap(2) by syscall(): libc's may be wrapped, and its wrapper come here.
[[nodiscard]] void* raw_mmap(void* address, u64 size, int protection, int flags, int fd, u64 offset);

} // namespace xdplane
