// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// Rejected programs: references that leak or are used after their release,
// locks, ring buffer records, dynptrs, iterators, timers.
#include "include/corpus.h"
#include "include/kfuncs.h"
#include <linux/pkt_cls.h>

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 4096);
} ring SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 4);
    __type(key, __u32);
    __type(value, __u32);
} programs SEC(".maps");

struct locked {
    struct bpf_spin_lock lock;
    __u32 n;
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 4);
    __type(key, __u32);
    __type(value, struct locked);
} locks SEC(".maps");

struct timed {
    struct bpf_timer timer;
    __u64 n;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4);
    __type(key, __u32);
    __type(value, struct timed);
} timers SEC(".maps");

static __always_inline struct bpf_sock* look(void* ctx) {
    struct bpf_sock_tuple t = {};
    return bpf_sk_lookup_tcp(ctx, &t, sizeof(t.ipv4), BPF_F_CURRENT_NETNS, 0);
}

SEC("tc")
REJECTED("BPF_EXIT instruction in main prog would lead to reference leak")
int socket_leaks(struct __sk_buff* skb) { return look(skb) ? TC_ACT_OK : TC_ACT_SHOT; }

SEC("tc")
REJECTED("BPF_EXIT instruction in main prog would lead to reference leak")
int socket_leaks_on_one_path(struct __sk_buff* skb) {
    struct bpf_sock* sk = look(skb);
    if (!sk) return TC_ACT_OK;
    if (sk->mark == 7) return TC_ACT_SHOT;
    bpf_sk_release(sk);
    return TC_ACT_OK;
}

SEC("tc")
REJECTED("R1 type=sock_or_null expected=sock_common, sock") int release_of_null(struct __sk_buff* skb) {
    bpf_sk_release(look(skb));
    return TC_ACT_OK;
}

SEC("tc") REJECTED("invalid mem access 'sock_or_null'") int socket_not_checked(struct __sk_buff* skb) {
    struct bpf_sock* sk = look(skb);
    __u32 mark = sk->mark;
    if (sk) bpf_sk_release(sk);
    return mark;
}

SEC("tc") REJECTED("invalid mem access 'scalar'") int socket_after_release(struct __sk_buff* skb) {
    struct bpf_sock* sk = look(skb);
    if (!sk) return TC_ACT_OK;
    bpf_sk_release(sk);
    return sk->mark;
}

SEC("tc") REJECTED("R1 type=scalar expected=sock_common") int released_twice(struct __sk_buff* skb) {
    struct bpf_sock* sk = look(skb);
    if (!sk) return TC_ACT_OK;
    bpf_sk_release(sk);
    bpf_sk_release(sk);
    return TC_ACT_OK;
}

SEC("tc") REJECTED("cannot write into sock") int socket_written(struct __sk_buff* skb) {
    struct bpf_sock* sk = look(skb);
    if (!sk) return TC_ACT_OK;
    *(volatile __u32*)&sk->mark = 1;
    bpf_sk_release(sk);
    return TC_ACT_OK;
}

SEC("tc") REJECTED("invalid sock access off=200 size=4") int socket_overrun(struct __sk_buff* skb) {
    struct bpf_sock* sk = look(skb);
    if (!sk) return TC_ACT_OK;
    __u32 x = *(volatile __u32*)((void*)sk + 200);
    bpf_sk_release(sk);
    return x;
}

SEC("tc")
REJECTED("R1 must be referenced when passed to release function")
int not_ours_to_release(struct __sk_buff* skb) {
    struct bpf_sock* sk = skb->sk;
    if (!sk) return TC_ACT_OK;
    sk = bpf_sk_fullsock(sk);
    if (!sk) return TC_ACT_OK;
    bpf_sk_release(sk);
    return TC_ACT_OK;
}

SEC("tc")
REJECTED("tail_call would lead to reference leak") int tail_call_with_socket(struct __sk_buff* skb) {
    struct bpf_sock* sk = look(skb);
    bpf_tail_call(skb, &programs, 0);
    if (sk) bpf_sk_release(sk);
    return TC_ACT_OK;
}

SEC("tc") REJECTED("invalid mem access 'scalar'") int view_after_release(struct __sk_buff* skb) {
    // A pointer derived from the socket dies with it.
    struct bpf_sock* sk = look(skb);
    if (!sk) return TC_ACT_OK;
    struct bpf_tcp_sock* tp = bpf_tcp_sock(sk);
    bpf_sk_release(sk);
    return tp ? tp->snd_cwnd : 0;
}

SEC("xdp")
REJECTED("BPF_EXIT instruction in main prog would lead to reference leak")
int record_leaks(struct xdp_md* ctx) { return bpf_ringbuf_reserve(&ring, 8, 0) ? XDP_PASS : XDP_DROP; }

SEC("xdp") REJECTED("R2 is not a known constant") int record_size_varies(struct xdp_md* ctx) {
    void* r = bpf_ringbuf_reserve(&ring, ctx->rx_queue_index, 0);
    if (r) bpf_ringbuf_submit(r, 0);
    return XDP_PASS;
}

SEC("xdp")
REJECTED("R1 must have zero offset when passed to release func") int record_moved(struct xdp_md* ctx) {
    void* r = bpf_ringbuf_reserve(&ring, 16, 0);
    if (r) bpf_ringbuf_submit(r + 8, 0);
    return XDP_PASS;
}

SEC("xdp")
REJECTED("invalid access to memory, mem_size=16 off=16 size=8") int record_overrun(struct xdp_md* ctx) {
    __u64* r = bpf_ringbuf_reserve(&ring, 16, 0);
    if (!r) return XDP_PASS;
    r[2] = 1;
    bpf_ringbuf_submit(r, 0);
    return XDP_PASS;
}

SEC("xdp") REJECTED("R1 type=map_value expected=ringbuf_mem") int submit_map_value(struct xdp_md* ctx) {
    __u32 key = 1;
    struct locked* v = bpf_map_lookup_elem(&locks, &key);
    if (v) bpf_ringbuf_submit(v, 0);
    return XDP_PASS;
}

SEC("xdp")
REJECTED("BPF_EXIT instruction in main prog cannot be used inside bpf_spin_lock-ed region")
int lock_kept(struct xdp_md* ctx) {
    __u32 key = 1;
    struct locked* v = bpf_map_lookup_elem(&locks, &key);
    if (!v) return XDP_PASS;
    bpf_spin_lock(&v->lock);
    v->n++;
    return XDP_PASS;
}

SEC("xdp") REJECTED("function calls are not allowed while holding a lock") int two_locks(struct xdp_md* ctx) {
    __u32 one = 1, two = ctx->rx_queue_index;
    struct locked* v = bpf_map_lookup_elem(&locks, &one);
    struct locked* w = bpf_map_lookup_elem(&locks, &two);
    if (!v || !w) return XDP_PASS;
    bpf_spin_lock(&v->lock);
    bpf_spin_lock(&w->lock);
    bpf_spin_unlock(&w->lock);
    bpf_spin_unlock(&v->lock);
    return XDP_PASS;
}

SEC("xdp")
REJECTED("function calls are not allowed while holding a lock") int call_under_lock(struct xdp_md* ctx) {
    __u32 key = 1;
    struct locked* v = bpf_map_lookup_elem(&locks, &key);
    if (!v) return XDP_PASS;
    bpf_spin_lock(&v->lock);
    v->n = bpf_get_prandom_u32();
    bpf_spin_unlock(&v->lock);
    return XDP_PASS;
}

SEC("xdp") REJECTED("bpf_spin_unlock without taking a lock") int unlock_only(struct xdp_md* ctx) {
    __u32 key = 1;
    struct locked* v = bpf_map_lookup_elem(&locks, &key);
    if (v) bpf_spin_unlock(&v->lock);
    return XDP_PASS;
}

SEC("xdp")
REJECTED("off 4 doesn't point to 'struct bpf_spin_lock' that is at 0")
int lock_elsewhere(struct xdp_md* ctx) {
    __u32 key = 1;
    struct locked* v = bpf_map_lookup_elem(&locks, &key);
    if (v) bpf_spin_lock((void*)&v->n);
    return XDP_PASS;
}

SEC("socket")
REJECTED("socket filter progs cannot use bpf_spin_lock yet") int socket_lock(struct __sk_buff* skb) {
    __u32 key = 1;
    struct locked* v = bpf_map_lookup_elem(&locks, &key);
    if (!v) return 0;
    bpf_spin_lock(&v->lock);
    bpf_spin_unlock(&v->lock);
    return 0;
}

static int on_timer(void* map, __u32* key, struct timed* v) {
    v->n++;
    return 0;
}

SEC("xdp")
REJECTED("off 16 doesn't point to 'struct bpf_timer' that is at 0") int timer_elsewhere(struct xdp_md* ctx) {
    __u32 key = 1;
    struct timed* v = bpf_map_lookup_elem(&timers, &key);
    if (v) bpf_timer_start((void*)&v->n, 1000, 0);
    return XDP_PASS;
}

SEC("xdp")
REJECTED("R1 type=map_value_or_null expected=map_value") int timer_not_checked(struct xdp_md* ctx) {
    __u32 key = 1;
    struct timed* v = bpf_map_lookup_elem(&timers, &key);
    bpf_timer_set_callback(&v->timer, on_timer);
    return XDP_PASS;
}

SEC("xdp") REJECTED("Expected an initialized dynptr as arg #") int dynptr_not_made(struct xdp_md* ctx) {
    struct bpf_dynptr p;
    __u32 x;
    return bpf_dynptr_read(&x, 4, &p, 0, 0);
}

SEC("xdp")
REJECTED("BPF_EXIT instruction in main prog would lead to reference leak")
int dynptr_leaks(struct xdp_md* ctx) {
    struct bpf_dynptr p;
    return bpf_ringbuf_reserve_dynptr(&ring, 8, 0, &p);
}

SEC("xdp") REJECTED("arg 1 is an unacquired reference") int dynptr_submitted_twice(struct xdp_md* ctx) {
    struct bpf_dynptr p;
    bpf_ringbuf_reserve_dynptr(&ring, 8, 0, &p);
    bpf_ringbuf_submit_dynptr(&p, 0);
    bpf_ringbuf_submit_dynptr(&p, 0);
    return XDP_PASS;
}

SEC("xdp") REJECTED("invalid mem access 'scalar'") int dynptr_data_after_submit(struct xdp_md* ctx) {
    struct bpf_dynptr p;
    bpf_ringbuf_reserve_dynptr(&ring, 8, 0, &p);
    __u64* data = bpf_dynptr_data(&p, 0, 8);
    bpf_ringbuf_submit_dynptr(&p, 0);
    return data ? *data : 0;
}

SEC("xdp") REJECTED("cannot overwrite referenced dynptr") int dynptr_overwritten(struct xdp_md* ctx) {
    struct bpf_dynptr p;
    bpf_ringbuf_reserve_dynptr(&ring, 8, 0, &p);
    ((volatile __u8*)&p)[3] = 1;
    bpf_ringbuf_discard_dynptr(&p, 0);
    return XDP_PASS;
}

SEC("xdp") REJECTED("invalid read from stack") int dynptr_read_directly(struct xdp_md* ctx) {
    struct bpf_dynptr p;
    bpf_ringbuf_reserve_dynptr(&ring, 8, 0, &p);
    __u64 x = *(volatile __u64*)&p;
    bpf_ringbuf_discard_dynptr(&p, 0);
    return x;
}

SEC("xdp") REJECTED("cannot overwrite referenced dynptr") int dynptr_made_twice(struct xdp_md* ctx) {
    struct bpf_dynptr p;
    bpf_ringbuf_reserve_dynptr(&ring, 8, 0, &p);
    bpf_ringbuf_reserve_dynptr(&ring, 8, 0, &p);
    bpf_ringbuf_discard_dynptr(&p, 0);
    return XDP_PASS;
}

SEC("xdp") REJECTED("expected an initialized iter_num as arg #0") int iterator_not_made(struct xdp_md* ctx) {
    struct bpf_iter_num it;
    return bpf_iter_num_next(&it) ? XDP_PASS : XDP_DROP;
}

SEC("xdp")
REJECTED("BPF_EXIT instruction in main prog would lead to reference leak")
int iterator_leaks(struct xdp_md* ctx) {
    struct bpf_iter_num it;
    bpf_iter_num_new(&it, 0, 3);
    return bpf_iter_num_next(&it) ? XDP_PASS : XDP_DROP;
}

SEC("xdp")
REJECTED("expected an initialized iter_num as arg #0") int iterator_after_the_end(struct xdp_md* ctx) {
    struct bpf_iter_num it;
    bpf_iter_num_new(&it, 0, 3);
    bpf_iter_num_destroy(&it);
    return bpf_iter_num_next(&it) ? XDP_PASS : XDP_DROP;
}

SEC("xdp") REJECTED("invalid mem access 'scalar'") int iterator_null_used(struct xdp_md* ctx) {
    struct bpf_iter_num it;
    bpf_iter_num_new(&it, 0, 3);
    int* i = bpf_iter_num_next(&it);
    int x = *i;
    bpf_iter_num_destroy(&it);
    return x;
}

LICENSED;
