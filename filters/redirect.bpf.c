// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// redirect: sends packets back where they came from, or out of another port.
//
// Programs
//   hairpin   swaps the MAC addresses and returns XDP_TX
//   redirect  bpf_redirect() to the interface that redirect_config names,
//             XDP_PASS while it names none
//
// Maps
//   redirect_config array[1] of struct redirect_config, 16 bytes: u32 ifindex,
//                   u32 flags of bpf_redirect() (Linux accepts only 0 for
//                   XDP), u8 dst_mac[6] written over the destination unless
//                   all zero, u16 zero
//   redirect_stats  per-CPU array[3] of {u64 packets, u64 bytes}: 0 hairpinned,
//                   1 redirected, 2 passed
//
//   xdplane replay -r in.pcap --write-tx back.pcap --prog build/filters/redirect.bpf.o:hairpin
//   xdplane replay -r in.pcap --write-redirected out.pcap
//       --prog build/filters/redirect.bpf.o:redirect --map redirect_config=to.json
//
// with to.json naming interface 3:
//
//   [{"key": "00000000", "value": "03000000 00000000 000000000000 0000"}]
#include "include/parse.h"

enum { STAT_HAIRPIN, STAT_REDIRECT, STAT_PASSED, STATS };

struct redirect_config {
    __u32 ifindex;
    __u32 flags;
    __u8 dst_mac[ETH_ALEN];
    __u16 zero;
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct redirect_config);
} redirect_config SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, STATS);
    __type(key, __u32);
    __type(value, struct counter);
} redirect_stats SEC(".maps");

SEC("xdp")
int hairpin(struct xdp_md* ctx) {
    __u16* mac = (void*)(long)ctx->data;
    void* data_end = (void*)(long)ctx->data_end;
    if ((void*)mac + ETH_HLEN > data_end) return XDP_DROP;
#pragma unroll
    for (int i = 0; i < ETH_ALEN / 2; i++) {
        __u16 word = mac[i];
        mac[i] = mac[i + ETH_ALEN / 2];
        mac[i + ETH_ALEN / 2] = word;
    }
    count(&redirect_stats, STAT_HAIRPIN, frame_length(ctx));
    return XDP_TX;
}

SEC("xdp")
int redirect(struct xdp_md* ctx) {
    struct redirect_config* config = config_of(&redirect_config);
    if (!config || !config->ifindex) {
        count(&redirect_stats, STAT_PASSED, frame_length(ctx));
        return XDP_PASS;
    }
    __u16* mac = (void*)(long)ctx->data;
    void* data_end = (void*)(long)ctx->data_end;
    const __u16* to = (const __u16*)config->dst_mac;
    if ((void*)mac + ETH_HLEN > data_end) return XDP_DROP;
    if (to[0] | to[1] | to[2]) {
        mac[0] = to[0];
        mac[1] = to[1];
        mac[2] = to[2];
    }
    count(&redirect_stats, STAT_REDIRECT, frame_length(ctx));
    return bpf_redirect(config->ifindex, config->flags);
}

FILTER_LICENSE;
