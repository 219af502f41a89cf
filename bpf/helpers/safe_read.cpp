// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/helpers/safe_read.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <linux/bpf.h>
#include <sys/uio.h>
#include <unistd.h>

#include "bpf/helpers/rows.h"

namespace xdplane {

bool safe_read(void* to, u64 from, u32 size) noexcept {
    if (size == 0) return true;
    iovec target{to, size};
    iovec source{reinterpret_cast<void*>(from), size};
    return ::process_vm_readv(::getpid(), &target, 1, &source, 1, 0) == static_cast<ssize_t>(size);
}

i64 safe_read_string(char* to, u64 from, u32 size) noexcept {
    // Never across a page: the string may end just before one that cannot be read.
    constexpr u32 page = 4096;
    for (u32 done = 0; done < size;) {
        const u32 chunk = std::min(size - done, page - static_cast<u32>((from + done) % page));
        if (!safe_read(to + done, from + done, chunk)) return -EFAULT;
        if (const void* end = std::memchr(to + done, 0, chunk)) return static_cast<const char*>(end) - to + 1;
        done += chunk;
    }
    to[size - 1] = 0;
    return size;
}

namespace {

u64 probe_read_kernel(u64 to, u64 size, u64 from, u64, u64) noexcept {
    void* const target = reinterpret_cast<void*>(to);
    if (safe_read(target, from, static_cast<u32>(size))) return 0;
    std::memset(target, 0, static_cast<u32>(size));
    return static_cast<u64>(i64{-EFAULT});
}

u64 probe_read_kernel_str(u64 to, u64 size, u64 from, u64, u64) noexcept {
    const u32 room = static_cast<u32>(size);
    if (room == 0) return 0;
    auto* const target = reinterpret_cast<char*>(to);
    const i64 length = safe_read_string(target, from, room);
    if (length < 0) std::memset(target, 0, room);
    return static_cast<u64>(length);
}

constexpr HelperProto row(u32 id, const char* name, HelperFn fn) {
    return {.id = id,
            .name = name,
            .fn = fn,
            .ret = Ret::integer,
            .args = {Arg::uninit_mem, Arg::size_or_zero, Arg::anything},
            .use = kUsePacket,
            .gpl_only = true,
            .unprivileged = false};
}

} // namespace

const HelperProto kHelperProbeReadKernel =
    row(BPF_FUNC_probe_read_kernel, "probe_read_kernel", probe_read_kernel);
const HelperProto kHelperProbeReadKernelStr =
    row(BPF_FUNC_probe_read_kernel_str, "probe_read_kernel_str", probe_read_kernel_str);

} // namespace xdplane
