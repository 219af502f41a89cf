/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the xdplane authors
 *
 * Headers, then a hash of flows, each with a counter; of 64-byte values with FLOW_WIDE.
 */
#include "perf/bench/programs/headers.h"

struct flow {
    u64 packets;
#ifdef FLOW_WIDE
    u64 bytes;
    u64 rest[6];
#endif
};
MAP(flows, HASH, struct flow_key, struct flow, 1024);

static ALWAYS_INLINE int judge(void* data, void* data_end) {
    struct flow_key key;
    const int result = read_flow(data, data_end, &key);
    if (result) return without_flow(result);
    struct flow* flow = LOOKUP(flows, &key);
    if (!flow) return DROP;
    flow->packets++;
#ifdef FLOW_WIDE
    flow->bytes += (u8*)data_end - (u8*)data;
#endif
    return PASS;
}
