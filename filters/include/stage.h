// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// Stages that call the next one themselves, by a tail call through a prog
// array named `stages`: the stage at index i continues at i + 1, and a packet
// that passes the last one gets XDP_PASS. A slot left empty ends the chain
// there.
//
// Include this once per object and declare the array in one of two ways:
//
//   STAGES(8);                                  empty; the loader fills it
//
//   int first(struct xdp_md *ctx);              filled by declaration when the
//   int second(struct xdp_md *ctx);             programs are in this object
//   STAGES_OF(2, (void *)&first, (void *)&second);
//
// A stage ends with STAGE_NEXT_FROM(ctx, i) when the source knows its index i,
// or with STAGE_NEXT(ctx) when the loader decides. For that define
// STAGE_INDEX_FROM_LOADER before the include; the loader sets `stage_index`
// (in .rodata) before it loads the object and lets the objects share one array
// (bpf_map__reuse_fd() or a pin). Either way the index is a constant to
// the verifier, so an engine may turn the tail call into a plain jump.
//
// A tail call starts the next program with a fresh stack: what a stage wants
// to tell the next one goes into a map or in front of the packet
// (bpf_xdp_adjust_meta). Linux allows 33 tail calls in a row.
#ifndef XDPLANE_STAGE_H
#define XDPLANE_STAGE_H

#include "filter.h"

#define STAGES(count)                                                                                        \
    struct {                                                                                                 \
        __uint(type, BPF_MAP_TYPE_PROG_ARRAY);                                                               \
        __uint(max_entries, count);                                                                          \
        __type(key, __u32);                                                                                  \
        __type(value, __u32);                                                                                \
    } stages SEC(".maps")

#define STAGES_OF(count, ...)                                                                                \
    struct {                                                                                                 \
        __uint(type, BPF_MAP_TYPE_PROG_ARRAY);                                                               \
        __uint(max_entries, count);                                                                          \
        __type(key, __u32);                                                                                  \
        __array(values, int(void*));                                                                         \
    } stages SEC(".maps") = {.values = {__VA_ARGS__}}

#define STAGE_NEXT_FROM(ctx, index)                                                                          \
    do {                                                                                                     \
        bpf_tail_call((ctx), &stages, (index) + 1);                                                          \
        return XDP_PASS;                                                                                     \
    } while (0)

#ifdef STAGE_INDEX_FROM_LOADER
const volatile __u32 stage_index = 0;
#define STAGE_NEXT(ctx) STAGE_NEXT_FROM(ctx, stage_index)
#endif

#endif
