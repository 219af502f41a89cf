// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/capabilities.h"

#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <linux/capability.h>
#include <set>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

namespace xdplane {
namespace {

namespace fs = std::filesystem;

constexpr Capabilities bit(int capability) { return Capabilities{1} << capability; }

/// A thread answers a signal as soon as it runs.
constexpr auto kPatience = std::chrono::seconds(10);

/// Shared with the signal's handler, which runs in one thread after the other.
struct Order {
    std::atomic<Capabilities> keep{0};
    std::atomic<pid_t> done{0}; ///< the thread that has done it
    std::atomic<int> error{0};
};
Order& order() {
    static Order one;
    return one;
}

/// Of the calling thread. Only system calls: a signal's handler calls it.
int keep_only(Capabilities keep) {
    __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3]{};
    if (syscall(SYS_capget, &header, data) != 0) return errno;
    for (u32 half = 0; half < _LINUX_CAPABILITY_U32S_3; ++half) {
        const auto mask = static_cast<u32>(keep >> (32 * half));
        data[half].permitted &= mask;
        data[half].effective &= mask;
        data[half].inheritable &= mask;
    }
    // What is not inheritable is not ambient either, then.
    if (syscall(SYS_capset, &header, data) != 0) return errno;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ? errno : 0;
}

void on_signal(int) {
    const int before = errno;
    if (const int error = keep_only(order().keep.load()); error != 0) order().error = error;
    order().done = static_cast<pid_t>(syscall(SYS_gettid));
    errno = before;
}

std::set<pid_t> threads() {
    std::set<pid_t> all;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator("/proc/self/task", error)) {
        const std::string name = entry.path().filename();
        pid_t thread = 0;
        std::from_chars(name.data(), name.data() + name.size(), thread);
        all.insert(thread);
    }
    return all;
}

/// True once that thread has done it, or is gone.
bool tell(pid_t thread) {
    order().done = 0;
    if (syscall(SYS_tgkill, getpid(), thread, SIGRTMIN) != 0) return errno == ESRCH;
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (order().done.load() != thread) {
        if (!threads().contains(thread)) return true;
        if (std::chrono::steady_clock::now() > deadline) return false;
        std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
    return true;
}

} // namespace

Capabilities needed_capabilities(bool kernel_interfaces) {
    return bit(CAP_DAC_OVERRIDE) | bit(CAP_DAC_READ_SEARCH) | (kernel_interfaces ? bit(CAP_NET_ADMIN) : 0);
}

Result<> drop_capabilities(Capabilities keep) {
    order().keep = keep;
    order().error = 0;
    struct sigaction ours{};
    struct sigaction before{};
    ours.sa_handler = on_signal;
    ours.sa_flags = SA_RESTART;
    if (sigaction(SIGRTMIN, &ours, &before) != 0) return fail(errno, "{}", std::strerror(errno));
    const auto own = static_cast<pid_t>(syscall(SYS_gettid));
    int silent = 0;
    std::set<pid_t> told{own};
    // Those that one makes while another is told have what their maker had.
    for (bool more = true; more;) {
        more = false;
        for (const pid_t thread : threads()) {
            if (!told.insert(thread).second) continue;
            more = true;
            if (!tell(thread)) silent = thread;
        }
    }
    const int error = keep_only(keep);
    if (silent == 0) sigaction(SIGRTMIN, &before, nullptr); // else its signal would still find the default
    if (error != 0 || order().error != 0)
        return fail(error != 0 ? error : order().error.load(), "can not drop capabilities: {}",
                    std::strerror(error != 0 ? error : order().error.load()));
    if (silent != 0) return fail(ETIMEDOUT, "thread {} keeps its capabilities: it blocks signals", silent);
    return {};
}

} // namespace xdplane
