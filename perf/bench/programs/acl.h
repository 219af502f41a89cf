/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the xdplane authors
 *
 * Headers, then an action and a counter from a per-CPU array.
 */
#include "perf/bench/programs/headers.h"

struct rule {
    u64 packets;
    u64 bytes;
    u32 action;
    u32 zero;
};
MAP(rules, PERCPU_ARRAY, u32, struct rule, 256);

static ALWAYS_INLINE int judge(void* data, void* data_end) {
    struct flow_key key;
    const int result = read_flow(data, data_end, &key);
    if (result) return without_flow(result);
    u32 index = (key.destination_port ^ key.protocol) & 255;
    struct rule* rule = LOOKUP(rules, &index);
    if (!rule) return ABORTED;
    rule->packets++;
    rule->bytes += (u8*)data_end - (u8*)data;
    return rule->action;
}
