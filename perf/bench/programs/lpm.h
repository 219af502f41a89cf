/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the xdplane authors
 *
 * Headers, then the longest prefix of the IPv4 destination; its value is the verdict.
 */
#include "perf/bench/programs/headers.h"

struct prefix {
    u32 length;
    u32 address;
};
MAP(prefixes, LPM_TRIE, struct prefix, u64, 1024);

static ALWAYS_INLINE int judge(void* data, void* data_end) {
    struct flow_key key;
    const int result = read_flow(data, data_end, &key);
    if (result) return without_flow(result);
    struct prefix prefix = {32, key.destination};
    u64* verdict = LOOKUP(prefixes, &prefix);
    return verdict ? (int)*verdict : DROP;
}
