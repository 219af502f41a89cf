// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// sanity: the stage to put first. Drops packets that no honest sender makes:
// cut short, self-contradictory, with a wrong header checksum, from impossible
// addresses, with nonsense TCP flags; and says which of these it was.
//
// Programs: sanity
//
// Maps
//   sanity_config array[1] of struct sanity_config, 16 bytes: u64 off, u64 on;
//                 bit n switches check n (below) off, or on where it is off by
//                 default. All zero: every check but `fragment` and `private`.
//   sanity_stats  per-CPU array[32] of {u64 packets, u64 bytes}, by the number
//                 of the check that dropped the packet; 0 counts what passed as
//                 IP and 1 what passed as something else (ARP and so on)
//
// Checks, in the order of the headers; the first that fails drops the packet
//    2 vlan_truncated   frame ends inside a VLAN tag
//    3 vlan_depth       more than two tags
//    4 source_mac       source address is a group address or all zero
//    5 ip4_truncated    frame ends inside the IPv4 header or its options
//    6 ip4_header       version is not 4, or header length below 20
//    7 ip4_length       total length below the header's or beyond the frame
//    8 ip4_checksum     header checksum is wrong
//    9 ttl              IPv4 TTL 0 or IPv6 hop limit 0
//   10 martian          source that can never be one: IPv4 0/8 (but 0.0.0.0 to
//                       255.255.255.255, as DHCP does), 127/8, 224/3; IPv6 ::1,
//                       :: (but to multicast, as address detection does),
//                       multicast, IPv4-mapped
//   11 private          (off by default) source that does not belong on the
//                       public internet: 10/8, 100.64/10, 169.254/16, 172.16/12,
//                       192.0.2/24, 192.168/16, 198.18/15, 198.51.100/24,
//                       203.0.113/24; fc00::/7, 2001:db8::/32
//   12 land             source and destination address are equal
//   13 fragment         (off by default) any fragment
//   14 fragment_shape   a fragment other than the last whose length is no
//                       multiple of 8; one that ends beyond 65535; DF together
//                       with a fragment; a first TCP fragment too short for its
//                       header, or one at offset 8 that would overwrite it (RFC
//                       1858)
//   15 ip6_truncated    frame ends inside the IPv6 header
//   16 ip6_header       version is not 6
//   17 ip6_length       payload length beyond the frame
//   18 ip6_extension    extension headers cut short, or more than six
//   19 l4_truncated     packet ends inside the TCP, UDP, ICMP (8 bytes) or ICMPv6
//                       (4) header
//   20 tcp_header       header length below 20 or beyond the packet
//   21 tcp_flags        none at all; SYN with FIN or RST; FIN with RST; FIN without
//                       ACK; PSH or URG without ACK or SYN
//   22 port_zero        TCP or UDP port 0
//   23 udp_length       UDP length below 8 or beyond the packet
//
// With a check off its packets go on to the next one, where there is a next
// one that can still be made: a header that is not whole ends the checks, and
// the packet passes.
//
//   xdplane replay -r in.pcap --write-dropped odd.pcap --prog build/filters/sanity.bpf.o
#include "include/parse.h"

enum check {
    PASSED_IP = 0,
    PASSED_OTHER = 1,
    VLAN_TRUNCATED,
    VLAN_DEPTH,
    SOURCE_MAC,
    IP4_TRUNCATED,
    IP4_HEADER,
    IP4_LENGTH,
    IP4_CHECKSUM,
    TTL,
    MARTIAN,
    PRIVATE,
    LAND,
    FRAGMENT,
    FRAGMENT_SHAPE,
    IP6_TRUNCATED,
    IP6_HEADER,
    IP6_LENGTH,
    IP6_EXTENSION,
    L4_TRUNCATED,
    TCP_HEADER,
    TCP_FLAGS,
    PORT_ZERO,
    UDP_LENGTH,
};

#define SANITY_SLOTS 32
#define BIT(n) (1ull << (n))
#define OFF_BY_DEFAULT (BIT(FRAGMENT) | BIT(PRIVATE))

struct sanity_config {
    __u64 off;
    __u64 on;
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct sanity_config);
} sanity_config SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, SANITY_SLOTS);
    __type(key, __u32);
    __type(value, struct counter);
} sanity_stats SEC(".maps");

// A failed check returns its number if it is on.
#define CHECK(checks, number, failed)                                                                        \
    if (((checks) & BIT(number)) && (failed)) return (number)
// The same where nothing after it can be checked.
#define NEED(checks, number, failed)                                                                         \
    if (failed) return ((checks) & BIT(number)) ? (number) : PASSED_IP

static __always_inline int in_net(__u32 addr, __u8 a, __u8 b, __u8 c, int bits) {
    return (addr ^ ((__u32)a << 24 | (__u32)b << 16 | (__u32)c << 8)) >> (32 - bits) == 0;
}

static __always_inline int is_martian4(__u32 source, __u32 destination) {
    if (in_net(source, 0, 0, 0, 8)) return source || destination != 0xffffffff;
    return in_net(source, 127, 0, 0, 8) || in_net(source, 224, 0, 0, 3);
}

struct net4 {
    __u32 net;
    __u32 mask;
};
#define NET4(a, b, c, bits) {(__u32)(a) << 24 | (b) << 16 | (c) << 8, ~0u << (32 - (bits))}
static const struct net4 private4[] = {
    NET4(10, 0, 0, 8),    NET4(100, 64, 0, 10),   NET4(169, 254, 0, 16),
    NET4(172, 16, 0, 12), NET4(192, 0, 2, 24),    NET4(192, 168, 0, 16),
    NET4(198, 18, 0, 15), NET4(198, 51, 100, 24), NET4(203, 0, 113, 24),
};

// A loop over a table: the compiler would turn the same comparisons in a row
// into flags that it joins at the end, which doubles the paths with each one.
static __always_inline int is_private4(__u32 a) {
#pragma clang loop unroll(disable)
    for (__u32 i = 0; i < sizeof(private4) / sizeof(private4[0]); i++)
        if ((a & private4[i].mask) == private4[i].net) return 1;
    return 0;
}

static __always_inline int is_martian6(const __be32* source, const __be32* destination) {
    __u32 first = bpf_ntohl(source[0]);
    if (first >> 24 == 0xff) return 1;
    if (source[0] | source[1]) return 0;
    if (source[2] == bpf_htonl(0x0000ffff)) return 1;
    if (source[2]) return 0;
    if (source[3] == bpf_htonl(1)) return 1;
    return source[3] == 0 && bpf_ntohl(destination[0]) >> 24 != 0xff;
}

static __always_inline int is_private6(const __be32* source) {
    __u32 first = bpf_ntohl(source[0]);
    return first >> 25 == 0xfc >> 1 || first == 0x20010db8;
}

// One's complement sum of the header; a whole one adds up to 0xffff. Options
// are seldom there: they are copied out and padded with zeros, which the sum
// does not see, so that both parts have a length the verifier knows.
static __always_inline int is_checksum_right(struct xdp_md* ctx, const struct packet* p) {
    struct iphdr* ip = p->l3;
    __s64 sum = bpf_csum_diff(0, 0, (__be32*)ip, sizeof(*ip), 0);
    __u32 length = BOUNDED(p->l4 - (void*)(ip + 1), 63);
    if (length) {
        __be32 options[10] = {};
        if (length > sizeof(options)) return 0;
        __u32 at = (void*)(ip + 1) - (void*)(long)ctx->data;
        if (bpf_xdp_load_bytes(ctx, at, options, length)) return 0;
        sum = bpf_csum_diff(0, 0, options, sizeof(options), sum);
    }
    sum = (sum & 0xffff) + (sum >> 16 & 0xffff);
    return (sum & 0xffff) + (sum >> 16) == 0xffff;
}

// The rest of the packet: what the IP header says, as far as the frame has it.
static __always_inline __u32 remaining(const struct packet* p, __u32 claimed) {
    __u32 there = p->data_end - p->l4;
    return claimed < there ? claimed : there;
}

static __always_inline int check_ethernet(const struct xdp_md* ctx, struct packet* p, __u64 checks) {
    if (parse_ethernet(ctx, p) != PARSE_OK)
        return checks & BIT(VLAN_TRUNCATED) ? VLAN_TRUNCATED : PASSED_OTHER;
    const __u16* source = (void*)(long)ctx->data + ETH_ALEN;
    if ((void*)(source + 3) > p->data_end) return PASSED_OTHER;
    CHECK(checks, VLAN_DEPTH, is_vlan(p->ethertype));
    CHECK(checks, SOURCE_MAC, *(const __u8*)source & 1 || !(source[0] | source[1] | source[2]));
    if (p->ethertype != ETH_P_IP && p->ethertype != ETH_P_IPV6) return PASSED_OTHER;
    return -1;
}

// IPv4 down to its addresses. Leaves the transport's length in *length; below
// 0 means go on.
static __always_inline int check_ipv4(struct xdp_md* ctx, struct packet* p, __u64 checks, __u32* length) {
    struct iphdr* ip = p->l3;
    NEED(checks, IP4_TRUNCATED, (void*)(ip + 1) > p->data_end);
    __u32 header = ip->ihl * 4;
    NEED(checks, IP4_HEADER, ip->version != 4 || header < sizeof(*ip));
    NEED(checks, IP4_TRUNCATED, parse_ipv4(p) != PARSE_OK);
    __u32 total = bpf_ntohs(ip->tot_len), frame = p->data_end - p->l3;
    CHECK(checks, IP4_LENGTH, total < header || total > frame);
    CHECK(checks, IP4_CHECKSUM, !is_checksum_right(ctx, p));
    CHECK(checks, TTL, !ip->ttl);
    __u32 source = bpf_ntohl(ip->saddr), destination = bpf_ntohl(ip->daddr);
    CHECK(checks, MARTIAN, is_martian4(source, destination));
    CHECK(checks, PRIVATE, is_private4(source));
    CHECK(checks, LAND, source == destination);
    CHECK(checks, FRAGMENT_SHAPE, p->fragment && ip->frag_off & bpf_htons(0x4000));
    *length = remaining(p, total < header ? 0 : total - header);
    return -1;
}

static __always_inline int check_ipv6(struct packet* p, __u64 checks, __u32* length) {
    struct ipv6hdr* ip = p->l3;
    NEED(checks, IP6_TRUNCATED, (void*)(ip + 1) > p->data_end);
    NEED(checks, IP6_HEADER, ip->version != 6);
    __u32 payload = bpf_ntohs(ip->payload_len), frame = p->data_end - (void*)(ip + 1);
    CHECK(checks, IP6_LENGTH, payload > frame);
    CHECK(checks, TTL, !ip->hop_limit);
    __be32 source[4], destination[4];
    p->family = 6;
    packet_addresses(p, source, destination);
    CHECK(checks, MARTIAN, is_martian6(source, destination));
    CHECK(checks, PRIVATE, is_private6(source));
    CHECK(checks, LAND,
          !((source[0] ^ destination[0]) | (source[1] ^ destination[1]) | (source[2] ^ destination[2]) |
            (source[3] ^ destination[3])));
    NEED(checks, IP6_EXTENSION, parse_ipv6(p) != PARSE_OK);
    __u32 extensions = p->l4 - (void*)(ip + 1);
    CHECK(checks, IP6_EXTENSION, extensions > payload);
    *length = remaining(p, extensions > payload ? 0 : payload - extensions);
    return -1;
}

static __always_inline int check_fragment(struct packet* p, __u64 checks, __u32 length) {
    if (!p->fragment) return -1;
    CHECK(checks, FRAGMENT, 1);
    CHECK(checks, FRAGMENT_SHAPE, p->more_fragments && length & 7);
    CHECK(checks, FRAGMENT_SHAPE, p->fragment_offset + length > 65535);
    CHECK(checks, FRAGMENT_SHAPE,
          p->protocol == IPPROTO_TCP &&
              (p->fragment == FRAGMENT_FIRST ? length < 20 : p->fragment_offset == 8));
    return p->fragment == FRAGMENT_LATER ? PASSED_IP : -1;
}

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_PSH 0x08
#define TCP_ACK 0x10
#define TCP_URG 0x20

static __always_inline int are_flags_nonsense(__u32 flags) {
    if (!(flags & 0x3f)) return 1;
    if (flags & TCP_SYN && flags & (TCP_FIN | TCP_RST)) return 1;
    if (flags & TCP_FIN && flags & TCP_RST) return 1;
    if (flags & TCP_ACK) return 0;
    return flags & TCP_FIN || (!(flags & TCP_SYN) && flags & (TCP_PSH | TCP_URG));
}

static __always_inline int check_tcp(struct packet* p, __u64 checks, __u32 length) {
    struct tcphdr* tcp = p->l4;
    NEED(checks, L4_TRUNCATED, length < sizeof(*tcp) || (void*)(tcp + 1) > p->data_end);
    CHECK(checks, TCP_HEADER, tcp->doff < 5 || tcp->doff * 4u > length);
    CHECK(checks, TCP_FLAGS, are_flags_nonsense(((__u8*)tcp)[13]));
    CHECK(checks, PORT_ZERO, !tcp->source || !tcp->dest);
    return PASSED_IP;
}

static __always_inline int check_udp(struct packet* p, __u64 checks, __u32 length) {
    struct udphdr* udp = p->l4;
    NEED(checks, L4_TRUNCATED, length < sizeof(*udp) || (void*)(udp + 1) > p->data_end);
    CHECK(checks, PORT_ZERO, !udp->source || !udp->dest);
    __u32 claimed = bpf_ntohs(udp->len);
    // The first fragment has the length of the whole datagram.
    CHECK(checks, UDP_LENGTH, claimed < sizeof(*udp) || (claimed > length && !p->fragment));
    return PASSED_IP;
}

static __always_inline int check_packet(struct xdp_md* ctx, __u64 checks) {
    struct packet packet;
    __u32 length = 0;
    int failed = check_ethernet(ctx, &packet, checks);
    if (failed >= 0) return failed;
    if (packet.ethertype == ETH_P_IP)
        failed = check_ipv4(ctx, &packet, checks, &length);
    else
        failed = check_ipv6(&packet, checks, &length);
    if (failed >= 0) return failed;
    failed = check_fragment(&packet, checks, length);
    if (failed >= 0) return failed;
    if (packet.protocol == IPPROTO_TCP) return check_tcp(&packet, checks, length);
    if (packet.protocol == IPPROTO_UDP) return check_udp(&packet, checks, length);
    // ICMP's smallest message has 8 bytes, ICMPv6's header has 4.
    if (packet.protocol == IPPROTO_ICMP) CHECK(checks, L4_TRUNCATED, length < 8);
    if (packet.protocol == IPPROTO_ICMPV6) CHECK(checks, L4_TRUNCATED, length < 4);
    return PASSED_IP;
}

SEC("xdp")
int sanity(struct xdp_md* ctx) {
    struct sanity_config* config = config_of(&sanity_config);
    if (!config) return XDP_ABORTED;
    __u64 checks = (~OFF_BY_DEFAULT | config->on) & ~config->off;
    int failed = check_packet(ctx, checks);
    count(&sanity_stats, failed, frame_length(ctx));
    return failed <= PASSED_OTHER ? XDP_PASS : XDP_DROP;
}

FILTER_LICENSE;
