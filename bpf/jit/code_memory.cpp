// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <cerrno>
#include <cstring>
#include <unistd.h>

#include "bpf/jit/backend.h"

namespace xdplane {
namespace {

/// What is left of the last page traps when it is executed.
constexpr u8 kTrap = 0xcc;

} // namespace

Result<CodeMemory> CodeMemory::seal(const MachineCode& code) {
    if (code.bytes.empty()) return fail(EINVAL, "no machine code to seal");
    const std::size_t page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const std::size_t size = (code.bytes.size() + page - 1) / page * page;
    void* const address = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (address == MAP_FAILED) return fail(errno, "{} bytes of code memory: {}", size, std::strerror(errno));
    CodeMemory memory;
    memory.mapping_ = Mapping(address, size);
    memory.size_ = code.bytes.size();
    std::memset(address, kTrap, size);
    std::memcpy(address, code.bytes.data(), code.bytes.size());
    if (::mprotect(address, size, PROT_READ | PROT_EXEC) != 0)
        return fail(errno, "seal code memory: {}", std::strerror(errno));
    __builtin___clear_cache(static_cast<char*>(address), static_cast<char*>(address) + size);
    return memory;
}

} // namespace xdplane
