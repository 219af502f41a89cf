// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// One program that is verified at once, and many that take the verifier close to its limit of a million
// instructions each.
#include "include/filter.h"

SEC("xdp")
int short_one(struct xdp_md* ctx __attribute__((unused))) { return XDP_PASS; }

#define LONG_ONE(number)                                                                                     \
    SEC("xdp")                                                                                               \
    int long_##number(struct xdp_md* ctx __attribute__((unused))) {                                          \
        __u32 round = number;                                                                                \
        for (int i = 0; i < 190000; i++) asm volatile("%0 += 1" : "+r"(round));                              \
        return round == 0 ? XDP_DROP : XDP_PASS;                                                             \
    }
#define FOUR(a, b, c, d) LONG_ONE(a) LONG_ONE(b) LONG_ONE(c) LONG_ONE(d)
FOUR(1, 2, 3, 4)
FOUR(5, 6, 7, 8)
FOUR(9, 10, 11, 12)
FOUR(13, 14, 15, 16)
FOUR(17, 18, 19, 20)
FOUR(21, 22, 23, 24)
FOUR(25, 26, 27, 28)
FOUR(29, 30, 31, 32)

FILTER_LICENSE;
