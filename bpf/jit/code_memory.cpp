// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <atomic>
#include <cerrno>
#include <cstring>
#include <unistd.h>

#include "bpf/jit/backend.h"

namespace xdplane {
namespace {

/// What is left of the first and the last page traps when it is executed.
constexpr u8 kTrap = 0xcc;

/// Where in its first page the next program's code begins. Chains run many small programs per packet; if all
/// began a page they would share one set of the instruction cache and of the branch predictors, and from the
/// ninth stage on each would throw out another. An odd number of lines further each time uses all sets.
std::size_t next_colour(std::size_t page) {
    constexpr std::size_t kStep = 13;
    static std::atomic<std::size_t> count{0};
    return count.fetch_add(1, std::memory_order_relaxed) * kStep * kCacheLine % page;
}

} // namespace

Result<CodeMemory> CodeMemory::seal(const MachineCode& code) {
    if (code.bytes.empty()) return fail(EINVAL, "no machine code to seal");
    const std::size_t page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const std::size_t begin = next_colour(page);
    const std::size_t size = (begin + code.bytes.size() + page - 1) / page * page;
    void* const address = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (address == MAP_FAILED) return fail(errno, "{} bytes of code memory: {}", size, std::strerror(errno));
    CodeMemory memory;
    memory.mapping_ = Mapping(address, size);
    memory.begin_ = begin;
    memory.size_ = code.bytes.size();
    std::memset(address, kTrap, size);
    std::memcpy(memory.mapping_.data() + begin, code.bytes.data(), code.bytes.size());
    if (::mprotect(address, size, PROT_READ | PROT_EXEC) != 0)
        return fail(errno, "seal code memory: {}", std::strerror(errno));
    __builtin___clear_cache(static_cast<char*>(address), static_cast<char*>(address) + size);
    return memory;
}

} // namespace xdplane
