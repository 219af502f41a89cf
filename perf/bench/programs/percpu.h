/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the xdplane authors
 *
 * Headers, then a per-CPU hash of flows with packets and bytes.
 */
#include "perf/bench/programs/headers.h"

struct flow {
    u64 packets;
    u64 bytes;
};
MAP(flows, PERCPU_HASH, struct flow_key, struct flow, 1024);

static ALWAYS_INLINE int judge(void* data, void* data_end) {
    struct flow_key key;
    const int result = read_flow(data, data_end, &key);
    if (result) return without_flow(result);
    struct flow* flow = LOOKUP(flows, &key);
    if (!flow) return DROP;
    flow->packets++;
    flow->bytes += (u8*)data_end - (u8*)data;
    return PASS;
}
