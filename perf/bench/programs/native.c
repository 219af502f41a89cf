/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the xdplane authors
 *
 * A program as native code, called through a pointer like the others.
 */
#include PROGRAM_FILE

#define JOIN(a, b) a##b
#define NAMED(name) JOIN(native_, name)

u64 NAMED(PROGRAM)(const struct native_context* context) {
    return (u64)judge((void*)context->data, (void*)context->data_end);
}
