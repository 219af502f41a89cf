// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "perf/bench/machine.h"

#include <ctime>
#include <fmt/chrono.h>
#include <fstream>
#include <sched.h>
#include <sstream>
#include <sys/utsname.h>
#include <unistd.h>

#include "perf/bench/native_maps.h"

namespace xdplane::bench {
namespace {

/// The rest of the first line that begins with `key`, behind the colon.
std::string field_of(const char* path, std::string_view key) {
    std::ifstream in(path);
    for (std::string line; std::getline(in, line);) {
        if (!line.starts_with(key)) continue;
        const std::size_t colon = line.find(':');
        const std::size_t begin = colon == line.npos ? colon : line.find_first_not_of(" \t", colon + 1);
        return begin == line.npos ? "" : line.substr(begin);
    }
    return {};
}

std::string huge_page_mode() {
    std::ifstream in("/sys/kernel/mm/transparent_hugepage/enabled");
    std::string line;
    std::getline(in, line);
    const std::size_t begin = line.find('[');
    const std::size_t end = line.find(']');
    return begin == line.npos || end == line.npos ? "none" : line.substr(begin + 1, end - begin - 1);
}

u64 last_cache() {
    for (const int name : {_SC_LEVEL3_CACHE_SIZE, _SC_LEVEL2_CACHE_SIZE})
        if (const long bytes = ::sysconf(name); bytes > 0) return static_cast<u64>(bytes);
    return 0;
}

std::string compiler() {
#if defined(__clang__)
    return "clang " __clang_version__;
#else
    return "gcc " __VERSION__;
#endif
}

std::string build_kind() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return "with a sanitizer: times say nothing";
#elif defined(__OPTIMIZE__)
    return "optimized";
#else
    return "not optimized: times of the interpreter, maps and helpers say nothing";
#endif
}

} // namespace

Machine describe_machine() {
    Machine machine;
    machine.cpu_model = field_of("/proc/cpuinfo", "model name");
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    ::sched_getaffinity(0, sizeof allowed, &allowed);
    machine.cores = static_cast<u32>(CPU_COUNT(&allowed));
    utsname names{};
    if (::uname(&names) == 0) machine.kernel = fmt::format("{} {}", names.sysname, names.release);
    machine.compiler = compiler();
    machine.native_compiler = native_compiler();
    machine.build = build_kind();
    machine.huge_pages = huge_page_mode();
    machine.memory_bytes =
        static_cast<u64>(::sysconf(_SC_PHYS_PAGES)) * static_cast<u64>(::sysconf(_SC_PAGESIZE));
    machine.cache_bytes = last_cache();
    machine.virtual_machine = field_of("/proc/cpuinfo", "flags").find(" hypervisor") != std::string::npos;
    machine.date = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
    return machine;
}

u64 available_memory() {
    std::istringstream text(field_of("/proc/meminfo", "MemAvailable"));
    u64 kilobytes = 0;
    text >> kilobytes;
    return kilobytes * 1024;
}

u32 pin_to_this_cpu() {
    const int cpu = ::sched_getcpu();
    if (cpu < 0) return 0;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<unsigned>(cpu), &one);
    ::sched_setaffinity(0, sizeof one, &one);
    return static_cast<u32>(cpu);
}

} // namespace xdplane::bench
