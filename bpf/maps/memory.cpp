// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/maps/memory.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <unistd.h>

#include "bpf/maps/words.h"

namespace xdplane {
namespace {

constexpr u64 kHugePage = u64{2} << 20;

Result<> check_size(u64 bytes) {
    if (bytes <= max_map_bytes()) return {};
    return fail(ENOMEM, "a map of {} bytes is larger than the machine's memory of {} bytes", bytes,
                max_map_bytes());
}

/// Fresh pages. Large areas begin at a boundary of huge pages, without which the kernel would use small ones
/// at both ends, and in areas of a few megabytes for most of it.
void* map_pages(u64 size) {
    const auto fresh = [](u64 bytes) {
        return ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
                      0);
    };
    if (size < kHugePage) return fresh(size);
    void* const address = fresh(size + kHugePage);
    if (address == MAP_FAILED) return MAP_FAILED;
    const u64 begin = reinterpret_cast<u64>(address);
    const u64 aligned = round_up(begin, kHugePage);
    u8* const kept = reinterpret_cast<u8*>(aligned);
    if (aligned != begin) ::munmap(address, aligned - begin);
    if (const u64 rest = begin + kHugePage - aligned; rest != 0) ::munmap(kept + size, rest);
    ::madvise(kept, size, MADV_HUGEPAGE);
    return kept;
}

} // namespace

u64 max_map_bytes() {
    static const u64 bytes = static_cast<u64>(::sysconf(_SC_PHYS_PAGES)) * static_cast<u64>(::getpagesize());
    return bytes;
}

Result<Mapping> map_memory(u64 bytes, bool sparse) {
    if (!sparse) {
        if (auto checked = check_size(bytes); !checked) return fail(checked.error());
    }
    const u64 size = round_up(bytes, static_cast<u64>(::getpagesize()));
    void* address = map_pages(size);
    if (address == MAP_FAILED) return fail(ENOMEM, "cannot map {} bytes: {}", size, std::strerror(errno));
    return Mapping(address, size);
}

Result<Mapping> map_shared_memory(u64 bytes, std::string_view name, UniqueFd& fd) {
    if (auto checked = check_size(bytes); !checked) return fail(checked.error());
    const u64 size = round_up(bytes, static_cast<u64>(::getpagesize()));
    UniqueFd memory(::memfd_create(std::string(name).c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!memory) return fail(errno, "cannot make a memfd: {}", std::strerror(errno));
    // Sealed: a holder of the fd who shrank it would make every access of a program a SIGBUS.
    if (::ftruncate(memory.get(), static_cast<off_t>(size)) != 0 ||
        ::fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0)
        return fail(ENOMEM, "cannot size a memfd to {} bytes: {}", size, std::strerror(errno));
    void* address = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0);
    if (address == MAP_FAILED) return fail(ENOMEM, "cannot map {} bytes: {}", size, std::strerror(errno));
    fd = std::move(memory);
    return Mapping(address, size);
}

} // namespace xdplane
