// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <linux/bpf.h>
#include <sched.h>

#include "bpf/helpers/rows.h"
#include "bpf/run/run_context.h"

namespace xdplane {
namespace {

/// The finaliser of splitmix64 (Steele, Lea, Flood 2014): every input bit reaches every output bit.
u64 mix(u64 x) noexcept {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}
constexpr u64 kGolden = 0x9e3779b97f4a7c15ULL;

u64 get_prandom_u32(u64, u64, u64, u64, u64) noexcept {
    RunContext& run = t_run;
    if (run.random_by_packet) {
        const u64 packet = run.packet ? run.packet->index : 0;
        const u64 stream = mix(run.seed + kGolden * (packet + 1));
        return mix(stream + kGolden * ++run.random_calls) >> 32;
    }
    u64 x = run.random_state;
    if (x == 0) x = mix(run.seed + kGolden * (run.cpu + 1)) | 1;
    x ^= x << 13; // xorshift64 (Marsaglia 2003)
    x ^= x >> 7;
    x ^= x << 17;
    run.random_state = x;
    return x >> 32;
}

u64 get_smp_processor_id(u64, u64, u64, u64, u64) noexcept { return t_run.cpu; }

/// Node 0 in replay, whose results must not depend on the machine.
u64 get_numa_node_id(u64, u64, u64, u64, u64) noexcept {
    unsigned node = 0;
    if (t_run.clock == Clock::wall) ::getcpu(nullptr, &node);
    return node;
}

} // namespace

const HelperProto kHelperGetPrandomU32 = {.id = BPF_FUNC_get_prandom_u32,
                                          .name = "get_prandom_u32",
                                          .fn = get_prandom_u32,
                                          .ret = Ret::integer,
                                          .args = {},
                                          .reads_random = true,
                                          .needs_context = true};
const HelperProto kHelperGetSmpProcessorId = {.id = BPF_FUNC_get_smp_processor_id,
                                              .name = "get_smp_processor_id",
                                              .fn = get_smp_processor_id,
                                              .ret = Ret::integer,
                                              .args = {}};
const HelperProto kHelperGetNumaNodeId = {.id = BPF_FUNC_get_numa_node_id,
                                          .name = "get_numa_node_id",
                                          .fn = get_numa_node_id,
                                          .ret = Ret::integer,
                                          .args = {}};

} // namespace xdplane
