/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the xdplane authors
 *
 * STAGES programs, each of which counts the packet and hands it on by a tail call; the last one passes it.
 * No judge(): how one stage calls the next one is the flavor's.
 */
#include "perf/bench/programs/bench.h"

MAP(counts, ARRAY, u32, u64, 32);

// clang-format off
#define FOR_EACH_STAGE(X) \
    X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) \
    X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15) \
    X(16) X(17) X(18) X(19) X(20) X(21) X(22) X(23) \
    X(24) X(25) X(26) X(27) X(28) X(29) X(30) X(31)
// clang-format on

/* 0 if the packet is to go on. */
static ALWAYS_INLINE int count_stage(u32 stage) {
    u64* count = LOOKUP(counts, &stage);
    if (!count) return 1;
    ++*count;
    return 0;
}
