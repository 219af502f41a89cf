/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the xdplane authors
 *
 * A program as native code: called through a pointer like the others, and inlined in a loop over a burst.
 */
#include PROGRAM_FILE

#define JOIN(a, b) a##b
#define NAMED(name) JOIN(native_, name)

u64 NAMED(PROGRAM)(const struct native_context* context) {
    return (u64)judge((void*)context->data, (void*)context->data_end);
}

#define INLINED(name) JOIN(inlined_, name)

void INLINED(PROGRAM)(struct native_packet* packets, u32 count) {
    for (u32 i = 0; i < count; i++)
        packets[i].verdict = (u32)judge((void*)packets[i].data, (void*)packets[i].data_end);
}
