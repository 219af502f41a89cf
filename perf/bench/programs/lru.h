/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the xdplane authors
 *
 * Headers, then a cache of flows that the program fills itself. Which flows are still there is up to the map,
 * so the verdict does not tell.
 */
#include "perf/bench/programs/headers.h"

MAP(flows, LRU_HASH, struct flow_key, u64, 65536);

static ALWAYS_INLINE int judge(void* data, void* data_end) {
    struct flow_key key;
    const int result = read_flow(data, data_end, &key);
    if (result) return without_flow(result);
    u64* packets = LOOKUP(flows, &key);
    if (packets) {
        ++*packets;
    } else {
        u64 first = 1;
        UPDATE(flows, &key, &first);
    }
    return PASS;
}
