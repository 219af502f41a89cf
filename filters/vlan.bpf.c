// SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause)
// Copyright (c) 2026, the xdplane authors
//
// vlan: takes the outer VLAN tag off, or puts one on.
//
// Programs
//   vlan_pop   removes the outer tag (802.1Q or 802.1ad); a second tag stays
//              and becomes the outer one
//   vlan_push  adds a tag in front of whatever is there
//
// Maps
//   vlan_config array[1] of struct vlan_config, 12 bytes, u16 each, host order:
//                0 push_tpid   0x8100 (the default, 0) or 0x88a8
//                2 push_tci    priority, DEI and VLAN id as they go on the wire
//                4 pop_vid     pop only this VLAN id; 0 is any
//                6 pop_other   verdict for what vlan_pop does not pop (no tag or
//                              another id); 0 is 2, pass
//                8 zero[2]
//   vlan_stats  per-CPU array[4] of {u64 packets, u64 bytes} (length as it
//               came): 0 popped, 1 pushed, 2 left alone, 3 failed
//
// Verdicts: XDP_PASS for changed packets. A frame cut inside the tag drops; one
// whose front cannot be moved (no headroom) is XDP_ABORTED.
//
//   xdplane replay -r in.pcap -w out.pcap --prog build/filters/vlan.bpf.o:vlan_push
//       --map vlan_config=vlan.json
//
// with vlan.json pushing VLAN 100 (0x0064, stored little-endian on a
// little-endian machine):
//
//   [{"key": "00000000", "value": "0081 6400 0000 0000 00000000"}]
#include "include/parse.h"

enum { STAT_POPPED, STAT_PUSHED, STAT_LEFT, STAT_FAILED, STATS };

struct vlan_config {
    __u16 push_tpid;
    __u16 push_tci;
    __u16 pop_vid;
    __u16 pop_other;
    __u16 zero[2];
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct vlan_config);
} vlan_config SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, STATS);
    __type(key, __u32);
    __type(value, struct counter);
} vlan_stats SEC(".maps");

struct macs {
    __u16 word[ETH_ALEN];
};

SEC("xdp")
int vlan_pop(struct xdp_md* ctx) {
    struct vlan_config* config = config_of(&vlan_config);
    __u64 bytes = frame_length(ctx);
    struct ethhdr* eth = (void*)(long)ctx->data;
    void* data_end = (void*)(long)ctx->data_end;
    struct vlan_tag* tag = (void*)(eth + 1);

    if (!config) return XDP_ABORTED;
    if ((void*)(eth + 1) > data_end) return XDP_DROP;
    if (!is_vlan(bpf_ntohs(eth->h_proto))) goto left;
    if ((void*)(tag + 1) > data_end) {
        count(&vlan_stats, STAT_FAILED, bytes);
        return XDP_DROP;
    }
    if (config->pop_vid && config->pop_vid != (bpf_ntohs(tag->tci) & 0xfff)) goto left;

    // The tag goes by moving the addresses over it; the type after it is the
    // frame's type already.
    struct macs macs = *(struct macs*)eth;
    if (bpf_xdp_adjust_head(ctx, sizeof(struct vlan_tag))) {
        count(&vlan_stats, STAT_FAILED, bytes);
        return XDP_ABORTED;
    }
    eth = (void*)(long)ctx->data;
    data_end = (void*)(long)ctx->data_end;
    if ((void*)(eth + 1) > data_end) return XDP_ABORTED;
    *(struct macs*)eth = macs;
    count(&vlan_stats, STAT_POPPED, bytes);
    return XDP_PASS;

left:
    count(&vlan_stats, STAT_LEFT, bytes);
    return CONFIG_OR(config->pop_other, XDP_PASS);
}

SEC("xdp")
int vlan_push(struct xdp_md* ctx) {
    struct vlan_config* config = config_of(&vlan_config);
    __u64 bytes = frame_length(ctx);
    struct ethhdr* eth = (void*)(long)ctx->data;
    void* data_end = (void*)(long)ctx->data_end;

    if (!config) return XDP_ABORTED;
    if ((void*)(eth + 1) > data_end) return XDP_DROP;
    struct macs macs = *(struct macs*)eth;
    if (bpf_xdp_adjust_head(ctx, -(int)sizeof(struct vlan_tag))) {
        count(&vlan_stats, STAT_FAILED, bytes);
        return XDP_ABORTED;
    }
    eth = (void*)(long)ctx->data;
    data_end = (void*)(long)ctx->data_end;
    struct vlan_tag* tag = (void*)(eth + 1);
    if ((void*)(tag + 1) > data_end) return XDP_ABORTED;
    *(struct macs*)eth = macs;
    eth->h_proto = bpf_htons(CONFIG_OR(config->push_tpid, ETH_P_8021Q));
    tag->tci = bpf_htons(config->push_tci); // the type behind it is the one that was there
    count(&vlan_stats, STAT_PUSHED, bytes);
    return XDP_PASS;
}

FILTER_LICENSE;
