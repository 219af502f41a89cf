/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the xdplane authors
 *
 * Headers, and one TCP port dropped.
 */
#include "perf/bench/programs/headers.h"

static ALWAYS_INLINE int judge(void* data, void* data_end) {
    struct flow_key key;
    const int result = read_flow(data, data_end, &key);
    if (result) return without_flow(result);
    return key.protocol == 6 && key.destination_port == NET16(23) ? DROP : PASS;
}
