/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
 * Copyright (c) 2026, the xdplane authors
 *
 * The chain as XDP programs; stage0 is the first.
 */
#include "perf/bench/programs/chain.h"

#define DECLARE(i) int stage##i(struct xdp_md* ctx);
FOR_EACH_STAGE(DECLARE)

struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 32);
    __type(key, u32);
    __array(values, int(void*));
} stages SEC(".maps") = {
#define ENTRY(i) [i] = (void*)&stage##i,
    .values = {FOR_EACH_STAGE(ENTRY)}};

#define STAGE(i)                                                                                             \
    SEC("xdp")                                                                                               \
    int stage##i(struct xdp_md* ctx) {                                                                       \
        if (count_stage(i)) return ABORTED;                                                                  \
        if (i + 1 < STAGES) bpf_tail_call(ctx, &stages, i + 1);                                              \
        return PASS;                                                                                         \
    }
FOR_EACH_STAGE(STAGE)

char bench_license[] SEC("license") = "Dual BSD/GPL";
