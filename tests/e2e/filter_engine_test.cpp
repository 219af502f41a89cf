// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// The filters on xdplane's own engines, through stock libbpf: the very cases that the running kernel passes.
// The last argument is the engine, "jit" or "interpreter"; the objects are built with FILTER_TEST_CLOCK, so
// that nothing is left out for want of a clock.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cstring>
#include <stdexcept>
#include <string>

#include "bpf/libbpf/wrap.h"
#include "bpf/syscall/bpf_system.h"
#include "tests/e2e/filter_suite.h"

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
    return xdplane::test::run_filter_suite(
        argc, argv, {.name = "the " + engine, .set_clock = set_clock_in_bss, .may_refuse = false});
}
