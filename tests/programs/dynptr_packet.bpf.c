// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// Dynamic pointers to the packet: slices read and written without a bound that
// the program checks, over XDP and over the skb at tc, and to ring buffer
// records of a size known only at run time.
//
// Style: kernel functions; null checks instead of bounds checks.
#include "include/corpus.h"
#include "include/kfuncs.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 1 << 18);
} events SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 4);
    __type(key, __u32);
    __type(value, __u64);
} seen SEC(".maps");

struct header {
    __u32 magic;
    __u32 length;
    __u64 time;
};

SEC("xdp")
BROKEN(1, "R0 invalid mem access 'mem_or_null'")
BROKEN(2, "invalid access to memory, mem_size=20 off=20 size=1")
BROKEN(3, "cannot write into rdonly_mem")
BROKEN(4, "Expected an initialized dynptr as arg #0")
BROKEN(5, "invalid mem access 'scalar'")
int ttl_filter(struct xdp_md* ctx) {
    struct bpf_dynptr packet;
    struct ethhdr eth_buffer;
    struct iphdr ip_buffer;
#if BREAK != 4
    bpf_dynptr_from_xdp(ctx, 0, &packet);
#endif
    struct ethhdr* eth = bpf_dynptr_slice(&packet, 0, &eth_buffer, sizeof(eth_buffer));
    if (!eth) return XDP_DROP;
    if (eth->h_proto != bpf_htons(ETH_P_IP)) return XDP_PASS;
#if BREAK == 3
    struct iphdr* ip = bpf_dynptr_slice(&packet, sizeof(*eth), &ip_buffer, sizeof(ip_buffer));
#else
    struct iphdr* ip = bpf_dynptr_slice_rdwr(&packet, sizeof(*eth), &ip_buffer, sizeof(ip_buffer));
#endif
#if BREAK != 1
    if (!ip) return XDP_DROP;
#endif
#if BREAK == 5
    if (bpf_xdp_adjust_head(ctx, -4)) return XDP_DROP;
#endif
    if (ip->ttl <= 1) return XDP_DROP;
    __u32 check = ip->check + bpf_htons(0x0100);
    ip->check = check + (check >= 0xffff);
    ip->ttl--;
#if BREAK == 2
    if (*(volatile __u8*)(ip + 1)) return XDP_DROP;
#endif
    if ((void*)ip == &ip_buffer) bpf_dynptr_write(&packet, sizeof(*eth), &ip_buffer, sizeof(ip_buffer), 0);
    return XDP_PASS;
}

SEC("tc")
BROKEN(6, "invalid mem access 'scalar'")
int read_tcp(struct __sk_buff* skb) {
    struct bpf_dynptr packet;
    struct iphdr ip;
    struct tcphdr buffer;
    __u8 byte;
    if (bpf_dynptr_from_skb(skb, 0, &packet)) return TC_ACT_OK;
    if (bpf_dynptr_read(&ip, sizeof(ip), &packet, ETH_HLEN, 0)) return TC_ACT_OK;
    if (ip.protocol != IPPROTO_TCP) return TC_ACT_OK;
    __u32 off = ETH_HLEN + ip.ihl * 4;
    struct tcphdr* tcp = bpf_dynptr_slice(&packet, off, &buffer, sizeof(buffer));
    if (!tcp) return TC_ACT_SHOT;
    __u32 payload = off + tcp->doff * 4;
    if (bpf_dynptr_read(&byte, 1, &packet, payload, 0)) return TC_ACT_OK;
#if BREAK == 6
    bpf_skb_pull_data(skb, 0);
    byte += tcp->doff;
#endif
    __u32 slot = byte & 3;
    __u64* n = bpf_map_lookup_elem(&seen, &slot);
    if (n) __sync_fetch_and_add(n, bpf_dynptr_size(&packet));
    return TC_ACT_OK;
}

// Records as long as the packet.
SEC("xdp")
BROKEN(7, "Unreleased reference")
BROKEN(8, "Expected an initialized dynptr as arg #")
BROKEN(9, "invalid mem access 'mem_or_null'")
int copy_out(struct xdp_md* ctx) {
    struct bpf_dynptr record, packet;
    __u32 length = ctx->data_end - ctx->data;
    if (length > 2048) length = 2048;
    // Also a failed reservation must be given back.
    if (bpf_ringbuf_reserve_dynptr(&events, sizeof(struct header) + length, 0, &record)) {
        bpf_ringbuf_discard_dynptr(&record, 0);
        return XDP_PASS;
    }
    struct header* h = bpf_dynptr_data(&record, 0, sizeof(*h));
#if BREAK == 9
    h->magic = 0;
#endif
    if (!h) {
#if BREAK != 7
        bpf_ringbuf_discard_dynptr(&record, 0);
#endif
        return XDP_PASS;
    }
    h->magic = 0x12345678;
    h->length = length;
    h->time = bpf_ktime_get_ns();
    __u8 chunk[64];
    int off;
    bpf_dynptr_from_xdp(ctx, 0, &packet);
    for_numbers(off, 0, 32) {
        __u32 at = (__u32)off * 64;
        if (at + 64 > length) break;
        if (bpf_dynptr_read(chunk, sizeof(chunk), &packet, at, 0)) break;
        if (bpf_dynptr_write(&record, sizeof(*h) + at, chunk, sizeof(chunk), 0)) break;
    }
    bpf_ringbuf_submit_dynptr(&record, 0);
#if BREAK == 8
    bpf_dynptr_write(&record, 0, chunk, 4, 0);
#endif
    return XDP_PASS;
}

LICENSED;
