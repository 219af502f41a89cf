// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <fstream>
#include <rte_eal.h>
#include <rte_errno.h>
#include <sched.h>

#include "dataplane/inline.h"

namespace xdplane {
namespace {

bool has_option(const std::vector<std::string>& arguments, std::initializer_list<std::string_view> names) {
    return std::ranges::any_of(arguments, [&](const std::string& argument) {
        return std::ranges::any_of(names, [&](std::string_view name) {
            const bool is_long = name.starts_with("--");
            return argument == name || (is_long ? argument.starts_with(std::string(name) + "=")
                                                : argument.starts_with(name) && !argument.starts_with("--"));
        });
    });
}

std::vector<u32> allowed_cpus() {
    cpu_set_t set;
    CPU_ZERO(&set);
    std::vector<u32> cpus;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return {0};
    for (u32 cpu = 0; cpu < CPU_SETSIZE; ++cpu)
        if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
    return cpus;
}

/// Worker lcores 1..n pinned to a CPU each, the control thread on lcore 0 floating over all of them. With
/// more CPUs than workers, the first CPU is left to the control thread and the system.
std::string lcore_map(u32 workers) {
    const std::vector<u32> cpus = allowed_cpus();
    std::string map = fmt::format("0@({})", fmt::join(cpus, ","));
    const std::size_t first = cpus.size() > workers ? cpus.size() - workers : 0;
    for (u32 worker = 0; worker < workers; ++worker)
        map += fmt::format(",{}@{}", worker + 1, cpus[(first + worker) % cpus.size()]);
    return map;
}

/// 2 MB or 1 GB pages that are free, of any size and node.
bool huge_pages_free() {
    std::ifstream meminfo("/proc/meminfo");
    std::string word;
    u64 free = 0;
    while (meminfo >> word)
        if (word == "HugePages_Free:") meminfo >> free;
    return free != 0;
}

} // namespace

Result<> start_eal(std::vector<std::string> arguments, u32 workers, std::vector<std::string>& notes) {
    if (!has_option(arguments, {"-l", "-c", "--lcores", "-s"}))
        arguments.insert(arguments.end(), {"--lcores", lcore_map(workers)});
    if (!has_option(arguments, {"--no-huge", "--in-memory", "--huge-dir", "--file-prefix", "--proc-type"}) &&
        !huge_pages_free()) {
        arguments.emplace_back("--no-huge");
        notes.emplace_back("no free huge pages: using ordinary ones (sysctl vm.nr_hugepages=512 makes some)");
    }
    if (has_option(arguments, {"--no-huge"}) && !has_option(arguments, {"-m"}))
        arguments.insert(arguments.end(), {"-m", "1024"});
    if (!has_option(arguments, {"--in-memory", "--file-prefix", "--proc-type"}))
        arguments.emplace_back("--in-memory");
    if (!has_option(arguments, {"--no-telemetry", "--telemetry"})) arguments.emplace_back("--no-telemetry");
    if (!has_option(arguments, {"--log-level"}))
        arguments.insert(arguments.end(), {"--log-level", "*:error"});

    std::vector<char*> argv;
    std::string program = "xdplane";
    argv.push_back(program.data());
    for (std::string& argument : arguments) argv.push_back(argument.data());
    if (rte_eal_init(static_cast<int>(argv.size()), argv.data()) < 0)
        return fail(rte_errno, "DPDK does not start with '{}': {}", fmt::join(arguments, " "),
                    rte_strerror(rte_errno));
    return {};
}

void stop_eal() { (void)rte_eal_cleanup(); }

} // namespace xdplane
