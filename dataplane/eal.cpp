// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/eal.h"

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>
#include <dlfcn.h>
#include <fcntl.h>
#include <fstream>
#include <mutex>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <sched.h>
#include <sys/mman.h>

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
Result<std::string> lcore_map(u32 workers, std::span<const u32> wanted) {
    if (workers >= RTE_MAX_LCORE)
        return fail(EINVAL, "{} workers: this build of DPDK has lcores for {}", workers, RTE_MAX_LCORE - 1);
    const std::vector<u32> cpus = allowed_cpus();
    std::string map = fmt::format("0@({})", fmt::join(cpus, ","));
    const std::size_t first = cpus.size() > workers ? cpus.size() - workers : 0;
    for (u32 worker = 0; worker < workers; ++worker) {
        const u32 cpu = wanted.empty() ? cpus[(first + worker) % cpus.size()] : wanted[worker];
        if (std::ranges::find(cpus, cpu) == cpus.end())
            return fail(EINVAL, "worker {}: this process may not use CPU {}; it may use {}", worker, cpu,
                        fmt::join(cpus, ", "));
        map += fmt::format(",{}@{}", worker + 1, cpu);
    }
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
    std::mutex lock;    ///< guards all below
    std::string line;   ///< DPDK's
    std::string detail; ///< what libxdp said last of an error
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

/// libxdp and its libbpf, which net_af_xdp brings along, write to stderr what does not concern anybody, and
/// what went wrong.
int keep_xdp_log(int level, const char* format, va_list arguments) {
    std::array<char, 256> text{};
    const int size = std::vsnprintf(text.data(), text.size(), format, arguments);
    const std::string_view line(text.data());
    if (level != 0 || !line.contains("Error")) return size;
    LogKeeper& keeper = log_keeper();
    const std::scoped_lock guard(keeper.lock);
    keeper.detail = line.substr(0, line.find('\n'));
    return size;
}

/// Those of the machine, if EAL has loaded the driver; not the libbpf that is part of this program.
void take_xdp_log() {
    constexpr std::array<std::array<const char*, 2>, 2> kPrinters{
        {{"libxdp.so.1", "libxdp_set_print"}, {"libbpf.so.1", "libbpf_set_print"}}};
    for (const auto& [library, function] : kPrinters) {
        void* const handle = dlopen(library, RTLD_NOW | RTLD_NOLOAD);
        if (handle == nullptr) continue;
        using Print = int (*)(int, const char*, va_list);
        if (void* const set = dlsym(handle, function); set != nullptr)
            reinterpret_cast<Print (*)(Print)>(set)(keep_xdp_log);
        dlclose(handle);
    }
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

/// EAL answers a wrong argument with pages of usage on stdout and lines on stderr, before it logs anything.
/// Takes both as long as it lives, so that one line can be made of them.
class TakeOutput {
public:
    explicit TakeOutput(bool take) {
        if (!take) return;
        taken_ = UniqueFd(memfd_create("eal-output", MFD_CLOEXEC));
        for (std::size_t i = 0; taken_ && i < kStreams.size(); ++i) {
            std::fflush(i == 0 ? stdout : stderr);
            saved_[i] = UniqueFd(dup(kStreams[i]));
            const int to = kStreams[i] == STDERR_FILENO ? taken_.get() : null_.get();
            if (saved_[i] && to >= 0) dup2(to, kStreams[i]);
        }
    }
    ~TakeOutput() { give_back(); }
    TakeOutput(const TakeOutput&) = delete;
    TakeOutput& operator=(const TakeOutput&) = delete;

    void give_back() {
        for (std::size_t i = 0; i < kStreams.size(); ++i) {
            if (!saved_[i]) continue;
            std::fflush(i == 0 ? stdout : stderr);
            dup2(saved_[i].get(), kStreams[i]);
            saved_[i] = UniqueFd();
        }
    }
    /// The first line written to stderr, without the program's name; empty if there was none.
    [[nodiscard]] std::string first_error() const {
        std::array<char, 512> text{};
        const ssize_t size = taken_ ? pread(taken_.get(), text.data(), text.size(), 0) : 0;
        std::string_view line(text.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
        line = line.substr(0, line.find('\n'));
        const std::string_view name = "xdplane: ";
        return std::string(line.starts_with(name) ? line.substr(name.size()) : line);
    }

private:
    static constexpr std::array<int, 2> kStreams{STDOUT_FILENO, STDERR_FILENO};
    UniqueFd null_{open("/dev/null", O_WRONLY | O_CLOEXEC)};
    UniqueFd taken_;
    std::array<UniqueFd, 2> saved_;
};

} // namespace

std::string take_eal_log() {
    LogKeeper& keeper = log_keeper();
    const std::scoped_lock guard(keeper.lock);
    const std::string detail = std::exchange(keeper.detail, {});
    const std::string line = without_function(std::exchange(keeper.line, {}));
    return line.empty() || detail.empty() ? line : fmt::format("{} {}", line, detail);
}

Result<> start_eal(std::vector<std::string> arguments, u32 workers, std::vector<std::string>& notes,
                   std::span<const u32> cpus) {
    if (!cpus.empty() && cpus.size() != workers)
        return fail(EINVAL, "{} CPUs for {} workers", cpus.size(), workers);
    if (!has_option(arguments, {"-l", "-c", "--lcores", "-s"})) {
        const auto map = lcore_map(workers, cpus);
        if (!map) return fail(map.error());
        arguments.insert(arguments.end(), {"--lcores", *map});
    } else if (!cpus.empty()) {
        return fail(EINVAL, "the workers' CPUs are given twice: as worker_cpus, and to EAL");
    }
    if (!has_option(arguments, {"--no-huge", "--huge-dir", "--socket-mem", "--proc-type"}) &&
        !huge_pages_free()) {
        arguments.emplace_back("--no-huge");
        notes.emplace_back("no free huge pages: using ordinary ones (sysctl vm.nr_hugepages=512 makes some)");
    }
    if (has_option(arguments, {"--no-huge"}) && !has_option(arguments, {"-m"}))
        arguments.insert(arguments.end(), {"-m", std::to_string(1024 + 256 * (workers - 1))});
    // Nothing is shared with other processes, so nothing is left in the file system. EAL has two words for
    // it.
    if (!has_option(arguments, {"--in-memory", "--no-shconf", "--file-prefix", "--proc-type"}))
        arguments.emplace_back(has_option(arguments, {"--no-huge"}) ? "--no-shconf" : "--in-memory");
    if (!has_option(arguments, {"--no-telemetry", "--telemetry"})) arguments.emplace_back("--no-telemetry");
    const bool talkative = has_option(arguments, {"--log-level", "-h", "--help", "-v"});
    if (!talkative) {
        rte_log_set_level_pattern("*", RTE_LOG_ERR);
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
    TakeOutput output(!talkative);
    const int started = rte_eal_init(static_cast<int>(argv.size()), argv.data());
    const int error = rte_errno;
    output.give_back();
    if (started < 0) {
        std::string reason = output.first_error();
        // getopt's complaints are ours to hand on; "FATAL: ..." is the end of a story that the log begins.
        if (const std::string logged = take_eal_log(); !logged.empty() && !reason.contains("option"))
            reason = logged;
        return fail(error, "DPDK does not start with '{}': {}", fmt::join(arguments, " "),
                    reason.empty() ? rte_strerror(error) : reason);
    }
    // What it does not take it leaves at the end, and says nothing: a device without its -a, for example.
    if (const auto taken = static_cast<std::size_t>(started) + 1; taken < argv.size()) {
        const std::string word = argv[taken];
        stop_eal();
        return fail(EINVAL, "DPDK does not take '{}': it is no option, and belongs to none", word);
    }
    if (!talkative) take_xdp_log();
    return {};
}

void stop_eal() { (void)rte_eal_cleanup(); }

} // namespace xdplane
