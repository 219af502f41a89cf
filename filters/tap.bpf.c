// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// tap: a stage that counts what comes by and hands it on. Put one between any
// two stages to see what the first lets through.
//
// Programs: tap
//
// Maps
//   stages      prog array[34], the chain, filled by the loader
//   tap_counts  per-CPU array[34] of {u64 packets, u64 bytes}, by stage index
//
// Configuration: `stage_index` in .rodata, this stage's place in the chain; set
// before loading (include/stage.h says how).
//
// Verdict: that of the next stage, XDP_PASS where there is none.
//
//   xdplane replay -r in.pcap --prog build/filters/tap.bpf.o --dump-maps counts.json
#define STAGE_INDEX_FROM_LOADER
#include "include/stage.h"

#define TAP_STAGES 34

STAGES(TAP_STAGES);

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, TAP_STAGES);
    __type(key, __u32);
    __type(value, struct counter);
} tap_counts SEC(".maps");

SEC("xdp")
int tap(struct xdp_md* ctx) {
    count(&tap_counts, stage_index, frame_length(ctx));
    STAGE_NEXT(ctx);
}

FILTER_LICENSE;
