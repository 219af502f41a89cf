// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// What every filter here starts with: the BPF headers in the order they need,
// the licence, and the two idioms all of them share, a config entry and a
// counter.
#ifndef XDPLANE_FILTER_H
#define XDPLANE_FILTER_H

// Order matters: bpf_helpers.h uses the integer types of linux/bpf.h.
// clang-format off
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
// clang-format on

// A clock that a test sets: with FILTER_TEST_CLOCK the filters read the time
// from .bss, so that the running kernel judges them at any moment one likes.
#ifdef FILTER_TEST_CLOCK
volatile __u64 filter_test_clock_ns;
#define bpf_ktime_get_ns() filter_test_clock_ns
#endif

#define FILTER_LICENSE char filter_license[] SEC("license") = "Dual BSD/GPL"

// A counter of packets and their bytes (the frame, without its checksum).
struct counter {
    __u64 packets;
    __u64 bytes;
};

// Length of the frame as the program sees it now.
static __always_inline __u64 frame_length(const struct xdp_md* ctx) { return ctx->data_end - ctx->data; }

// Adds a packet to counter `slot` of a per-CPU array of struct counter. Per
// CPU, so a plain add is enough.
static __always_inline void count(void* counters, __u32 slot, __u64 bytes) {
    struct counter* c = bpf_map_lookup_elem(counters, &slot);
    if (!c) return;
    c->packets++;
    c->bytes += bytes;
}

// Entry 0 of a config array: the verifier wants the null check, an array
// never returns null for an index in range.
static __always_inline void* config_of(void* map) {
    __u32 zero = 0;
    return bpf_map_lookup_elem(map, &zero);
}

// A field of a config where zero means "not set".
#define CONFIG_OR(value, fallback) ((value) ? (value) : (fallback))

#endif
