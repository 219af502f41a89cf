// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/eal.h"

#include <algorithm>
#include <cstdio>
#include <fcntl.h>
#include <fstream>
#include <mutex>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <sched.h>

#include "bpf/base/unique_fd.h"

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

/// Huge pages of the default size that are free, on any node.
bool huge_pages_free() {
    std::ifstream meminfo("/proc/meminfo");
    std::string word;
    u64 free = 0;
    while (meminfo >> word)
        if (word == "HugePages_Free:") meminfo >> free;
    return free != 0;
}

/// DPDK writes its log here, from any thread. Only the first line is kept: what follows the cause are its
/// consequences, layer by layer.
struct LogKeeper {
    std::mutex lock;
    std::string line; ///< guarded by lock
};
LogKeeper& log_keeper() {
    static LogKeeper keeper;
    return keeper;
}

ssize_t keep_log(void*, const char* text, std::size_t size) {
    LogKeeper& keeper = log_keeper();
    const std::scoped_lock guard(keeper.lock);
    if (keeper.line.empty()) {
        const std::string_view all(text, size);
        keeper.line = all.substr(0, all.find('\n'));
    }
    return static_cast<ssize_t>(size);
}

/// A function's name in front ("rte_pmd_init_internals(): ") means nothing to a user.
std::string without_function(const std::string& line) {
    const std::size_t end = line.find("(): ");
    const std::size_t space = line.find(' ');
    if (end != std::string::npos && end < space) return line.substr(end + 4);
    for (const std::string_view prefix : {"EAL: ", "ETHDEV: ", "MEMPOOL: ", "RING: "})
        if (line.starts_with(prefix)) return without_function(line.substr(prefix.size()));
    return line;
}

/// EAL answers a wrong argument with pages of usage on stdout, where our own output belongs.
class SilentStdout {
public:
    explicit SilentStdout(bool silent) {
        if (!silent) return;
        std::fflush(stdout);
        saved_ = UniqueFd(dup(STDOUT_FILENO));
        const UniqueFd null(open("/dev/null", O_WRONLY | O_CLOEXEC));
        if (saved_ && null) dup2(null.get(), STDOUT_FILENO);
    }
    ~SilentStdout() {
        if (!saved_) return;
        std::fflush(stdout);
        dup2(saved_.get(), STDOUT_FILENO);
    }
    SilentStdout(const SilentStdout&) = delete;
    SilentStdout& operator=(const SilentStdout&) = delete;

private:
    UniqueFd saved_;
};

} // namespace

std::string take_eal_log() {
    LogKeeper& keeper = log_keeper();
    const std::scoped_lock guard(keeper.lock);
    return without_function(std::exchange(keeper.line, {}));
}

Result<> start_eal(std::vector<std::string> arguments, u32 workers, std::vector<std::string>& notes) {
    if (!has_option(arguments, {"-l", "-c", "--lcores", "-s"}))
        arguments.insert(arguments.end(), {"--lcores", lcore_map(workers)});
    if (!has_option(arguments, {"--no-huge", "--huge-dir", "--socket-mem", "--proc-type"}) &&
        !huge_pages_free()) {
        arguments.emplace_back("--no-huge");
        notes.emplace_back("no free huge pages: using ordinary ones (sysctl vm.nr_hugepages=512 makes some)");
    }
    if (has_option(arguments, {"--no-huge"}) && !has_option(arguments, {"-m"}))
        arguments.insert(arguments.end(), {"-m", "1024"});
    // Nothing is shared with other processes, so nothing is left in the file system. EAL has two words for
    // it.
    if (!has_option(arguments, {"--in-memory", "--no-shconf", "--file-prefix", "--proc-type"}))
        arguments.emplace_back(has_option(arguments, {"--no-huge"}) ? "--no-shconf" : "--in-memory");
    if (!has_option(arguments, {"--no-telemetry", "--telemetry"})) arguments.emplace_back("--no-telemetry");
    if (!has_option(arguments, {"--log-level"})) {
        arguments.insert(arguments.end(), {"--log-level", "*:error"});
        FILE* log = fopencookie(nullptr, "w",
                                {.read = nullptr, .write = keep_log, .seek = nullptr, .close = nullptr});
        if (log != nullptr) {
            std::setvbuf(log, nullptr, _IOLBF, 0);
            rte_openlog_stream(log);
        }
    }

    std::vector<char*> argv;
    std::string program = "xdplane";
    argv.push_back(program.data());
    for (std::string& argument : arguments) argv.push_back(argument.data());
    int error = 0;
    {
        const SilentStdout silent(!has_option(arguments, {"-h", "--help", "-v"}));
        if (rte_eal_init(static_cast<int>(argv.size()), argv.data()) < 0) error = rte_errno;
    }
    if (error != 0) {
        const std::string logged = take_eal_log();
        return fail(error, "DPDK does not start with '{}': {}", fmt::join(arguments, " "),
                    logged.empty() ? rte_strerror(error) : logged);
    }
    return {};
}

void stop_eal() { (void)rte_eal_cleanup(); }

} // namespace xdplane
