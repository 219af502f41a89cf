// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// Loops over numbers by open-coded iterators (bpf_iter_num): a checksum over
// the payload, a search in a table, and loops within loops.
//
// Style: bpf_for in a local spelling.
#include "include/corpus.h"
#include "include/kfuncs.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>

#define NEEDLES 64

struct needle {
    __u32 word;
    __u32 weight;
};

struct needle needles[NEEDLES];
__u64 sums[4];
const volatile __u32 needle_count = 12;

static __always_inline __u32 checksum_words(void* at, void* end, __u32 words) {
    __u32 sum = 0;
    int i;
    for_numbers(i, 0, words) {
        __u16* w = at + (i & 0x7ff) * 2;
#if BREAK == 1
        if ((void*)w > end) break;
#else
        if ((void*)(w + 1) > end) break;
#endif
        sum += *w;
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

SEC("xdp")
BROKEN(1, "invalid access to packet")
BROKEN(2, "math between map_value pointer and register with unbounded min value is not allowed")
int payload_sum(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct iphdr* ip = data + sizeof(struct ethhdr);
    struct udphdr* udp = (void*)(ip + 1);
    if ((void*)(udp + 1) > end) return XDP_PASS;
    if (ip->ihl != 5 || ip->protocol != IPPROTO_UDP) return XDP_PASS;
    __u32 words = bpf_ntohs(udp->len) / 2;
    __u32 sum = checksum_words(udp, end, words);
    int i;
    __u32 score = 0;
    for_numbers(i, 0, needle_count) {
#if BREAK == 2
        struct needle* n = &needles[i];
#else
        if (i < 0 || i >= NEEDLES) break;
        struct needle* n = &needles[i];
#endif
        if (n->word == sum) {
            score += n->weight;
            if (score > 100) break;
        }
    }
    sums[sum & 3] += score;
    return score > 100 ? XDP_DROP : XDP_PASS;
}

SEC("xdp")
BROKEN(3, "Unreleased reference")
BROKEN(4, "expected an initialized iter_num as arg")
BROKEN(5, "expected uninitialized iter_num as arg")
BROKEN(6, "invalid mem access")
int by_hand(struct xdp_md* ctx) {
    struct bpf_iter_num outer, inner;
    __u64 total = 0;
    int *i, *j;
#if BREAK != 4
    bpf_iter_num_new(&outer, 0, 8);
#endif
#if BREAK == 5
    bpf_iter_num_new(&outer, 0, 8);
#endif
#if BREAK == 6
    total = *bpf_iter_num_next(&outer);
#endif
    while ((i = bpf_iter_num_next(&outer))) {
        bpf_iter_num_new(&inner, 0, *i);
        while ((j = bpf_iter_num_next(&inner))) {
            total += *i ^ *j;
            if (total > 1000) break;
        }
        bpf_iter_num_destroy(&inner);
    }
#if BREAK != 3
    bpf_iter_num_destroy(&outer);
#endif
    sums[3] += total;
    return total & 1 ? XDP_PASS : XDP_DROP;
}

LICENSED;
