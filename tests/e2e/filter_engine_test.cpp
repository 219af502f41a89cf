// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// The filters on xdplane's own engines, through stock libbpf: the very cases that the running kernel passes.
// The last argument is the engine, "jit" or "interpreter"; the objects are built with FILTER_TEST_CLOCK, so
// that nothing is left out for want of a clock. With XDPLANE_WATCHED the interpreter checks at every insn
// that registers and stack are what the verifier proved (tests/support/watched_engine.h).
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cstring>
#include <stdexcept>
#include <string>

#include "bpf/libbpf/wrap.h"
#include "bpf/syscall/bpf_system.h"
#include "tests/e2e/filter_suite.h"
#ifdef XDPLANE_WATCHED
#include <cstdio>

#include "tests/support/watched_engine.h"
#endif

namespace {

void set_clock_in_bss(bpf_object* object, std::uint64_t now_ns) {
    bpf_map* map = nullptr;
    bpf_object__for_each_map(map, object) {
        if (!std::string(bpf_map__name(map)).ends_with(".bss")) continue;
        const std::uint32_t zero = 0;
        if (bpf_map__value_size(map) != sizeof now_ns ||
            bpf_map_update_elem(bpf_map__fd(map), &zero, &now_ns, BPF_ANY) != 0)
            throw std::runtime_error(".bss holds no clock");
    }
}

} // namespace

int main(int argc, char** argv) {
    if (!xdplane::libbpf_is_wrapped() || argc < 2) return 2;
    const std::string engine = argv[argc - 1];
    if (engine != "jit" && engine != "interpreter") return 2;
    argv[--argc] = nullptr;
    xdplane::set_engine(engine == "jit" ? xdplane::Engine::jit : xdplane::Engine::interpreter);
    const int result = xdplane::test::run_filter_suite(
        argc, argv, {.name = "the " + engine, .set_clock = set_clock_in_bss, .may_refuse = false});
#ifdef XDPLANE_WATCHED
    const auto watched = xdplane::test::take_watched_programs();
    std::printf("%llu programs (%llu without states), %llu insns within their states\n",
                static_cast<unsigned long long>(watched.programs),
                static_cast<unsigned long long>(watched.unchecked),
                static_cast<unsigned long long>(watched.insns_checked));
    for (const std::string& violation : watched.violations) std::printf("FAILED: %s\n", violation.c_str());
    if (watched.insns_checked == 0 || !watched.violations.empty()) return 1;
#endif
    return result;
}
