// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// The filters on the running kernel, through the system's own libbpf: what the cases say is what Linux does.
// The kernel's clock cannot be set; with --clock-in-bss as the last argument the objects are taken to be
// built with FILTER_TEST_CLOCK and to read the time from .bss, so that nothing is left out.
#include "tests/e2e/filter_suite.h"

#include <cstring>
#include <stdexcept>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

namespace {

void set_clock_in_bss(bpf_object* object, std::uint64_t now_ns) {
    bpf_map* map = nullptr;
    bpf_object__for_each_map(map, object) {
        if (!std::string(bpf_map__name(map)).ends_with(".bss")) continue;
        std::uint32_t zero = 0;
        if (bpf_map__value_size(map) != sizeof(now_ns) ||
            bpf_map_update_elem(bpf_map__fd(map), &zero, &now_ns, BPF_ANY))
            throw std::runtime_error(".bss holds no clock");
    }
    // A filter that never asks for the time has none.
}

} // namespace

int main(int argc, char** argv) {
    xdplane::test::FilterEngine kernel{.name = "the running kernel", .set_clock = {}, .may_refuse = true};
    if (argc > 1 && std::strcmp(argv[argc - 1], "--clock-in-bss") == 0) {
        kernel.set_clock = set_clock_in_bss;
        argv[--argc] = nullptr;
    }
    return xdplane::test::run_filter_suite(argc, argv, kernel);
}
