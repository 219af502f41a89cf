/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
 * Copyright (c) 2026, the xdplane authors
 *
 * A program as XDP.
 */
#include PROGRAM_FILE

SEC("xdp")
int bench(struct xdp_md* ctx) { return judge((void*)(long)ctx->data, (void*)(long)ctx->data_end); }

char bench_license[] SEC("license") = "Dual BSD/GPL";
