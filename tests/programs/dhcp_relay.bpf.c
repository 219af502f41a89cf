// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// DHCP snooping and relay: options are walked at tc with skb_load_bytes, rogue
// servers are cut off, bindings learnt from ACKs; in XDP the relay's option 82
// is put behind the others with adjust_tail.
//
// Style: structures on the stack, loads at offsets, one switch.
#include "include/corpus.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>
#include <stddef.h>

#define OPTIONS 14
#define COOKIE 0x63825363
#define L4_OFF (ETH_HLEN + sizeof(struct iphdr))
#define BOOTP_OFF (L4_OFF + sizeof(struct udphdr))

struct bootp {
    __u8 op, htype, hlen, hops;
    __be32 xid;
    __be16 secs, flags;
    __be32 ciaddr, yiaddr, siaddr, giaddr;
    __u8 chaddr[16];
    __u8 sname[64];
    __u8 file[128];
    __be32 cookie;
};

struct binding {
    __be32 address;
    __be32 server;
    __u64 expires;
    __u32 ifindex;
    __u32 zero;
};

struct mac {
    __u8 b[8];
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 10000);
    __type(key, struct mac);
    __type(value, struct binding);
} bindings SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16);
    __type(key, __be32);
    __type(value, __u32);
} trusted SEC(".maps");

struct parsed {
    __u8 type;
    __u8 has_relay;
    __be32 server;
    __be32 lease;
    __u32 end;
};

static __always_inline int walk(struct __sk_buff* skb, struct parsed* p) {
    __u32 off = BOOTP_OFF + sizeof(struct bootp);
    LOOP for (int i = 0; i < OPTIONS; i++) {
        __u8 head[2];
        if (bpf_skb_load_bytes(skb, off, head, 2)) {
            // The end option may be the last byte.
            if (bpf_skb_load_bytes(skb, off, head, 1) || head[0] != 255) return -1;
            p->end = off;
            return 0;
        }
        switch (head[0]) {
        case 0: off++; continue;
        case 255: p->end = off; return 0;
        case 53:
            if (bpf_skb_load_bytes(skb, off + 2, &p->type, 1)) return -1;
            break;
        case 54:
            if (head[1] != 4 || bpf_skb_load_bytes(skb, off + 2, &p->server, 4)) return -1;
            break;
        case 51:
            if (head[1] != 4 || bpf_skb_load_bytes(skb, off + 2, &p->lease, 4)) return -1;
            break;
        case 82: p->has_relay = 1; break;
        }
        off += 2 + head[1];
    }
    return -1;
}

SEC("tc")
BROKEN(1, "invalid write to stack")
BROKEN(2, "R4 invalid zero-sized read")
BROKEN(3, "invalid read from stack R2")
int snoop(struct __sk_buff* skb) {
    struct iphdr ip;
    struct udphdr udp;
    struct bootp b;
    if (skb->protocol != bpf_htons(ETH_P_IP)) return TC_ACT_OK;
    if (bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip)) || ip.ihl != 5) return TC_ACT_OK;
    if (ip.protocol != IPPROTO_UDP || bpf_skb_load_bytes(skb, L4_OFF, &udp, sizeof(udp))) return TC_ACT_OK;
    if (udp.source != bpf_htons(67) && udp.source != bpf_htons(68)) return TC_ACT_OK;
#if BREAK == 1
    if (bpf_skb_load_bytes(skb, BOOTP_OFF, &b, sizeof(b) + 64)) return TC_ACT_SHOT;
#elif BREAK == 2
    if (bpf_skb_load_bytes(skb, BOOTP_OFF, &b, bpf_ntohl(ip.saddr))) return TC_ACT_SHOT;
#else
    if (bpf_skb_load_bytes(skb, BOOTP_OFF, &b, sizeof(b))) return TC_ACT_SHOT;
#endif
    if (b.cookie != bpf_htonl(COOKIE) || b.hlen != 6) return TC_ACT_SHOT;
    struct parsed p = {};
    if (walk(skb, &p)) return TC_ACT_SHOT;
    struct mac key = {};
    __builtin_memcpy(key.b, b.chaddr, 6);
    switch (p.type) {
    case 2: // OFFER
    case 5: // ACK
    case 6: // NAK
        if (!bpf_map_lookup_elem(&trusted, &ip.saddr)) return TC_ACT_SHOT;
        if (p.type == 5) {
            struct binding fresh = {.address = b.yiaddr, .server = p.server, .ifindex = skb->ifindex};
            fresh.expires = bpf_ktime_get_ns() + (__u64)bpf_ntohl(p.lease) * 1000000000ull;
            bpf_map_update_elem(&bindings, &key, &fresh, BPF_ANY);
        }
        break;
    case 7: // RELEASE
#if BREAK == 3
        bpf_map_delete_elem(&bindings, (void*)&key + 600);
#else
        bpf_map_delete_elem(&bindings, &key);
#endif
        break;
    }
    return TC_ACT_OK;
}

struct option82 {
    __u8 code, length, sub, sub_length;
    __be32 circuit;
    __u8 end;
} __attribute__((packed));

SEC("xdp")
BROKEN(4, "invalid access to packet")
int relay(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    struct iphdr* ip = (void*)(eth + 1);
    struct udphdr* udp = (void*)(ip + 1);
    struct bootp* b = (void*)(udp + 1);
    if ((void*)(b + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP)) return XDP_PASS;
    if (ip->ihl != 5 || ip->protocol != IPPROTO_UDP || udp->dest != bpf_htons(67)) return XDP_PASS;
    if (b->op != 1 || b->hops > 4) return XDP_PASS;
    __u32 length = end - data;
    if (length > 1400) return XDP_DROP;
    if (bpf_xdp_adjust_tail(ctx, sizeof(struct option82) - 1)) return XDP_PASS;
    data = (void*)(long)ctx->data;
    end = (void*)(long)ctx->data_end;
    b = data + BOOTP_OFF;
    ip = data + ETH_HLEN;
    udp = data + L4_OFF;
    if ((void*)(b + 1) > end) return XDP_DROP;
    // Over the old end option, which is taken to be the last byte.
    __u32 last = length - 1;
    barrier_var(last);
    struct option82* o = data + (last & 0x7ff);
#if BREAK == 4
    if ((void*)o + 4 > end) return XDP_DROP;
#else
    if ((void*)(o + 1) > end) return XDP_DROP;
#endif
    o->code = 82, o->length = 6, o->sub = 1, o->sub_length = 4;
    o->circuit = bpf_htonl(ctx->ingress_ifindex);
    o->end = 255;
    b->hops++;
    b->giaddr = bpf_htonl(0x0a000001);
    udp->len = bpf_htons(bpf_ntohs(udp->len) + sizeof(*o) - 1);
    udp->check = 0;
    __u32 sum = (__u16)~ip->check + (__u16)~ip->tot_len;
    ip->tot_len = bpf_htons(bpf_ntohs(ip->tot_len) + sizeof(*o) - 1);
    sum += ip->tot_len;
    sum = (sum & 0xffff) + (sum >> 16);
    ip->check = ~((sum & 0xffff) + (sum >> 16));
    return XDP_PASS;
}

LICENSED;
