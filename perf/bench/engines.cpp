// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "perf/bench/engines.h"

namespace xdplane::bench {
namespace {

constexpr Engine kEngines[] = {
    {"interpreter", "xdplane's interpreter", make_interpreter},
    {"scalar", "xdplane's JIT, entered once per packet", make_scalar},
    {"burst", "the same entered once per 64 packets, without run-ahead", make_burst},
    {"run_ahead", "the same, running ahead of the lookups in every map", make_run_ahead},
    {"auto", "the same as it is if nothing is asked for: ahead of large maps", make_auto, false, true,
     make_replay},
    {"native", "the same C compiled to machine code, maps inlined, called through a pointer", make_native,
     true, false},
    {"inlined", "the same C in one loop over 64 packets, inlined: what is reachable", make_inlined, true,
     false},
    {"rte_bpf", "DPDK's librte_bpf, its JIT; lookups are calls of native functions", make_rte, true, false},
    {"kernel", "the running kernel's JIT: a loop over packets, or BPF_PROG_TEST_RUN", make_kernel, true},
    {"tcpdump", "tcpdump -r FILE -w /dev/null EXPRESSION", nullptr, true, false, make_tcpdump},
};

} // namespace

std::span<const Engine> engine_table() { return kEngines; }

} // namespace xdplane::bench
