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
    void* address =
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (address == MAP_FAILED) return fail(ENOMEM, "cannot map {} bytes: {}", size, std::strerror(errno));
    if (size >= kHugePage) ::madvise(address, size, MADV_HUGEPAGE);
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
