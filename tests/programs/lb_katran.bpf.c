// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// A layer 4 load balancer: packets for a virtual address are sent on to one of
// many servers, wrapped in IP-in-IP or GUE. A flow keeps its server through a
// table of connections for each CPU; new flows find theirs on a consistent
// hash ring. ICMP errors follow the connection that they speak of, and QUIC
// packets their connection id.
//
// Style: everything inlined into one program, one struct carried around.
#include "include/corpus.h"
#include "include/icmp.h"

#include <linux/icmpv6.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#define MAX_VIPS 64
#define RING_SIZE 4093
#define MAX_REALS 1024
#define MAX_CPUS 128
#define CONNS_PER_CPU 4096
#define QUIC_SERVERS 4096
#define GUE_PORT 9886
#define MTU 1500

#define F_HASH_SRC_PORT_ONLY_NOT (1 << 0)
#define F_NO_CONN_TABLE (1 << 1)
#define F_QUIC (1 << 2)
#define F_ANY_PORT (1 << 3)
#define F_GUE (1 << 4)
#define R_IPV6 (1 << 0)

#define P_ICMP (1 << 0)
#define P_SYN (1 << 1)
#define P_RST (1 << 2)

#define GO_ON (-1)

union address {
    __be32 v4;
    __be32 v6[4];
};

struct vip_key {
    union address addr;
    __be16 port;
    __u8 proto;
    __u8 pad;
};

struct vip {
    __u32 flags;
    __u32 number;
};

struct flow {
    union address src;
    union address dst;
    union {
        __u32 ports;
        __be16 port[2];
    };
    __u8 proto;
    __u8 pad[3];
};

struct real {
    union address addr;
    __u32 flags;
};

struct conn {
    __u32 real;
    __u32 pad;
    __u64 last_seen;
};

struct counters {
    __u64 a;
    __u64 b;
};

struct packet {
    struct flow flow;
    __u32 real;
    __u32 flags;
    __u16 length;
    __u8 tos;
    __u8 is_ipv6;
};

struct gue_hdr {
    __u8 version_type_len;
    __u8 proto;
    __be16 flags;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __type(key, struct vip_key);
    __type(value, struct vip);
    __uint(max_entries, MAX_VIPS);
    __uint(map_flags, BPF_F_NO_PREALLOC);
} vips SEC(".maps");

struct conn_table {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __type(key, struct flow);
    __type(value, struct conn);
    __uint(max_entries, CONNS_PER_CPU);
    __uint(map_flags, BPF_F_NO_COMMON_LRU);
};

// In front of its user: clang describes a map's types when it first meets the map.
struct conn_table fallback_conns SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
    __uint(max_entries, MAX_CPUS);
    __type(key, __u32);
    __array(values, struct conn_table);
} conn_tables SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __type(key, __u32);
    __type(value, __u32);
    __uint(max_entries, MAX_VIPS* RING_SIZE);
} rings SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __type(key, __u32);
    __type(value, struct real);
    __uint(max_entries, MAX_REALS);
} reals SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __type(key, __u32);
    __type(value, __u32);
    __uint(max_entries, QUIC_SERVERS);
} quic_servers SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __type(key, __u32);
    __type(value, struct counters);
    __uint(max_entries, MAX_VIPS + 8);
} stats SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __type(key, __u32);
    __type(value, struct counters);
    __uint(max_entries, MAX_REALS);
} real_stats SEC(".maps");

const volatile __u8 gateway_mac[6] = {2, 0, 0, 0, 0, 1};
const volatile __u32 own_v4 = 0x0100000a;
const volatile __u32 own_v6[4] = {0x000080fe, 0, 0, 0x01000000};

enum { STAT_LRU_MISS = MAX_VIPS, STAT_NO_REAL, STAT_ICMP, STAT_QUIC, STAT_FALLBACK, STAT_TOO_BIG };

static __always_inline void bump(__u32 slot, __u64 a, __u64 b) {
    struct counters* c = bpf_map_lookup_elem(&stats, &slot);
    if (!c) return;
    c->a += a;
    c->b += b;
}

// A mixing hash over three words, in the manner of Bob Jenkins's.
static __always_inline __u32 rotate(__u32 x, int by) { return (x << by) | (x >> (32 - by)); }

static __always_inline __u32 hash3(__u32 a, __u32 b, __u32 c) {
    a += 0xdeadbef3, b += 0xdeadbef3, c += 0xdeadbef3;
    c ^= b, c -= rotate(b, 14);
    a ^= c, a -= rotate(c, 11);
    b ^= a, b -= rotate(a, 25);
    c ^= b, c -= rotate(b, 16);
    a ^= c, a -= rotate(c, 4);
    b ^= a, b -= rotate(a, 14);
    c ^= b, c -= rotate(b, 24);
    return c;
}

static __always_inline __u32 hash_flow(const struct packet* p, int only_source) {
    __u32 ports = only_source ? 0 : p->flow.ports;
    if (!p->is_ipv6) return hash3(p->flow.src.v4, ports, 0x9e3779b9);
    __u32 h = hash3(p->flow.src.v6[0], p->flow.src.v6[1], p->flow.src.v6[2]);
    return hash3(p->flow.src.v6[3], ports, h);
}

static __always_inline int read_ports(struct packet* p, void* l4, void* end) {
    if (p->flow.proto == IPPROTO_TCP) {
        struct tcphdr* tcp = l4;
        if ((void*)(tcp + 1) > end) return XDP_DROP;
        if (tcp->syn) p->flags |= P_SYN;
        if (tcp->rst) p->flags |= P_RST;
        // An error message carries the packet that we sent: its ports are the other way round.
        if (p->flags & P_ICMP) {
            p->flow.port[0] = tcp->dest;
            p->flow.port[1] = tcp->source;
        } else {
            p->flow.port[0] = tcp->source;
            p->flow.port[1] = tcp->dest;
        }
        return GO_ON;
    }
    if (p->flow.proto == IPPROTO_UDP) {
        struct udphdr* udp = l4;
#if BREAK != 1
        if ((void*)(udp + 1) > end) return XDP_DROP;
#endif
        if (p->flags & P_ICMP) {
            p->flow.port[0] = udp->dest;
            p->flow.port[1] = udp->source;
        } else {
            p->flow.port[0] = udp->source;
            p->flow.port[1] = udp->dest;
        }
        return GO_ON;
    }
    return XDP_PASS;
}

static __always_inline int answer_ping4(struct xdp_md* ctx, struct ethhdr* eth, struct iphdr* ip,
                                        struct icmphdr* icmp) {
    __u8 mac[ETH_ALEN];
    __builtin_memcpy(mac, eth->h_dest, ETH_ALEN);
    __builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
    __builtin_memcpy(eth->h_source, mac, ETH_ALEN);
    __be32 address = ip->daddr;
    ip->daddr = ip->saddr;
    ip->saddr = address;
    icmp->type = ICMP_ECHOREPLY;
    __u32 sum = icmp->checksum + bpf_htons(0x0800);
    icmp->checksum = (sum & 0xffff) + (sum >> 16);
    bump(STAT_ICMP, 1, 0);
    return XDP_TX;
}

static __always_inline int parse_icmp4(struct xdp_md* ctx, struct packet* p, void* l4, void* end,
                                       void** inner_l4) {
    struct icmphdr* icmp = l4;
    if ((void*)(icmp + 1) > end) return XDP_DROP;
    if (icmp->type == ICMP_ECHO) {
        struct ethhdr* eth = (void*)(long)ctx->data;
        struct iphdr* ip = (void*)(eth + 1);
        if ((void*)(ip + 1) > end) return XDP_DROP;
        return answer_ping4(ctx, eth, ip, icmp);
    }
    if (icmp->type != ICMP_DEST_UNREACH) return XDP_PASS;
    struct iphdr* inner = (void*)(icmp + 1);
    if ((void*)(inner + 1) > end) return XDP_DROP;
    if (inner->ihl != 5) return XDP_DROP;
    p->flags |= P_ICMP;
    p->flow.proto = inner->protocol;
    p->flow.src.v4 = inner->daddr;
    p->flow.dst.v4 = inner->saddr;
    *inner_l4 = inner + 1;
    return GO_ON;
}

static __always_inline int parse_icmp6(struct packet* p, void* l4, void* end, void** inner_l4) {
    struct icmp6hdr* icmp = l4;
    if ((void*)(icmp + 1) > end) return XDP_DROP;
    if (icmp->icmp6_type != ICMPV6_PKT_TOOBIG && icmp->icmp6_type != ICMPV6_DEST_UNREACH) return XDP_PASS;
    struct ipv6hdr* inner = (void*)(icmp + 1);
    if ((void*)(inner + 1) > end) return XDP_DROP;
    p->flags |= P_ICMP;
    p->flow.proto = inner->nexthdr;
    __builtin_memcpy(p->flow.src.v6, &inner->daddr, 16);
    __builtin_memcpy(p->flow.dst.v6, &inner->saddr, 16);
    *inner_l4 = inner + 1;
    return GO_ON;
}

static __always_inline int parse_l3(struct xdp_md* ctx, struct packet* p, void* l3, void* end, void** l4) {
    if (!p->is_ipv6) {
        struct iphdr* ip = l3;
        if ((void*)(ip + 1) > end) return XDP_DROP;
        if (ip->ihl != 5) return XDP_DROP;
        if (ip->frag_off & bpf_htons(0x3fff)) return XDP_DROP;
        p->flow.proto = ip->protocol;
        p->flow.src.v4 = ip->saddr;
        p->flow.dst.v4 = ip->daddr;
        p->tos = ip->tos;
        p->length = bpf_ntohs(ip->tot_len);
        *l4 = ip + 1;
        return ip->protocol == IPPROTO_ICMP ? parse_icmp4(ctx, p, *l4, end, l4) : GO_ON;
    }
    struct ipv6hdr* ip6 = l3;
    if ((void*)(ip6 + 1) > end) return XDP_DROP;
    if (ip6->nexthdr == IPPROTO_FRAGMENT) return XDP_DROP;
    p->flow.proto = ip6->nexthdr;
    __builtin_memcpy(p->flow.src.v6, &ip6->saddr, 16);
    __builtin_memcpy(p->flow.dst.v6, &ip6->daddr, 16);
    p->tos = ip6->priority << 4 | ip6->flow_lbl[0] >> 4;
    p->length = bpf_ntohs(ip6->payload_len) + sizeof(*ip6);
    *l4 = ip6 + 1;
    return ip6->nexthdr == IPPROTO_ICMPV6 ? parse_icmp6(p, *l4, end, l4) : GO_ON;
}

// The connection ids that our servers choose hold their number in bytes 1 to 3.
static __always_inline int quic_server(void* l4, void* end, __u32* real) {
    __u8* quic = l4 + sizeof(struct udphdr);
    if ((void*)(quic + 1) > end) return 0;
    __u8* cid;
    if (quic[0] & 0x80) {
        if ((void*)(quic + 14) > end) return 0;
        __u8 kind = (quic[0] & 0x30) >> 4;
        if (kind < 2 || quic[5] < 8) return 0; // Initial and 0-RTT: the client made the id up
        cid = quic + 6;
    } else {
        if ((void*)(quic + 9) > end) return 0;
        cid = quic + 1;
    }
    if (cid[0] >> 6 != 1) return 0;
    __u32 id = (cid[0] & 0x3f) << 16 | cid[1] << 8 | cid[2];
    __u32 key = id % QUIC_SERVERS;
    __u32* found = bpf_map_lookup_elem(&quic_servers, &key);
    if (!found || *found == 0) return 0;
    *real = *found;
    return 1;
}

static __always_inline int find_connection(struct packet* p, void* table, int udp) {
    struct conn* c = bpf_map_lookup_elem(table, &p->flow);
    if (!c) return 0;
    if (udp) {
        __u64 now = bpf_ktime_get_ns();
        if (now - c->last_seen > 30000000000ull) return 0;
        c->last_seen = now;
    }
    p->real = c->real;
    return 1;
}

static __always_inline int choose_real(struct packet* p, const struct vip* vip, void* table) {
    int only_source = (vip->flags & F_HASH_SRC_PORT_ONLY_NOT) != 0;
    __u32 slot = vip->number * RING_SIZE + hash_flow(p, only_source) % RING_SIZE;
    __u32* real = bpf_map_lookup_elem(&rings, &slot);
#if BREAK != 2
    if (!real) return 0;
#endif
    p->real = *real;
    if (!(vip->flags & F_NO_CONN_TABLE) && !(p->flags & P_RST)) {
        struct conn fresh = {.real = *real};
        if (p->flow.proto == IPPROTO_UDP) fresh.last_seen = bpf_ktime_get_ns();
        bpf_map_update_elem(table, &p->flow, &fresh, BPF_ANY);
    }
    return 1;
}

static __always_inline __u16 ip_checksum(struct iphdr* ip) {
    __u16* words = (__u16*)ip;
    __u32 sum = 0;
#pragma clang loop unroll(full)
    for (unsigned i = 0; i < sizeof(*ip) / 2; i++) sum += words[i];
    sum = (sum & 0xffff) + (sum >> 16);
    return ~((sum & 0xffff) + (sum >> 16));
}

static __always_inline void write_ethernet(struct ethhdr* to, const struct ethhdr* from, __be16 proto) {
    __builtin_memcpy(to->h_source, from->h_dest, ETH_ALEN);
#pragma clang loop unroll(full)
    for (int i = 0; i < ETH_ALEN; i++) to->h_dest[i] = gateway_mac[i];
    to->h_proto = proto;
}

static __always_inline int wrap_v4(struct xdp_md* ctx, const struct packet* p, const struct real* real,
                                   int gue) {
    int extra = sizeof(struct iphdr) + (gue ? sizeof(struct udphdr) + sizeof(struct gue_hdr) : 0);
    if (bpf_xdp_adjust_head(ctx, -extra)) return XDP_DROP;
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    struct ethhdr* old = data + extra;
    struct iphdr* ip = (void*)(eth + 1);
    if ((void*)(old + 1) > end || (void*)(ip + 1) > end) return XDP_DROP;
    write_ethernet(eth, old, bpf_htons(ETH_P_IP));
    __builtin_memset(ip, 0, sizeof(*ip));
    ip->version = 4;
    ip->ihl = 5;
    ip->tos = p->tos;
    ip->ttl = 64;
    ip->tot_len = bpf_htons(p->length + extra);
    ip->saddr = own_v4 ^ ((p->flow.src.v4 ^ p->flow.port[0]) & 0xffff0000);
    ip->daddr = real->addr.v4;
    ip->protocol = gue ? IPPROTO_UDP : p->is_ipv6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
    if (gue) {
        struct udphdr* udp = (void*)(ip + 1);
        struct gue_hdr* g = (void*)(udp + 1);
        if ((void*)(g + 1) > end) return XDP_DROP;
        udp->source = bpf_htons(0xc000 | (hash_flow(p, 0) & 0x3fff));
        udp->dest = bpf_htons(GUE_PORT);
        udp->len = bpf_htons(p->length + sizeof(*udp) + sizeof(*g));
        udp->check = 0;
        g->version_type_len = 0;
        g->proto = p->is_ipv6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
        g->flags = 0;
    }
    ip->check = ip_checksum(ip);
    return XDP_TX;
}

static __always_inline int wrap_v6(struct xdp_md* ctx, const struct packet* p, const struct real* real) {
    struct ethhdr* old = (void*)(long)ctx->data;
    if (bpf_xdp_adjust_head(ctx, 0 - (int)sizeof(struct ipv6hdr))) return XDP_DROP;
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
#if BREAK != 3
    old = data + sizeof(struct ipv6hdr);
#endif
    struct ipv6hdr* ip6 = (void*)(eth + 1);
    if (data + sizeof(struct ipv6hdr) + sizeof(*old) > end || (void*)(ip6 + 1) > end) return XDP_DROP;
    write_ethernet(eth, old, bpf_htons(ETH_P_IPV6));
    __builtin_memset(ip6, 0, sizeof(*ip6));
    ip6->version = 6;
    ip6->priority = p->tos >> 4;
    ip6->payload_len = bpf_htons(p->length);
    ip6->nexthdr = p->is_ipv6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
    ip6->hop_limit = 64;
    ip6->saddr.in6_u.u6_addr32[0] = own_v6[0];
    ip6->saddr.in6_u.u6_addr32[1] = own_v6[1];
    ip6->saddr.in6_u.u6_addr32[2] = own_v6[2];
    ip6->saddr.in6_u.u6_addr32[3] = own_v6[3] ^ hash_flow(p, 0);
    __builtin_memcpy(&ip6->daddr, real->addr.v6, 16);
    return XDP_TX;
}

static __always_inline int balance(struct xdp_md* ctx, int is_ipv6) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct packet p = {.is_ipv6 = is_ipv6};
    void* l4 = data;
    int action = parse_l3(ctx, &p, data + sizeof(struct ethhdr), end, &l4);
    if (action != GO_ON) return action;
    action = read_ports(&p, l4, end);
    if (action != GO_ON) return action;

    struct vip_key key = {.addr = p.flow.dst, .port = p.flow.port[1], .proto = p.flow.proto};
    struct vip* vip = bpf_map_lookup_elem(&vips, &key);
    if (!vip) {
        key.port = 0;
        vip = bpf_map_lookup_elem(&vips, &key);
        if (!vip) return XDP_PASS;
        if (!(vip->flags & F_ANY_PORT)) return XDP_PASS;
        p.flow.port[1] = 0;
    }
    if (end - data > MTU + (long)sizeof(struct ethhdr)) {
        bump(STAT_TOO_BIG, 1, 0);
        return XDP_DROP;
    }
    __u32 slot = vip->number;
    __u32 vip_flags = vip->flags;
    int done = 0;
    if ((vip_flags & F_QUIC) && p.flow.proto == IPPROTO_UDP && !(p.flags & P_ICMP))
        done = quic_server(l4, end, &p.real);
    if (done) {
        bump(STAT_QUIC, 1, 0);
    } else {
        __u32 cpu = bpf_get_smp_processor_id();
        void* table = bpf_map_lookup_elem(&conn_tables, &cpu);
        if (!table) {
            bump(STAT_FALLBACK, 1, 0);
            table = &fallback_conns;
        }
        if (!(p.flags & P_SYN)) done = find_connection(&p, table, p.flow.proto == IPPROTO_UDP);
        if (!done) {
            bump(STAT_LRU_MISS, 1, (p.flags & P_SYN) != 0);
            if (!choose_real(&p, vip, table)) return XDP_DROP;
        }
    }
    struct real* real = bpf_map_lookup_elem(&reals, &p.real);
    if (!real) {
        bump(STAT_NO_REAL, 1, 0);
        return XDP_DROP;
    }
    bump(slot, 1, p.length);
    struct counters* served = bpf_map_lookup_elem(&real_stats, &p.real);
    if (served) {
        served->a++;
        served->b += p.length;
    }
    if (real->flags & R_IPV6) return wrap_v6(ctx, &p, real);
    return wrap_v4(ctx, &p, real, (vip_flags & F_GUE) != 0);
}

SEC("xdp")
BROKEN(1, "invalid access to packet")
BROKEN(2, "invalid mem access 'map_value_or_null'")
BROKEN(3, "invalid mem access 'scalar'")
int balancer(struct xdp_md* ctx) {
    void* data = (void*)(long)ctx->data;
    void* end = (void*)(long)ctx->data_end;
    struct ethhdr* eth = data;
    if (data + sizeof(*eth) > end) return XDP_DROP;
    if (eth->h_proto == bpf_htons(ETH_P_IP)) return balance(ctx, 0);
    if (eth->h_proto == bpf_htons(ETH_P_IPV6)) return balance(ctx, 1);
    return XDP_PASS;
}

LICENSED;
