// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// Header walk shared by the filters: Ethernet, up to two VLAN tags (802.1Q or
// 802.1ad), IPv4 with options, IPv6 with extension headers, and the ports of
// TCP, UDP, UDP-Lite and SCTP.
//
// The walk trusts nothing but the end of the frame: it answers TRUNCATED when
// a header it needs does not fit, MALFORMED when a header contradicts itself.
// It does not compare the IP length fields with the frame nor verify
// checksums; sanity.bpf.c does.
//
// Written so that a path-sensitive verifier sees few paths: an extension
// header is described by a table, not by branches, and every step leaves the
// same state behind whichever kind of header it met.
#ifndef XDPLANE_PARSE_H
#define XDPLANE_PARSE_H

#include "filter.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#define PARSE_MAX_VLANS 2
#define PARSE_MAX_EXT 6 // extension headers of one IPv6 packet, all kinds together

#define IPV4_MORE_FRAGMENTS 0x2000
#define IPV4_FRAGMENT_OFFSET 0x1fff
#define IPV6_MORE_FRAGMENTS 0x0001
#define IPV6_FRAGMENT_OFFSET 0xfff8

enum parse_result {
    PARSE_OK = 0,
    PARSE_NOT_IP,    // a whole frame, but neither IPv4 nor IPv6
    PARSE_TRUNCATED, // the frame ends inside a header
    PARSE_MALFORMED, // wrong version, header length below the minimum, too many tags or extension headers
};

// What kind of fragment the packet is.
enum parse_fragment {
    FRAGMENT_NONE = 0,
    FRAGMENT_FIRST, // 1, as more_fragments: offset 0 and more to come, the transport header is here
    FRAGMENT_LATER, // offset above 0: no transport header
};

struct vlan_tag {
    __be16 tci;
    __be16 ethertype;
};

// Result of the walk. l3 and l4 point into the packet; l4 may be data_end.
struct packet {
    void* data_end;
    void* l3;
    void* l4;
    __u16 ethertype;       // after the tags, host order
    __u16 fragment_offset; // in bytes
    __u8 family;           // 4, 6, or 0 when not IP
    __u8 protocol;         // after the extension headers
    __u8 fragment;         // enum parse_fragment
    __u8 more_fragments;   // 1 when this one is not the last
};

// The 5-tuple as a map key: 40 bytes, no hole. An IPv4 address stands in the
// first four bytes, the other twelve are zero. Addresses and ports are in
// network order; ports are zero where the packet has none.
struct flow_key {
    __be32 saddr[4];
    __be32 daddr[4];
    __be16 sport;
    __be16 dport;
    __u8 protocol;
    __u8 family; // 4 or 6
    __u16 zero;
};

// One address as a map key: 20 bytes, IPv4 as in struct flow_key.
struct host_key {
    __be32 addr[4];
    __u32 family; // 4 or 6
};

// A value the verifier must believe to be at most `mask` (2^n - 1). The
// compiler often knows that already and leaves the mask out; the empty
// assembly keeps it from knowing.
#define BOUNDED(value, mask)                                                                                 \
    ({                                                                                                       \
        __u64 bounded_ = (value);                                                                            \
        asm volatile("" : "+r"(bounded_));                                                                   \
        bounded_&(mask);                                                                                     \
    })

static __always_inline int is_vlan(__u16 ethertype) {
    return ethertype == ETH_P_8021Q || ethertype == ETH_P_8021AD;
}

// Ethernet and its tags. Fills data_end, l3 and ethertype. With more than
// PARSE_MAX_VLANS tags the ethertype left is a VLAN's.
static __always_inline int parse_ethernet(const struct xdp_md* ctx, struct packet* p) {
    struct ethhdr* eth = (void*)(long)ctx->data;
    p->data_end = (void*)(long)ctx->data_end;
    p->family = 0;
    p->protocol = 0;
    p->fragment = FRAGMENT_NONE;
    p->fragment_offset = 0;
    p->more_fragments = 0;
    if ((void*)(eth + 1) > p->data_end) return PARSE_TRUNCATED;
    p->ethertype = bpf_ntohs(eth->h_proto);
    p->l3 = eth + 1;
#pragma unroll
    for (int i = 0; i < PARSE_MAX_VLANS; i++) {
        if (!is_vlan(p->ethertype)) break;
        struct vlan_tag* tag = p->l3;
        if ((void*)(tag + 1) > p->data_end) return PARSE_TRUNCATED;
        p->ethertype = bpf_ntohs(tag->ethertype);
        p->l3 = tag + 1;
    }
    p->l4 = p->l3;
    return PARSE_OK;
}

// IPv4 at l3. Options are stepped over, not read.
static __always_inline int parse_ipv4(struct packet* p) {
    struct iphdr* ip = p->l3;
    if ((void*)(ip + 1) > p->data_end) return PARSE_TRUNCATED;
    __u32 length = ip->ihl * 4;
    if (ip->version != 4 || length < sizeof(*ip)) return PARSE_MALFORMED;
    p->l4 = (void*)ip + length;
    if (p->l4 > p->data_end) return PARSE_TRUNCATED;
    __u16 frag = bpf_ntohs(ip->frag_off);
    p->fragment_offset = (frag & IPV4_FRAGMENT_OFFSET) * 8;
    p->more_fragments = (frag & IPV4_MORE_FRAGMENTS) != 0;
    p->fragment = p->fragment_offset ? FRAGMENT_LATER : p->more_fragments;
    p->family = 4;
    p->protocol = ip->protocol;
    return PARSE_OK;
}

// How an extension header states its length: (hdrlen + addend) << shift. The
// fragment header has no length field. Zero: not an extension header (ESP and
// "no next header" end the walk like any transport).
#define EXT_SHIFT 0x03
#define EXT_ADDEND(n) ((n) << 2)
#define EXT_ADDEND_OF(how) (((how) >> 2) & 3)
#define EXT_FRAGMENT 0x10
static const __u8 ipv6_ext[256] = {
    [IPPROTO_HOPOPTS] = EXT_ADDEND(1) | 3,
    [IPPROTO_ROUTING] = EXT_ADDEND(1) | 3,
    [IPPROTO_FRAGMENT] = EXT_ADDEND(1) | 3 | EXT_FRAGMENT,
    [IPPROTO_AH] = EXT_ADDEND(2) | 2,
    [IPPROTO_DSTOPTS] = EXT_ADDEND(1) | 3,
    [IPPROTO_MH] = EXT_ADDEND(1) | 3,
    [139] = EXT_ADDEND(1) | 3, // Host Identity Protocol, RFC 7401
    [140] = EXT_ADDEND(1) | 3, // Shim6, RFC 5533
};

// IPv6 at l3, with its extension headers. After a fragment header with an
// offset the walk ends: what follows is the middle of something.
static __always_inline int parse_ipv6(struct packet* p) {
    struct ipv6hdr* ip = p->l3;
    if ((void*)(ip + 1) > p->data_end) return PARSE_TRUNCATED;
    if (ip->version != 6) return PARSE_MALFORMED;
    p->family = 6;
    p->protocol = ip->nexthdr;
    __u8* at = (void*)(ip + 1);
    for (int i = 0; i < PARSE_MAX_EXT; i++) {
        __u32 how = ipv6_ext[p->protocol];
        if (!how) break;
        if ((void*)(at + 8) > p->data_end) return PARSE_TRUNCATED;
        __u32 is_fragment = (how / EXT_FRAGMENT) & 1;
        __u32 hdrlen = at[1] & (is_fragment - 1);
        __u32 frag = bpf_ntohs(*(__be16*)(at + 2)) & -is_fragment;
        p->protocol = at[0];
        __u32 length = (hdrlen + EXT_ADDEND_OF(how)) << (how & EXT_SHIFT);
        at += BOUNDED(length, 0xfff);
        if ((void*)at > p->data_end) return PARSE_TRUNCATED;
        p->more_fragments |= frag & IPV6_MORE_FRAGMENTS;
        p->fragment = p->more_fragments;
        if (frag & IPV6_FRAGMENT_OFFSET) {
            p->fragment = FRAGMENT_LATER;
            p->fragment_offset = frag & IPV6_FRAGMENT_OFFSET;
            p->l4 = at;
            return PARSE_OK;
        }
    }
    p->l4 = at;
    return ipv6_ext[p->protocol] ? PARSE_MALFORMED : PARSE_OK;
}

// The whole walk down to the transport header.
static __always_inline int parse_packet(const struct xdp_md* ctx, struct packet* p) {
    int result = parse_ethernet(ctx, p);
    if (result != PARSE_OK) return result;
    if (p->ethertype == ETH_P_IP) return parse_ipv4(p);
    if (p->ethertype == ETH_P_IPV6) return parse_ipv6(p);
    return is_vlan(p->ethertype) ? PARSE_MALFORMED : PARSE_NOT_IP;
}

static __always_inline int protocol_has_ports(__u8 protocol) {
    return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP ||
           protocol == IPPROTO_UDPLITE;
}

// Source and destination address into a[4], b[4].
static __always_inline void packet_addresses(const struct packet* p, __be32* source, __be32* destination) {
    if (p->family == 4) {
        const struct iphdr* ip = p->l3;
        source[0] = ip->saddr;
        destination[0] = ip->daddr;
        source[1] = source[2] = source[3] = 0;
        destination[1] = destination[2] = destination[3] = 0;
    } else {
        const struct ipv6hdr* ip = p->l3;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            source[i] = ip->saddr.in6_u.u6_addr32[i];
            destination[i] = ip->daddr.in6_u.u6_addr32[i];
        }
    }
}

// Source address alone, as a map key.
static __always_inline void packet_source(const struct packet* p, struct host_key* key) {
    key->family = p->family;
    if (p->family == 4) {
        key->addr[0] = ((const struct iphdr*)p->l3)->saddr;
        key->addr[1] = key->addr[2] = key->addr[3] = 0;
    } else {
        const struct ipv6hdr* ip = p->l3;
#pragma unroll
        for (int i = 0; i < 4; i++) key->addr[i] = ip->saddr.in6_u.u6_addr32[i];
    }
}

// 5-tuple of a packet that parse_packet() called OK. Sets *has_ports when the
// ports are the packet's own. PARSE_TRUNCATED when they should be there and
// are not.
static __always_inline int packet_flow(const struct packet* p, struct flow_key* key, int* has_ports) {
    packet_addresses(p, key->saddr, key->daddr);
    key->protocol = p->protocol;
    key->family = p->family;
    key->zero = 0;
    key->sport = 0;
    key->dport = 0;
    *has_ports = 0;
    if (p->fragment == FRAGMENT_LATER || !protocol_has_ports(p->protocol)) return PARSE_OK;
    __be16* ports = p->l4;
    if ((void*)(ports + 2) > p->data_end) return PARSE_TRUNCATED;
    key->sport = ports[0];
    key->dport = ports[1];
    *has_ports = 1;
    return PARSE_OK;
}

#endif
