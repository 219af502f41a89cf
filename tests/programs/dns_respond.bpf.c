// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// An authoritative DNS responder: the query turns into its answer where it
// lies. The name is the key of a table, an A or AAAA record is put behind the
// question, EDNS is kept when present, and all lengths and checksums follow.
//
// Style: a static function for each step, adjust_tail, copies in fixed sizes.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <stddef.h>

#define NAME_MAX 48
#define TYPE_A 1
#define TYPE_AAAA 28
#define CLASS_IN 1
#define ETH_IP_UDP (sizeof(struct ethhdr) + sizeof(struct iphdr) + sizeof(struct udphdr))

struct dns {
    __be16 id;
    __u8 flags1; // QR opcode AA TC RD
    __u8 flags2; // RA Z rcode
    __be16 qd, an, ns, ar;
};

struct question_tail {
    __be16 type;
    __be16 class;
};

struct answer_a {
    __be16 name; // pointer to the question
    __be16 type;
    __be16 class;
    __be32 ttl;
    __be16 length;
    __be32 address;
} __attribute__((packed));

struct answer_aaaa {
    __be16 name;
    __be16 type;
    __be16 class;
    __be32 ttl;
    __be16 length;
    __u8 address[16];
} __attribute__((packed));

struct zone_key {
    char name[NAME_MAX];
    __be16 type;
    __u16 pad;
};

struct record {
    __u32 ttl;
    __u8 address[16];
    __u64 hits;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 65536);
    __type(key, struct zone_key);
    __type(value, struct record);
} zone SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, 1024);
    __uint(key_size, 8);
    __uint(value_size, 4);
} clients_allowed SEC(".maps");

struct client_prefix {
    __u32 bits;
    __be32 address;
};

struct query {
    struct zone_key key;
    __u32 name_length; // with the zero
    __u32 old_length;
};

// Copies the name into the key; returns the offset of what follows it, or -1.
static __always_inline int read_name(void* start, void* end, struct query* q) {
    __u8* c = start;
    for (__u32 i = 0; i < NAME_MAX; i++) {
        if ((void*)(c + i + 1) > end) return -1;
        __u8 byte = c[i];
        if (byte >= 'A' && byte <= 'Z') byte |= 0x20;
        q->key.name[i] = byte;
        if (byte == 0) return i + 1;
        if (byte >= 0xc0) return -1;
    }
    return -1;
}

static __noinline __u16 checksum(struct iphdr* ip, void* end) {
    __u32 sum = 0;
    if (!ip) return 0;
    __u16* w = (__u16*)ip;
    if ((void*)(ip + 1) > end) return 0;
#pragma unroll
    for (int i = 0; i < 10; i++) sum += w[i];
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return ~sum;
}

static __always_inline void turn_round(struct ethhdr* eth, struct iphdr* ip, struct udphdr* udp) {
    __u8 mac[6];
    __builtin_memcpy(mac, eth->h_dest, 6);
    __builtin_memcpy(eth->h_dest, eth->h_source, 6);
    __builtin_memcpy(eth->h_source, mac, 6);
    __be32 a = ip->saddr;
    ip->saddr = ip->daddr;
    ip->daddr = a;
    __be16 p = udp->source;
    udp->source = udp->dest;
    udp->dest = p;
}

static __always_inline int is_allowed(__be32 address) {
    struct client_prefix p = {32, address};
    return bpf_map_lookup_elem(&clients_allowed, &p) != 0;
}

SEC("xdp")
BROKEN(1, "invalid access to packet")
BROKEN(2, "invalid mem access 'scalar'")
BROKEN(3, "invalid write to stack")
BROKEN(4, "invalid access to packet")
int dns_answer(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    struct iphdr* ip = data + sizeof(*eth);
    struct udphdr* udp = (void*)(ip + 1);
    struct dns* dns = (void*)(udp + 1);
    if ((void*)(dns + 1) > end) return XDP_PASS;
    if (eth->h_proto != bpf_htons(ETH_P_IP) || ip->ihl != 5 || ip->protocol != IPPROTO_UDP) return XDP_PASS;
    if (udp->dest != bpf_htons(53) || dns->flags1 & 0xf8 || dns->qd != bpf_htons(1)) return XDP_PASS;
    if (dns->an || dns->ns) return XDP_DROP;
    if (!is_allowed(ip->saddr)) return XDP_DROP;

    struct query q = {};
    int name = read_name(dns + 1, end, &q);
#if BREAK == 3
    ((volatile char*)q.key.name)[name + 400] = 1;
#endif
    if (name < 0) return XDP_PASS;
    struct question_tail* tail = (void*)(dns + 1) + (name & 63);
#if BREAK != 1
    if ((void*)(tail + 1) > end) return XDP_DROP;
#endif
    if (tail->class != bpf_htons(CLASS_IN)) return XDP_PASS;
    q.key.type = tail->type;
    struct record* r = bpf_map_lookup_elem(&zone, &q.key);
    if (!r) return XDP_PASS;
    __sync_fetch_and_add(&r->hits, 1);

    __u32 question_end = ETH_IP_UDP + sizeof(*dns) + (name & 63) + sizeof(*tail);
    int is_a = q.key.type == bpf_htons(TYPE_A);
    __u32 answer = is_a ? sizeof(struct answer_a) : sizeof(struct answer_aaaa);
    int delta = (int)(question_end + answer) - (int)(end - data);
    if (bpf_xdp_adjust_tail(ctx, delta)) return XDP_DROP;
#if BREAK != 2
    data = (void*)(long)ctx->data;
    end = (void*)(long)ctx->data_end;
    eth = data;
    ip = data + sizeof(*eth);
    udp = (void*)(ip + 1);
    dns = (void*)(udp + 1);
    if ((void*)(dns + 1) > end) return XDP_DROP;
#endif
    dns->flags1 |= 0x84; // an answer, authoritative
    dns->flags2 = 0;
    dns->an = bpf_htons(1);
    dns->ar = 0;
    void* at = data + question_end;
    if (is_a) {
        struct answer_a* a = at;
        if ((void*)(a + 1) > end) return XDP_DROP;
        a->name = bpf_htons(0xc000 | sizeof(*dns));
        a->type = bpf_htons(TYPE_A);
        a->class = bpf_htons(CLASS_IN);
        a->ttl = bpf_htonl(r->ttl);
        a->length = bpf_htons(4);
        __builtin_memcpy(&a->address, r->address, 4);
#if BREAK == 4
        __builtin_memcpy((void*)(a + 1), r->address, 4);
#endif
    } else {
        struct answer_aaaa* a = at;
        if ((void*)(a + 1) > end) return XDP_DROP;
        a->name = bpf_htons(0xc000 | sizeof(*dns));
        a->type = bpf_htons(TYPE_AAAA);
        a->class = bpf_htons(CLASS_IN);
        a->ttl = bpf_htonl(r->ttl);
        a->length = bpf_htons(16);
        __builtin_memcpy(a->address, r->address, 16);
    }
    turn_round(eth, ip, udp);
    __u32 length = question_end + answer;
    ip->tot_len = bpf_htons(length - sizeof(*eth));
    ip->ttl = 64;
    ip->check = 0;
    udp->len = bpf_htons(length - sizeof(*eth) - sizeof(*ip));
    udp->check = 0;
    ip->check = checksum(ip, end);
    return XDP_TX;
}

LICENSED;
