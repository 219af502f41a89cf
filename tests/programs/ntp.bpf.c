// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// Guards an NTP server (RFC 5905): no control and private modes, sane fields,
// extension fields that add up, a limit per client, and amplification kept
// from the net: monlist answers leave no one.
//
// Style: parser with error codes in an enum, little functions, loop over the
// extension fields.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#define NTP_PORT 123
#define MAX_FIELDS 8

struct ntp_packet {
    __u8 li_vn_mode;
    __u8 stratum;
    __s8 poll;
    __s8 precision;
    __be32 root_delay;
    __be32 root_dispersion;
    __be32 reference_id;
    __be64 reference;
    __be64 origin;
    __be64 receive;
    __be64 transmit;
};

struct ntp_field {
    __be16 type;
    __be16 length;
};

struct client {
    __u64 tokens; // in thousandths
    __u64 last;
    __u64 requests;
};

struct client_key {
    __be32 addr[4];
};

struct {
    __uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
    __uint(max_entries, 10000);
    __type(key, struct client_key);
    __type(value, struct client);
} clients SEC(".maps");

enum reason {
    OK,
    NOT_NTP,
    SHORT,
    BAD_VERSION,
    CONTROL,
    PRIVATE,
    BAD_STRATUM,
    BAD_FIELD,
    TOO_FAST,
    FROM_CLIENT_PORT_0,
    REASONS
};

__u64 reasons[REASONS] = {};
const volatile __u64 tokens_per_second = 8;
const volatile __u64 burst = 16;

static __always_inline int ntp_mode(const struct ntp_packet* n) { return n->li_vn_mode & 7; }
static __always_inline int ntp_version(const struct ntp_packet* n) { return n->li_vn_mode >> 3 & 7; }

static __always_inline enum reason check_fields(void* at, void* end) {
    // A MAC of 20 or 24 bytes may stand at the end instead.
    LOOP for (int i = 0; i < MAX_FIELDS; i++) {
        long left = end - at;
        if (left == 0 || left == 20 || left == 24) return OK;
        struct ntp_field* f = at;
#if BREAK == 1
        if ((void*)f > end) return BAD_FIELD;
#else
        if ((void*)(f + 1) > end) return BAD_FIELD;
#endif
        __u32 length = bpf_ntohs(f->length);
        if (length < 16 || length & 3) return BAD_FIELD;
#if BREAK == 2
        at += length; // 64 kB each: eight of them are more than an offset may be
#else
        // What was compared is not what clang adds: hide it, and bound it again.
        barrier_var(length);
        at += length & 0x7fc;
#endif
        if (at > end) return BAD_FIELD;
    }
    return BAD_FIELD;
}

static __always_inline enum reason limit(const struct client_key* key) {
    __u64 now = bpf_ktime_get_ns();
    struct client* c = bpf_map_lookup_elem(&clients, key);
    if (!c) {
        struct client fresh = {.tokens = (burst - 1) * 1000, .last = now, .requests = 1};
        bpf_map_update_elem(&clients, key, &fresh, BPF_ANY);
        return OK;
    }
    __u64 elapsed = now - c->last;
    if (elapsed > 60000000000ull) elapsed = 60000000000ull;
    __u64 tokens = c->tokens + elapsed / 1000000 * tokens_per_second;
    if (tokens > burst * 1000) tokens = burst * 1000;
    c->last = now;
    c->requests++;
    if (tokens < 1000) {
        c->tokens = tokens;
        return TOO_FAST;
    }
    c->tokens = tokens - 1000;
    return OK;
}

static __always_inline enum reason judge_request(struct ntp_packet* n, void* end,
                                                 const struct client_key* key) {
    int version = ntp_version(n);
    if (version < 1 || version > 4) return BAD_VERSION;
    switch (ntp_mode(n)) {
    case 1: // symmetric active
    case 3: // client
        break;
    case 6: return CONTROL;
    case 7: return PRIVATE;
    default: return BAD_VERSION;
    }
    if (n->stratum > 16) return BAD_STRATUM;
    if (version == 4) {
        enum reason r = check_fields(n + 1, end);
        if (r != OK) return r;
    }
    return limit(key);
}

static __always_inline enum reason judge(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    struct client_key key = {};
    struct udphdr* udp;
    if ((void*)(eth + 1) > end) return NOT_NTP;
    if (eth->h_proto == bpf_htons(ETH_P_IP)) {
        struct iphdr* ip = (void*)(eth + 1);
        if ((void*)(ip + 1) > end || ip->protocol != IPPROTO_UDP) return NOT_NTP;
        key.addr[0] = ip->saddr;
        udp = (void*)ip + ip->ihl * 4;
    } else if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
        struct ipv6hdr* ip6 = (void*)(eth + 1);
        if ((void*)(ip6 + 1) > end || ip6->nexthdr != IPPROTO_UDP) return NOT_NTP;
        __builtin_memcpy(key.addr, &ip6->saddr, 16);
        udp = (void*)(ip6 + 1);
    } else {
        return NOT_NTP;
    }
    if ((void*)(udp + 1) > end) return NOT_NTP;
    if (udp->source == 0) return FROM_CLIENT_PORT_0;
    struct ntp_packet* n = (void*)(udp + 1);
    if (udp->source == bpf_htons(NTP_PORT) && udp->dest != bpf_htons(NTP_PORT)) {
        // On its way out: answers to monlist have mode 7.
        if ((void*)n + 1 > end) return SHORT;
        return ntp_mode(n) == 7 ? PRIVATE : OK;
    }
    if (udp->dest != bpf_htons(NTP_PORT)) return NOT_NTP;
    if ((void*)(n + 1) > end) return SHORT;
    return judge_request(n, end, &key);
}

SEC("xdp")
BROKEN(1, "invalid access to packet")
BROKEN(2, "invalid access to packet")
BROKEN(3, "unbounded memory access")
int ntp_guard(struct xdp_md* ctx) {
    enum reason r = judge(ctx);
#if BREAK == 3
    reasons[bpf_get_prandom_u32()]++;
#else
    __u32 slot = r;
    barrier_var(slot);
    if (slot < REASONS) reasons[slot]++;
#endif
    return r == OK || r == NOT_NTP ? XDP_PASS : XDP_DROP;
}

LICENSED;
