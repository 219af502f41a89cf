// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// A SYN proxy: every SYN is answered with a cookie, made by SipHash-2-4 over
// the connection's ends, the minute and the MSS class; the ACK that brings it
// back opens the door for its flow. Answers are built in place, with their
// checksums.
//
// Style: crypto in always_inline functions with rolled and unrolled rounds;
// secrets in .rodata.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>

const volatile __u64 key0 = 0x0706050403020100ull;
const volatile __u64 key1 = 0x0f0e0d0c0b0a0908ull;
const volatile __u16 protected_ports[8] = {80, 443, 22, 25};
static const __u16 mss_classes[4] = {536, 1300, 1440, 1460};

struct flow {
    __be32 saddr;
    __be32 daddr;
    __be16 sport;
    __be16 dport;
};

struct opened {
    __u32 isn; // the cookie we gave
    __u32 client_isn;
    __u64 since;
};

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 65536);
    __type(key, struct flow);
    __type(value, struct opened);
} doors SEC(".maps");

struct {
    __u64 syns;
    __u64 good;
    __u64 bad;
    __u64 passed;
} totals SEC(".bss.totals");

#define ROTL(x, b) (((x) << (b)) | ((x) >> (64 - (b))))

struct sip {
    __u64 v0, v1, v2, v3;
};

static __always_inline void sip_round(struct sip* s) {
    s->v0 += s->v1, s->v1 = ROTL(s->v1, 13), s->v1 ^= s->v0, s->v0 = ROTL(s->v0, 32);
    s->v2 += s->v3, s->v3 = ROTL(s->v3, 16), s->v3 ^= s->v2;
    s->v0 += s->v3, s->v3 = ROTL(s->v3, 21), s->v3 ^= s->v0;
    s->v2 += s->v1, s->v1 = ROTL(s->v1, 17), s->v1 ^= s->v2, s->v2 = ROTL(s->v2, 32);
}

static __always_inline void sip_word(struct sip* s, __u64 m) {
    s->v3 ^= m;
    LOOP for (int i = 0; i < 2; i++) sip_round(s);
    s->v0 ^= m;
}

static __noinline __u32 cookie_hash(const struct flow* f, __u32 minute, __u32 class) {
    struct sip s = {key0 ^ 0x736f6d6570736575ull, key1 ^ 0x646f72616e646f6dull, key0 ^ 0x6c7967656e657261ull,
                    key1 ^ 0x7465646279746573ull};
    sip_word(&s, (__u64)f->saddr << 32 | f->daddr);
    sip_word(&s, (__u64)f->sport << 48 | (__u64)f->dport << 32 | minute << 2 | class);
    sip_word(&s, 16ull << 56);
    s.v2 ^= 0xff;
    LOOP for (int i = 0; i < 4; i++) sip_round(&s);
    return (s.v0 ^ s.v1 ^ s.v2 ^ s.v3) & 0x00ffffff;
}

static __always_inline __u32 minute_now(void) { return bpf_ktime_get_ns() / 60000000000ull; }

static __always_inline __u32 make_cookie(const struct flow* f, __u32 seq, __u32 class) {
    __u32 minute = minute_now();
    // Five bits of time, two of MSS class, the hash on top of the client's number.
    return (minute & 31) << 27 | (class & 3) << 25 | ((cookie_hash(f, minute, class) + seq) & 0x01ffffff);
}

static __always_inline int check_cookie(const struct flow* f, __u32 seq, __u32 cookie, __u32* class) {
    __u32 now = minute_now();
    __u32 age = (now - (cookie >> 27)) & 31;
    if (age > 2) return 0;
    *class = cookie >> 25 & 3;
    __u32 hash = (cookie_hash(f, now - age, *class) + seq) & 0x01ffffff;
    return hash == (cookie & 0x01ffffff);
}

static __always_inline __u16 fold16(__u64 sum) {
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return ~sum;
}

static __always_inline __u64 add_words(const void* at, int words) {
    const __u16* w = at;
    __u64 sum = 0;
#pragma clang loop unroll(full)
    for (int i = 0; i < 12; i++)
        if (i < words) sum += w[i];
    return sum;
}

static __always_inline int is_protected(__u16 port) {
    LOOP for (int i = 0; i < 8; i++) {
        if (protected_ports[i] == 0) return 0;
        if (protected_ports[i] == port) return 1;
    }
    return 0;
}

static __always_inline __u32 mss_class(struct tcphdr* tcp, void* end) {
    // The MSS is the first option of every stack that matters.
    __u8* opt = (void*)(tcp + 1);
#if BREAK == 1
    if (tcp->doff < 6) return 0;
#else
    if (tcp->doff < 6 || (void*)(opt + 4) > end) return 0;
#endif
    if (opt[0] != 2 || opt[1] != 4) return 0;
    __u16 mss = opt[2] << 8 | opt[3];
    __u32 class = 0;
    LOOP for (int i = 1; i < 4; i++) if (mss >= mss_classes[i]) class = i;
    return class;
}

static __always_inline int answer_syn(struct xdp_md* ctx, struct flow* f, struct tcphdr* tcp, void* end) {
    __u32 class = mss_class(tcp, end);
    __u32 cookie = make_cookie(f, bpf_ntohl(tcp->seq), class);
    __be32 ack = bpf_htonl(bpf_ntohl(tcp->seq) + 1);
    int length = sizeof(struct ethhdr) + sizeof(struct iphdr) + sizeof(struct tcphdr) + 4;
    if (bpf_xdp_adjust_tail(ctx, length - (int)(ctx->data_end - ctx->data))) return XDP_DROP;
    void* data = (void*)(long)ctx->data;
    end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    struct iphdr* ip = (void*)(eth + 1);
#if BREAK != 2
    tcp = (void*)(ip + 1);
#endif
    __u8* opt = (void*)(tcp + 1);
    if (data + length > end) return XDP_DROP;
    __u8 mac[ETH_ALEN];
    __builtin_memcpy(mac, eth->h_dest, ETH_ALEN);
    __builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
    __builtin_memcpy(eth->h_source, mac, ETH_ALEN);
    ip->saddr = f->daddr;
    ip->daddr = f->saddr;
    ip->tot_len = bpf_htons(length - sizeof(*eth));
    ip->ttl = 64;
    ip->tos = 0;
    ip->check = 0;
    ip->check = fold16(add_words(ip, 10));
    tcp->source = f->dport;
    tcp->dest = f->sport;
    tcp->seq = bpf_htonl(cookie);
    tcp->ack_seq = ack;
    ((__u8*)tcp)[12] = 6 << 4;
    ((__u8*)tcp)[13] = 0x12;
    tcp->window = bpf_htons(65535);
    tcp->urg_ptr = 0;
    tcp->check = 0;
    opt[0] = 2;
    opt[1] = 4;
    __u16 mss = mss_classes[class & 3];
    opt[2] = mss >> 8;
    opt[3] = mss;
    __u64 sum = add_words(tcp, 12) + add_words(&ip->saddr, 4);
    sum += bpf_htons(IPPROTO_TCP) + bpf_htons(sizeof(*tcp) + 4);
    tcp->check = fold16(sum);
    __sync_fetch_and_add(&totals.syns, 1);
    return XDP_TX;
}

SEC("xdp")
BROKEN(1, "invalid access to packet")
BROKEN(2, "invalid mem access 'scalar'")
BROKEN(3, "write into map forbidden")
int syn_proxy(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    struct iphdr* ip = (void*)(eth + 1);
    struct tcphdr* tcp = (void*)(ip + 1);
    if ((void*)(tcp + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP)) return XDP_PASS;
    if (ip->ihl != 5 || ip->protocol != IPPROTO_TCP || tcp->doff < 5) return XDP_PASS;
    if (!is_protected(bpf_ntohs(tcp->dest))) return XDP_PASS;
    struct flow f = {ip->saddr, ip->daddr, tcp->source, tcp->dest};
#if BREAK == 3
    *(volatile __u64*)&key0 = bpf_get_prandom_u32();
#endif
    if (tcp->syn) return tcp->ack ? XDP_DROP : answer_syn(ctx, &f, tcp, end);
    struct opened* door = bpf_map_lookup_elem(&doors, &f);
    if (door) {
        if (tcp->rst || tcp->fin) bpf_map_delete_elem(&doors, &f);
        __sync_fetch_and_add(&totals.passed, 1);
        return XDP_PASS;
    }
    if (!tcp->ack) return XDP_DROP;
    __u32 class = 0;
    __u32 cookie = bpf_ntohl(tcp->ack_seq) - 1;
    __u32 seq = bpf_ntohl(tcp->seq) - 1;
    if (!check_cookie(&f, seq, cookie, &class)) {
        __sync_fetch_and_add(&totals.bad, 1);
        return XDP_DROP;
    }
    struct opened fresh = {.isn = cookie, .client_isn = seq, .since = bpf_ktime_get_ns()};
    bpf_map_update_elem(&doors, &f, &fresh, BPF_ANY);
    __sync_fetch_and_add(&totals.good, 1);
    return XDP_PASS;
}

LICENSED;
