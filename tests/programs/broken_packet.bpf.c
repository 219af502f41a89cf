// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// Programs that the verifier rejects for what they do with packets: each is
// small, wrong in one way, and marked with what the log says.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>

#define DATA(ctx) ((void*)(long)(ctx)->data)
#define END(ctx) ((void*)(long)(ctx)->data_end)
#define META(ctx) ((void*)(long)(ctx)->data_meta)

SEC("xdp") REJECTED("invalid access to packet, off=0 size=1") int no_check(struct xdp_md* ctx) {
    return *(__u8*)DATA(ctx) ? XDP_PASS : XDP_DROP;
}

SEC("xdp") REJECTED("invalid access to packet, off=13 size=2") int one_short(struct xdp_md* ctx) {
    void* data = DATA(ctx);
    if (data + 14 > END(ctx)) return XDP_DROP;
    return *(__u16*)(data + 13) ? XDP_PASS : XDP_DROP;
}

SEC("xdp") REJECTED("invalid access to packet, off=0 size=1") int wrong_way_round(struct xdp_md* ctx) {
    void* data = DATA(ctx);
    if (data + 14 < END(ctx)) return XDP_DROP;
    return *(__u8*)data ? XDP_PASS : XDP_DROP;
}

SEC("xdp") REJECTED("invalid access to packet, off=14 size=1") int greater_or_equal(struct xdp_md* ctx) {
    void* data = DATA(ctx);
    // data + 14 == end passes: byte 14 is not there.
    if (data + 14 > END(ctx)) return XDP_DROP;
    return ((__u8*)data)[14] ? XDP_PASS : XDP_DROP;
}

SEC("xdp") REJECTED("invalid access to packet, off=-1 size=1") int in_front(struct xdp_md* ctx) {
    __u8* data = DATA(ctx);
    if ((void*)(data + 14) > END(ctx)) return XDP_DROP;
    return data[-1] ? XDP_PASS : XDP_DROP;
}

SEC("xdp") REJECTED("R1 invalid mem access 'pkt_end'") int read_end(struct xdp_md* ctx) {
    return *(volatile __u8*)END(ctx) ? XDP_PASS : XDP_DROP;
}

SEC("xdp") REJECTED("pointer arithmetic on pkt_end prohibited") int end_arithmetic(struct xdp_md* ctx) {
    void *data = DATA(ctx), *end = END(ctx);
    asm volatile("%0 -= 14" : "+r"(end));
    if (data > end) return XDP_DROP;
    return *(__u8*)data;
}

SEC("xdp") REJECTED("invalid access to packet") int other_pointer(struct xdp_md* ctx) {
    void* data = DATA(ctx);
    __u32 a = ctx->rx_queue_index & 63, b = ctx->ingress_ifindex & 63;
    __u8* p = data + a;
    __u8* q = data + b;
    if ((void*)(p + 1) > END(ctx)) return XDP_DROP;
    return *q ? XDP_PASS : XDP_DROP; // p was checked
}

SEC("xdp") REJECTED("invalid access to packet") int offset_grew(struct xdp_md* ctx) {
    __u8* p = DATA(ctx);
    p += ctx->rx_queue_index & 63;
    if ((void*)(p + 4) > END(ctx)) return XDP_DROP;
    p += ctx->ingress_ifindex & 3;
    return p[3] ? XDP_PASS : XDP_DROP;
}

SEC("xdp")
REJECTED("math between pkt pointer and register with unbounded min value is not "
         "allowed")
int unbounded_offset(struct xdp_md* ctx) {
    __u64 off = bpf_ktime_get_ns();
    __u8* p = DATA(ctx) + off;
    if ((void*)(p + 1) > END(ctx)) return XDP_DROP;
    return *p ? XDP_PASS : XDP_DROP;
}

SEC("xdp") REJECTED("invalid access to packet") int offset_past_64k(struct xdp_md* ctx) {
    __u32 off = bpf_get_prandom_u32() & 0x1ffff;
    __u8* p = DATA(ctx) + off;
    if ((void*)(p + 1) > END(ctx)) return XDP_DROP;
    return *p ? XDP_PASS : XDP_DROP;
}

SEC("xdp") REJECTED("invalid mem access 'scalar'") int after_adjust_head(struct xdp_md* ctx) {
    __u8* data = DATA(ctx);
    if ((void*)(data + 14) > END(ctx)) return XDP_DROP;
    bpf_xdp_adjust_head(ctx, 0);
    return data[0] ? XDP_PASS : XDP_DROP;
}

SEC("xdp") REJECTED("invalid mem access 'scalar'") int after_adjust_tail(struct xdp_md* ctx) {
    __u8* data = DATA(ctx);
    if ((void*)(data + 14) > END(ctx)) return XDP_DROP;
    bpf_xdp_adjust_tail(ctx, -4);
    return data[0] ? XDP_PASS : XDP_DROP;
}

SEC("xdp") REJECTED("invalid mem access 'scalar'") int after_adjust_meta(struct xdp_md* ctx) {
    __u8* data = DATA(ctx);
    if ((void*)(data + 14) > END(ctx)) return XDP_DROP;
    bpf_xdp_adjust_meta(ctx, -8);
    return data[0] ? XDP_PASS : XDP_DROP;
}

static __noinline int moves_it(struct xdp_md* ctx) { return bpf_xdp_adjust_head(ctx, 4); }

SEC("xdp") REJECTED("invalid mem access 'scalar'") int after_a_call_that_moves(struct xdp_md* ctx) {
    __u8* data = DATA(ctx);
    if ((void*)(data + 14) > END(ctx)) return XDP_DROP;
    if (moves_it(ctx)) return XDP_DROP;
    return data[0] ? XDP_PASS : XDP_DROP;
}

SEC("xdp") REJECTED("invalid access to packet") int check_forgotten_on_one_path(struct xdp_md* ctx) {
    __u8 *data = DATA(ctx), *end = END(ctx);
    if (ctx->rx_queue_index & 1) {
        if (data + 20 > end) return XDP_DROP;
    } else {
        if (data + 16 > end) return XDP_DROP;
    }
    barrier();
    return data[18] ? XDP_PASS : XDP_DROP;
}

SEC("xdp") REJECTED("invalid access to packet") int meta_as_packet(struct xdp_md* ctx) {
    __u8 *meta = META(ctx), *data = DATA(ctx);
    // Checked against the end of the packet, not of the metadata: nothing learnt of data.
    if (meta + 8 > data) return XDP_DROP;
    return data[0] ? XDP_PASS : XDP_DROP;
}

SEC("xdp") REJECTED("invalid access to packet") int meta_unchecked(struct xdp_md* ctx) {
    __u32* meta = META(ctx);
    return *meta ? XDP_PASS : XDP_DROP;
}

SEC("socket") REJECTED("invalid bpf_context access") int socket_data(struct __sk_buff* skb) {
    return (long)skb->data;
}

SEC("cgroup_skb/ingress") REJECTED("cannot write into packet") int cgroup_write(struct __sk_buff* skb) {
    __u8* data = DATA(skb);
    if ((void*)(data + 20) > END(skb)) return 1;
    data[8]--;
    return 1;
}

SEC("tc") REJECTED("invalid mem access 'scalar'") int after_pull(struct __sk_buff* skb) {
    __u8* data = DATA(skb);
    if ((void*)(data + 14) > END(skb)) return TC_ACT_SHOT;
    bpf_skb_pull_data(skb, 100);
    return data[12] ? TC_ACT_OK : TC_ACT_SHOT;
}

SEC("tc") REJECTED("invalid mem access 'scalar'") int after_store(struct __sk_buff* skb) {
    __u8 byte = 1;
    __u8* data = DATA(skb);
    if ((void*)(data + 14) > END(skb)) return TC_ACT_SHOT;
    bpf_skb_store_bytes(skb, 0, &byte, 1, 0);
    return data[12] ? TC_ACT_OK : TC_ACT_SHOT;
}

SEC("tc") REJECTED("invalid mem access 'scalar'") int after_csum_replace(struct __sk_buff* skb) {
    __u8* data = DATA(skb);
    if ((void*)(data + 34) > END(skb)) return TC_ACT_SHOT;
    bpf_l3_csum_replace(skb, 24, 0, 1, 2);
    data[22]--;
    return TC_ACT_OK;
}

SEC("xdp") REJECTED("invalid access to packet") int helper_reads_beyond(struct xdp_md* ctx) {
    __u8* data = DATA(ctx);
    if ((void*)(data + 32) > END(ctx)) return XDP_DROP;
    return bpf_csum_diff(0, 0, (__be32*)data, 36, 0) ? XDP_PASS : XDP_DROP;
}

SEC("xdp") REJECTED("BPF_ATOMIC stores into R1 pkt is not allowed") int atomic_on_packet(struct xdp_md* ctx) {
    __u64* data = DATA(ctx);
    if ((void*)(data + 1) > END(ctx)) return XDP_DROP;
    __sync_fetch_and_add(data, 1);
    return XDP_PASS;
}

SEC("xdp") REJECTED("invalid access to packet") int loop_off_by_one(struct xdp_md* ctx) {
    __u8 *data = DATA(ctx), *end = END(ctx);
    __u32 sum = 0;
    if (data + 16 > end) return XDP_DROP;
#pragma clang loop unroll(disable)
    for (int i = 0; i <= 16; i++) sum += data[i];
    return sum & 1 ? XDP_PASS : XDP_DROP;
}

SEC("xdp") REJECTED("invalid access to packet") int sum_of_two_checked(struct xdp_md* ctx) {
    // Each step is checked, their sum is not.
    __u8 *data = DATA(ctx), *end = END(ctx);
    if (data + 8 > end) return XDP_DROP;
    __u8* p = data + (data[0] & 7);
    __u8* q = p + (data[1] & 7);
    if (p + 8 > end) return XDP_DROP;
    return q[4] ? XDP_PASS : XDP_DROP;
}

SEC("xdp") REJECTED("32-bit pointer arithmetic prohibited") int narrow_pointer(struct xdp_md* ctx) {
    __u8* data = DATA(ctx);
    asm volatile("r2 = %0; w2 += 4; %0 = r2" : "+r"(data)::"r2");
    return data ? XDP_PASS : XDP_DROP;
}

SEC("xdp")
REJECTED("pointer arithmetic with <<= operator prohibited") int shifted_pointer(struct xdp_md* ctx) {
    __u8* data = DATA(ctx);
    asm volatile("%0 <<= 4" : "+r"(data));
    if ((void*)(data + 1) > END(ctx)) return XDP_DROP;
    return *data;
}

SEC("xdp") REJECTED("R1 pointer += pointer prohibited") int sum_of_pointers(struct xdp_md* ctx) {
    __u64 a = (__u64)DATA(ctx), b = (__u64)END(ctx);
    asm volatile("%0 += %1" : "+r"(a) : "r"(b));
    return *(__u8*)a;
}

SEC("xdp") REJECTED("invalid access to packet") int range_lost_by_spill(struct xdp_md* ctx) {
    volatile __u64 slot;
    __u8* data = DATA(ctx);
    if ((void*)(data + 14) > END(ctx)) return XDP_DROP;
    slot = (__u64)data;
    __u8* back = (__u8*)slot;
    return back[14] ? XDP_PASS : XDP_DROP;
}

SEC("xdp") REJECTED("R1 invalid mem access 'scalar'") int half_a_pointer(struct xdp_md* ctx) {
    volatile __u64 slot;
    slot = (__u64)DATA(ctx);
    *(volatile __u32*)&slot = 0;
    return *(__u8*)slot;
}

LICENSED;
