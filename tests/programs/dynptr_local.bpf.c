// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// Dynamic pointers by helpers alone: over memory of a map value, and over ring
// buffer records. A message is put together field by field at offsets that
// depend on the packet.
//
// Style: a little writer in always_inline functions.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>

struct page {
    __u8 bytes[1024];
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct page);
} pages SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 1 << 16);
} messages SEC(".maps");

enum { FIELD_SRC = 1, FIELD_DST, FIELD_LEN, FIELD_TTL, FIELD_END = 0xff };

struct writer {
    struct bpf_dynptr* to;
    __u32 at;
    int error;
};

static __always_inline void put(struct writer* w, __u8 kind, void* data, __u32 size) {
    __u8 head[2] = {kind, size};
    if (w->error) return;
    if (bpf_dynptr_write(w->to, w->at, head, sizeof(head), 0) ||
        bpf_dynptr_write(w->to, w->at + sizeof(head), data, size, 0)) {
        w->error = 1;
        return;
    }
    w->at += sizeof(head) + size;
}

SEC("xdp")
BROKEN(2, "Expected an initialized dynptr as arg #")
BROKEN(3, "cannot overwrite referenced dynptr")
BROKEN(4, "arg 1 is an unacquired reference")
BROKEN(5, "invalid mem access 'scalar'")
int write_fields(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct iphdr* ip = data + sizeof(struct ethhdr);
    struct ethhdr* eth = data;
    if ((void*)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP)) return XDP_PASS;
    __u32 zero = 0;
    struct page* p = bpf_map_lookup_elem(&pages, &zero);
    if (!p) return XDP_PASS;
    struct bpf_dynptr local, out;
    if (bpf_dynptr_from_mem(p->bytes, sizeof(p->bytes), 0, &local)) return XDP_PASS;
    struct writer w = {.to = &local};
    __u16 length = bpf_ntohs(ip->tot_len);
    __u8 ttl = ip->ttl;
    __be32 src = ip->saddr, dst = ip->daddr;
    put(&w, FIELD_SRC, &src, 4);
    put(&w, FIELD_DST, &dst, 4);
    if (length > 100) put(&w, FIELD_LEN, &length, 2);
    if (ttl < 16) put(&w, FIELD_TTL, &ttl, 1);
    if (w.error) return XDP_ABORTED;
#if BREAK == 2
    *(volatile __u64*)&local = 0;
    put(&w, FIELD_END, &ttl, 1);
#endif
    if (bpf_ringbuf_reserve_dynptr(&messages, 64, 0, &out)) goto give_back;
#if BREAK == 3
    *(volatile __u64*)&out = 0;
#endif
    __u8* copy = bpf_dynptr_data(&local, 0, 32);
    if (copy) {
        bpf_dynptr_write(&out, 0, copy, 32, 0);
#if BREAK == 5
        *(volatile __u64*)&local = 0;
        bpf_dynptr_from_mem(p->bytes, sizeof(p->bytes), 0, &local);
        if (copy[0] == 0) ttl++;
#endif
    }
    __u32 tail = w.at;
    bpf_dynptr_write(&out, 32, &tail, sizeof(tail), 0);
#if BREAK == 4
    bpf_ringbuf_submit_dynptr(&local, 0);
#else
    bpf_ringbuf_submit_dynptr(&out, 0);
#endif
    return XDP_PASS;
give_back:
    bpf_ringbuf_discard_dynptr(&out, 0);
    return XDP_PASS;
}

SEC("xdp")
int read_fields(struct xdp_md* ctx) {
    __u32 zero = 0, at = 0;
    struct page* p = bpf_map_lookup_elem(&pages, &zero);
    if (!p) return XDP_PASS;
    struct bpf_dynptr local;
    bpf_dynptr_from_mem(p->bytes, sizeof(p->bytes), 0, &local);
    __u32 total = 0;
#pragma clang loop unroll(disable)
    for (int i = 0; i < 8; i++) {
        __u8 head[2];
        if (bpf_dynptr_read(head, 2, &local, at, 0)) break;
        if (head[0] == FIELD_END || head[0] == 0) break;
        at += 2 + head[1];
        total += head[0];
    }
    return total > 20 ? XDP_DROP : XDP_PASS;
}

LICENSED;
