// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// acl: ordered rules on the 5-tuple. The first rule that matches decides;
// the default action decides the rest.
//
// Programs: acl
//
// Maps
//   acl_rules   array[64] of struct acl_rule, key u32 = position. The list ends
//               at the first rule whose action is 0. 80 bytes:
//                 0 saddr[4] 16 smask[4] 32 daddr[4] 48 dmask[4]  network order;
//                   IPv4 uses the first word, the rest stays zero. A prefix is
//                   its mask (/24 is ffffff00); a zero mask is "any".
//                64 sport_min 66 sport_max 68 dport_min 70 dport_max  u16, host
//                   order, both ends belong to the range; max 0 is "any port".
//                72 protocol  0 is any
//                73 family    4, 6, 0 is any
//                74 action    a verdict: 1 drop, 2 pass, 3 send back
//                75 zero[5]
//   acl_config  array[1] of struct acl_config, three u32 verdicts; 0 takes the
//               default: default_action (2 pass), malformed_action (1 drop, for
//               truncated or self-contradictory headers), other_action (2 pass,
//               for frames that are not IP, ARP among them)
//   acl_hits    per-CPU array[67] of {u64 packets, u64 bytes}: a slot per rule,
//               then 64 default, 65 malformed, 66 not IP
//
// A rule that names ports matches only packets that carry ports: TCP, UDP,
// UDP-Lite and SCTP, and of a fragmented packet the first fragment only. A
// policy that must not let later fragments through needs a rule without ports
// for them, or sanity.bpf.c in front with fragments refused.
//
//   xdplane replay -r in.pcap --prog build/filters/acl.bpf.o --map acl_rules=rules.json
//
// with rules.json dropping TCP over IPv4 from 10.0.0.0/8 to ports 22 and 23
// (0x16, 0x17, stored little-endian on a little-endian machine; the value is
// one line in the file):
//
//   [{"key": "00000000", "value": "0a000000 000000000000000000000000
//     ff000000 000000000000000000000000 00000000000000000000000000000000
//     00000000000000000000000000000000 0000 0000 1600 1700 06 04 01 0000000000"}]
#include "include/parse.h"

#define ACL_MAX_RULES 64
#define ACL_SLOT_DEFAULT ACL_MAX_RULES
#define ACL_SLOT_MALFORMED (ACL_MAX_RULES + 1)
#define ACL_SLOT_OTHER (ACL_MAX_RULES + 2)
#define ACL_SLOTS (ACL_MAX_RULES + 3)

struct acl_rule {
    __be32 saddr[4];
    __be32 smask[4];
    __be32 daddr[4];
    __be32 dmask[4];
    __u16 sport_min;
    __u16 sport_max;
    __u16 dport_min;
    __u16 dport_max;
    __u8 protocol;
    __u8 family;
    __u8 action;
    __u8 zero[5];
};

struct acl_config {
    __u32 default_action;
    __u32 malformed_action;
    __u32 other_action;
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, ACL_MAX_RULES);
    __type(key, __u32);
    __type(value, struct acl_rule);
} acl_rules SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct acl_config);
} acl_config SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, ACL_SLOTS);
    __type(key, __u32);
    __type(value, struct counter);
} acl_hits SEC(".maps");

// All four words in one expression: one branch for the verifier to follow.
static __always_inline __u32 differs(const __be32* a, const __be32* b, const __be32* mask) {
    return ((a[0] ^ b[0]) & mask[0]) | ((a[1] ^ b[1]) & mask[1]) | ((a[2] ^ b[2]) & mask[2]) |
           ((a[3] ^ b[3]) & mask[3]);
}

// No port of a packet: above every range.
#define NO_PORT 0x10000

// In one expression, for the same reason: either difference below zero sets
// the sign.
static __always_inline int is_port_outside(__u32 min, __u32 max, __u32 port) {
    return max && (__s32)((port - min) | (max - port)) < 0;
}

static __always_inline int rule_matches(const struct acl_rule* rule, const struct flow_key* flow, __u32 sport,
                                        __u32 dport) {
    if (rule->family && rule->family != flow->family) return 0;
    if (rule->protocol && rule->protocol != flow->protocol) return 0;
    if (differs(flow->saddr, rule->saddr, rule->smask)) return 0;
    if (differs(flow->daddr, rule->daddr, rule->dmask)) return 0;
    return !is_port_outside(rule->sport_min, rule->sport_max, sport) &&
           !is_port_outside(rule->dport_min, rule->dport_max, dport);
}

SEC("xdp")
int acl(struct xdp_md* ctx) {
    struct acl_config* config = config_of(&acl_config);
    struct packet packet;
    struct flow_key flow;
    int has_ports = 0;
    __u32 slot = ACL_SLOT_DEFAULT;
    __u32 verdict;

    if (!config) return XDP_ABORTED;
    int result = parse_packet(ctx, &packet);
    if (result == PARSE_OK) result = packet_flow(&packet, &flow, &has_ports);
    if (result == PARSE_NOT_IP) {
        slot = ACL_SLOT_OTHER;
        verdict = CONFIG_OR(config->other_action, XDP_PASS);
    } else if (result != PARSE_OK) {
        slot = ACL_SLOT_MALFORMED;
        verdict = CONFIG_OR(config->malformed_action, XDP_DROP);
    } else {
        verdict = CONFIG_OR(config->default_action, XDP_PASS);
        __u32 sport = has_ports ? bpf_ntohs(flow.sport) : NO_PORT;
        __u32 dport = has_ports ? bpf_ntohs(flow.dport) : NO_PORT;
        for (__u32 i = 0; i < ACL_MAX_RULES; i++) {
            __u32 key = i;
            struct acl_rule* rule = bpf_map_lookup_elem(&acl_rules, &key);
            if (!rule || !rule->action) break;
            if (!rule_matches(rule, &flow, sport, dport)) continue;
            verdict = rule->action;
            slot = i;
            break;
        }
    }
    count(&acl_hits, slot, frame_length(ctx));
    return verdict;
}

FILTER_LICENSE;
