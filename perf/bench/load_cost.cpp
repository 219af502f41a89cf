// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "perf/bench/load_cost.h"

#include <algorithm>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cstring>
#include <fmt/format.h>
#include <unistd.h>

#include "bpf/libbpf/messages.h"
#include "bpf/libbpf/wrap.h"
#include "perf/bench/embedded.h"
#include "perf/bench/kernel.h"
#include "perf/bench/ticks.h"

namespace xdplane::bench {
namespace {

constexpr int kLoads = 5;
constexpr const char* kFilters[] = {"acl",       "blocklist", "chain",  "drop",     "flowcount", "pass",
                                    "ratelimit", "redirect",  "sanity", "synguard", "tap",       "vlan"};

/// Loads a program that is loaded already again, a few times; ns of the fastest, or -errno. libbpf has put
/// maps into its instructions.
double time_of(const bpf_program* program) {
    double best = 0;
    for (int i = 0; i < kLoads; ++i) {
        const u64 start = Ticks::now();
        const int fd = bpf_prog_load(bpf_program__type(program), "bench", "Dual BSD/GPL",
                                     bpf_program__insns(program), bpf_program__insn_cnt(program), nullptr);
        const double ns = static_cast<double>(Ticks::now() - start) * Ticks::ns_per_tick();
        if (fd < 0) return fd;
        ::close(fd);
        best = best == 0 ? ns : std::min(best, ns);
    }
    return best;
}

/// Of all programs of one filter, in the object's order.
std::vector<double> times_of(std::span<const u8> bytes, std::vector<LoadCost>* costs,
                             const std::string& filter) {
    std::vector<double> times;
    MessageCapture messages;
    auto object = open_kernel_object(bytes, "bench");
    if (!object || bpf_object__load(object->get()) != 0) return times;
    bpf_program* program = nullptr;
    u32 programs = 0;
    bpf_object__for_each_program(program, object->get())++ programs;
    bpf_object__for_each_program(program, object->get()) {
        times.push_back(time_of(program));
        if (costs == nullptr) continue;
        LoadCost cost{.name = "load_" + filter};
        if (programs > 1) cost.name += fmt::format(":{}", bpf_program__name(program));
        cost.insns = static_cast<u32>(bpf_program__insn_cnt(program));
        costs->push_back(cost);
    }
    return times;
}

} // namespace

std::vector<LoadCost> measure_load_costs() {
    std::vector<LoadCost> all;
    for (const char* filter : kFilters) {
        const auto bytes = embedded_object(std::string("filter_") + filter);
        std::vector<LoadCost> costs;
        const std::vector<double> own = times_of(bytes, &costs, filter);
        std::vector<double> kernel;
        if (kernel_refusal().empty()) {
            const KernelScope scope;
            kernel = times_of(bytes, nullptr, filter);
        }
        for (std::size_t i = 0; i < costs.size(); ++i) {
            costs[i].own_ns = own[i] / costs[i].insns;
            if (i < kernel.size() && kernel[i] > 0)
                costs[i].kernel_ns = kernel[i] / costs[i].insns;
            else
                costs[i].reason = kernel_refusal().empty() ? "the kernel refuses it" : kernel_refusal();
            if (own[i] > 0) all.push_back(std::move(costs[i]));
        }
    }
    return all;
}

} // namespace xdplane::bench
