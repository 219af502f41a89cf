/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the xdplane authors
 *
 * The chain as native code: a table of functions, bounds and count of calls checked as a tail call does it,
 * and a jump.
 */
#include "perf/bench/programs/chain.h"

typedef u64 (*stage_function)(const struct native_context* context, u32 calls);

#define DECLARE(i) static u64 stage##i(const struct native_context* context, u32 calls);
FOR_EACH_STAGE(DECLARE)

#define JOIN(a, b) a##b
#define NAMED(name) JOIN(native_, name)
#define STAGES_OF(name) JOIN(native_stages_, name)
#define STAGE_COUNT_OF(name) JOIN(native_stage_count_, name)

/* Neither static nor const: what is called next is read from memory, as from a prog array. */
#define ENTRY(i) stage##i,
stage_function STAGES_OF(PROGRAM)[32] = {FOR_EACH_STAGE(ENTRY)};
u32 STAGE_COUNT_OF(PROGRAM) = 32;

#define STAGE(i)                                                                                             \
    static __attribute__((noinline)) u64 stage##i(const struct native_context* context, u32 calls) {         \
        if (count_stage(i)) return ABORTED;                                                                  \
        if (i + 1 < STAGES && i + 1 < STAGE_COUNT_OF(PROGRAM) && calls < 33) {                               \
            stage_function next = STAGES_OF(PROGRAM)[(i + 1) & 31];                                          \
            if (next) __attribute__                                                                          \
                ((musttail)) return next(context, calls + 1);                                                \
        }                                                                                                    \
        return PASS;                                                                                         \
    }
FOR_EACH_STAGE(STAGE)

u64 NAMED(PROGRAM)(const struct native_context* context) { return stage0(context, 0); }
