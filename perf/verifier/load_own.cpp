// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Loads objects into xdplane, through the door that everyone uses (bpf/libbpf/object.h), and prints its
// verifier's verdicts (report.h). The linker lets this file watch bpf_syscall() and verify().
#include <ctime>
#include <optional>
#include <string>

#include "bpf/libbpf/object.h"
#include "bpf/syscall/bpf_system.h"
#include "bpf/verifier/verifier.h"
#include "perf/verifier/report.h"

using namespace xdplane;

#if defined(__clang__)
#pragma clang diagnostic ignored "-Wreturn-type-c-linkage"
#endif

// The mangled names of bpf_syscall(u32, void*, u32) and verify(VerifyRequest, VerifierLog&).
extern "C" {
long __real__ZN7xdplane11bpf_syscallEjPvj(u32 command, void* attr, u32 size);
long __wrap__ZN7xdplane11bpf_syscallEjPvj(u32 command, void* attr, u32 size);
Result<VerifiedProgram> __real__ZN7xdplane6verifyENS_13VerifyRequestERNS_11VerifierLogE(VerifyRequest request,
                                                                                        VerifierLog& log);
Result<VerifiedProgram> __wrap__ZN7xdplane6verifyENS_13VerifyRequestERNS_11VerifierLogE(VerifyRequest request,
                                                                                        VerifierLog& log);
}

namespace {

std::optional<perf::Observer> g_observer;

perf::Observer& make_observer(unsigned rounds) {
    return g_observer.emplace(__real__ZN7xdplane11bpf_syscallEjPvj, rounds);
}

u64 cpu_time_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<u64>(now.tv_sec) * 1'000'000'000 + static_cast<u64>(now.tv_nsec);
}

std::string load_file(const std::string& path, const std::function<void(bpf_object*)>& opened) {
    auto object = Object::open(path);
    if (!object) return object.error().message;
    opened((*object)->handle());
    const auto loaded = (*object)->load();
    return loaded ? std::string() : loaded.error().message;
}

} // namespace

long __wrap__ZN7xdplane11bpf_syscallEjPvj(u32 command, void* attr, u32 size) {
    return g_observer ? (*g_observer)(command, attr, size)
                      : __real__ZN7xdplane11bpf_syscallEjPvj(command, attr, size);
}

Result<VerifiedProgram> __wrap__ZN7xdplane6verifyENS_13VerifyRequestERNS_11VerifierLogE(VerifyRequest request,
                                                                                        VerifierLog& log) {
    const u64 start = cpu_time_ns();
    auto result = __real__ZN7xdplane6verifyENS_13VerifyRequestERNS_11VerifierLogE(std::move(request), log);
    if (g_observer) g_observer->verified_in(cpu_time_ns() - start);
    return result;
}

int main(int argc, char** argv) { return perf::report_main(argc, argv, make_observer, load_file); }
