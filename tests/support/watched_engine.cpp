// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "tests/support/watched_engine.h"

#include <list>
#include <memory>

#include "bpf/interp/interpreter.h"
#include "tests/support/abstraction.h"

using namespace xdplane;

#if defined(__clang__)
#pragma clang diagnostic ignored "-Wreturn-type-c-linkage"
#endif

// The mangled names of verify(VerifyRequest, VerifierLog&) and interpret(LoweredProgram).
extern "C" {
Result<VerifiedProgram> __real__ZN7xdplane6verifyENS_13VerifyRequestERNS_11VerifierLogE(VerifyRequest request,
                                                                                        VerifierLog& log);
Result<VerifiedProgram> __wrap__ZN7xdplane6verifyENS_13VerifyRequestERNS_11VerifierLogE(VerifyRequest request,
                                                                                        VerifierLog& log);
std::unique_ptr<Executable> __wrap__ZN7xdplane9interpretENS_14LoweredProgramE(LoweredProgram program);
}

namespace {

/// One program, from its verification on. Kept to the end: programs may outlive whoever loaded them.
struct Watched {
    explicit Watched(std::size_t limit) : states(limit) {}
    test::RecordedStates states;
    std::unique_ptr<VerifiedProgram> verified;
    std::unique_ptr<LoweredProgram> lowered;
    std::unique_ptr<test::AbstractionCheck> check;
};

constexpr std::size_t kMostStates = 20'000;
std::list<Watched> g_programs;

} // namespace

Result<VerifiedProgram> __wrap__ZN7xdplane6verifyENS_13VerifyRequestERNS_11VerifierLogE(VerifyRequest request,
                                                                                        VerifierLog& log) {
    // The verdict is that of the request as it is: comparing more may take more insns than there are.
    auto verdict = __real__ZN7xdplane6verifyENS_13VerifyRequestERNS_11VerifierLogE(request, log);
    if (!verdict) return verdict;
    auto& watched = g_programs.emplace_back(kMostStates);
    watched.states.record(std::move(request),
                          __real__ZN7xdplane6verifyENS_13VerifyRequestERNS_11VerifierLogE);
    watched.verified = std::make_unique<VerifiedProgram>(*verdict);
    return verdict;
}

std::unique_ptr<Executable> __wrap__ZN7xdplane9interpretENS_14LoweredProgramE(LoweredProgram program) {
    Watched& watched = g_programs.back();
    watched.lowered = std::make_unique<LoweredProgram>(program);
    watched.check =
        std::make_unique<test::AbstractionCheck>(*watched.verified, *watched.lowered, watched.states);
    return interpret_watched(std::move(program), *watched.check);
}

namespace xdplane::test {

WatchedPrograms take_watched_programs() {
    WatchedPrograms all;
    for (const Watched& watched : g_programs) {
        if (watched.check == nullptr) continue;
        ++all.programs;
        all.unchecked += !watched.states.complete();
        all.insns_checked += watched.check->insns_checked();
        all.bounds_checked += watched.check->bounds_checked();
        if (!watched.check->violation().empty()) all.violations.push_back(watched.check->violation());
    }
    g_programs.clear();
    return all;
}

} // namespace xdplane::test
