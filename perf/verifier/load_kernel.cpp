// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Loads objects into the running kernel, and prints its verifier's verdicts (report.h). Nothing is wrapped
// but the one call that is watched.
#include <bpf/libbpf.h>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "perf/verifier/report.h"

extern "C" {
long __real_syscall(long number, ...);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);
}

namespace {

using namespace xdplane;

std::optional<perf::Observer> g_observer;
std::string g_warning;

long kernel(u32 command, void* attr, u32 size) {
    const long result = __real_syscall(__NR_bpf, command, attr, size);
    return result < 0 ? -errno : result;
}

perf::Observer& make_observer(unsigned rounds) { return g_observer.emplace(kernel, rounds); }

int keep_first_warning(libbpf_print_level level, const char* format, va_list arguments) {
    if (level != LIBBPF_WARN || !g_warning.empty()) return 0;
    char text[512];
    std::vsnprintf(text, sizeof text, format, arguments);
    g_warning = text;
    while (!g_warning.empty() && g_warning.back() == '\n') g_warning.pop_back();
    return 0;
}

std::string load_file(const std::string& path, const std::function<void(bpf_object*)>& opened) {
    g_warning.clear();
    bpf_object* object = bpf_object__open_file(path.c_str(), nullptr);
    if (object == nullptr) return g_warning.empty() ? std::strerror(errno) : g_warning;
    opened(object);
    const int error = bpf_object__load(object);
    bpf_object__close(object);
    if (error == 0) return {};
    return g_warning.empty() ? std::strerror(-error) : g_warning;
}

} // namespace

long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f) {
    if (number != __NR_bpf || !g_observer) return __real_syscall(number, a, b, c, d, e, f);
    const long result = (*g_observer)(static_cast<u32>(a), reinterpret_cast<void*>(b), static_cast<u32>(c));
    if (result >= 0) return result;
    errno = static_cast<int>(-result);
    return -1;
}

int main(int argc, char** argv) {
    libbpf_set_print(keep_first_warning);
    return perf::report_main(argc, argv, make_observer, load_file);
}
