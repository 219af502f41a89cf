// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
// Reads a byte of the packet without looking where it ends: no verifier accepts that.
#include "include/filter.h"

SEC("xdp")
int refused(struct xdp_md* ctx) { return *(__u8*)(long)ctx->data; }

FILTER_LICENSE;
