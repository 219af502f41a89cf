// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
// One program that the verifier accepts and one that reads past the packet.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp")
int good(struct xdp_md* ctx) { return XDP_PASS; }

SEC("xdp")
int reads_unchecked(struct xdp_md* ctx) { return *(__u8*)(long)ctx->data; }

char _license[] SEC("license") = "Dual BSD/GPL";
