// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// The user plane of a mobile core: GTP-U (TS 29.281) off towards the internet,
// on towards the base station, sessions by TEID and by address, extension
// headers skipped, usage metered per session with 64-bit atomics.
//
// Style: telecom: TEIDs, PDRs and FARs as structs and tables.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>

#define GTPU_PORT 2152
#define GTPU_TPDU 255
#define GTPU_ECHO 1
#define MAX_EXT 4

struct gtpu {
    __u8 flags;
    __u8 type;
    __be16 length;
    __be32 teid;
};

struct gtpu_opt {
    __be16 seq;
    __u8 npdu;
    __u8 next;
};

enum far_action { FAR_DROP, FAR_FORWARD, FAR_BUFFER };

struct session {
    __u32 far;
    __u32 qfi;
    __be32 ue;
    __be32 enb;
    __be32 teid_down;
    __u32 ifindex;
    __u64 up_bytes, up_packets;
    __u64 down_bytes, down_packets;
    __u64 quota;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 100000);
    __type(key, __be32);
    __type(value, struct session);
} by_teid SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 100000);
    __type(key, __be32);
    __type(value, __be32);
} teid_of_ue SEC(".maps");

const volatile __be32 own = 0x01010a0a;

static __always_inline int skip_extensions(void** at, void* end, struct gtpu* g) {
    if (!(g->flags & 7)) {
        *at = g + 1;
        return 0;
    }
    struct gtpu_opt* o = (void*)(g + 1);
    if ((void*)(o + 1) > end) return -1;
    __u8 next = o->next;
    __u8* ext = (void*)(o + 1);
    if (!(g->flags & 4)) next = 0;
    LOOP for (int i = 0; i < MAX_EXT; i++) {
        if (!next) {
            *at = ext;
            return 0;
        }
        if ((void*)(ext + 1) > end) return -1;
        __u32 size = *ext * 4;
        if (size == 0) return -1;
#if BREAK == 1
        next = ext[size - 1];
#else
        if ((void*)(ext + size) > end) return -1;
        // The type of the next one stands in the last byte; read from behind, where the bound is.
        __u8* behind = ext + size;
        next = *(behind - 1);
#endif
        ext += size;
    }
    return -1;
}

SEC("xdp")
BROKEN(1, "invalid access to packet")
BROKEN(2, "invalid mem access 'scalar'")
int uplink(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    struct iphdr* ip = (void*)(eth + 1);
    struct udphdr* udp = (void*)(ip + 1);
    struct gtpu* g = (void*)(udp + 1);
    if ((void*)(g + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP)) return XDP_PASS;
    if (ip->ihl != 5 || ip->protocol != IPPROTO_UDP || udp->dest != bpf_htons(GTPU_PORT)) return XDP_PASS;
    if (ip->daddr != own || g->flags >> 5 != 1) return XDP_PASS;
    if (g->type != GTPU_TPDU) return XDP_PASS;
    __be32 teid = g->teid;
    struct session* s = bpf_map_lookup_elem(&by_teid, &teid);
    if (!s || s->far != FAR_FORWARD) return XDP_DROP;
    void* inner_at = 0;
    if (skip_extensions(&inner_at, end, g)) return XDP_DROP;
    struct iphdr* inner = inner_at;
    if ((void*)(inner + 1) > end || inner->saddr != s->ue) return XDP_DROP;
    __u64 length = end - inner_at;
    if (s->quota && s->up_bytes + s->down_bytes + length > s->quota) return XDP_DROP;
    __sync_fetch_and_add(&s->up_bytes, length);
    __sync_fetch_and_add(&s->up_packets, 1);
    struct ethhdr saved = *eth;
    __u32 ifindex = s->ifindex;
    int cut = inner_at - data - (long)sizeof(struct ethhdr);
    if (cut < 0 || cut > 512) return XDP_DROP;
    if (bpf_xdp_adjust_head(ctx, cut)) return XDP_ABORTED;
#if BREAK == 2
    *eth = saved;
#endif
    data = (void*)(long)ctx->data;
    end = (void*)(long)ctx->data_end;
    eth = data;
    if ((void*)(eth + 1) > end) return XDP_DROP;
    *eth = saved;
    return bpf_redirect(ifindex, 0);
}

SEC("xdp")
BROKEN(3, "invalid access to packet")
int downlink(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    struct iphdr* ip = (void*)(eth + 1);
    if ((void*)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP)) return XDP_PASS;
    __be32 ue = ip->daddr;
    __be32* teid = bpf_map_lookup_elem(&teid_of_ue, &ue);
    if (!teid) return XDP_PASS;
    __be32 key = *teid;
    struct session* s = bpf_map_lookup_elem(&by_teid, &key);
    if (!s) return XDP_PASS;
    if (s->far == FAR_DROP) return XDP_DROP;
    __u16 length = end - (void*)ip;
    __sync_fetch_and_add(&s->down_bytes, length);
    __sync_fetch_and_add(&s->down_packets, 1);
    struct ethhdr saved = *eth;
    int room = sizeof(struct iphdr) + sizeof(struct udphdr) + sizeof(struct gtpu);
    if (bpf_xdp_adjust_head(ctx, -room)) return XDP_ABORTED;
    data = (void*)(long)ctx->data;
    end = (void*)(long)ctx->data_end;
    eth = data;
    ip = (void*)(eth + 1);
    struct udphdr* udp = (void*)(ip + 1);
    struct gtpu* g = (void*)(udp + 1);
#if BREAK == 3
    if ((void*)g > end) return XDP_DROP;
#else
    if ((void*)(g + 1) > end) return XDP_DROP;
#endif
    *eth = saved;
    *(__be32*)ip = bpf_htonl(0x45000000 | (length + room));
    *((__be32*)ip + 1) = bpf_htonl(0x4000);
    ip->ttl = 64, ip->protocol = IPPROTO_UDP, ip->check = 0;
    ip->saddr = own, ip->daddr = s->enb;
    __u32 sum = 0;
#pragma unroll
    for (int i = 0; i < 10; i++) sum += ((__u16*)ip)[i];
    sum = (sum & 0xffff) + (sum >> 16);
    ip->check = ~((sum & 0xffff) + (sum >> 16));
    udp->source = udp->dest = bpf_htons(GTPU_PORT);
    udp->len = bpf_htons(length + sizeof(*udp) + sizeof(*g));
    udp->check = 0;
    g->flags = 1 << 5 | 1 << 4;
    g->type = GTPU_TPDU;
    g->length = bpf_htons(length);
    g->teid = s->teid_down;
    return XDP_TX;
}

LICENSED;
