/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the xdplane authors
 *
 * The longest prefix of the IPv6 destination; its value is the verdict.
 */
#include "perf/bench/programs/headers.h"

struct prefix {
    u32 length;
    u32 address[4];
};
MAP(prefixes, LPM_TRIE, struct prefix, u64, 1024);

static ALWAYS_INLINE int judge(void* data, void* data_end) {
    struct ethernet* ethernet = data;
    struct ipv6* ip = (void*)(ethernet + 1);
    if ((void*)(ip + 1) > data_end) return DROP;
    if (ethernet->type != NET16(0x86dd)) return PASS;
    struct prefix prefix = {128,
                            {ip->destination[0], ip->destination[1], ip->destination[2], ip->destination[3]}};
    u64* verdict = LOOKUP(prefixes, &prefix);
    return verdict ? (int)*verdict : DROP;
}
