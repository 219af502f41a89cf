// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/prog/rows.h"
#include "bpf/prog/skb_fields.h"

/// BPF_PROG_TYPE_CGROUP_SKB: what the sockets of a cgroup send and receive. Programs see packets from the
/// network header on.
namespace xdplane {
namespace {

using namespace skb_fields;

constexpr CtxField privileged(CtxField row) {
    row.privileged = true;
    return row;
}

constexpr CtxField tstamp() {
    CtxField row = whole("tstamp", offsetof(__sk_buff, tstamp), offsetof(XdpBuff, skb.tstamp), 8);
    row.writable = true;
    row.write_privileged = true;
    return row;
}

// Linux refuses data_meta, tc_classid, flow_keys, wire_len and tstamp_type, so these have no rows.
// family to local_port are the socket's, and no packet has one here.
constexpr CtxField kFields[] = {
    length(),
    read("pkt_type", offsetof(__sk_buff, pkt_type), offsetof(XdpBuff, pkt_type), 8),
    write("mark", offsetof(__sk_buff, mark), offsetof(XdpBuff, mark), 32),
    read("queue_mapping", offsetof(__sk_buff, queue_mapping), offsetof(XdpBuff, skb.queue_mapping), 16),
    read("protocol", offsetof(__sk_buff, protocol), offsetof(XdpBuff, protocol), 16),
    vlan_present(),
    read("vlan_tci", offsetof(__sk_buff, vlan_tci), offsetof(XdpBuff, vlan_tci), 16),
    read("vlan_proto", offsetof(__sk_buff, vlan_proto), offsetof(XdpBuff, vlan_proto), 16),
    write("priority", offsetof(__sk_buff, priority), offsetof(XdpBuff, priority), 32),
    read("ingress_ifindex", offsetof(__sk_buff, ingress_ifindex), offsetof(XdpBuff, ingress_ifindex), 32),
    read("ifindex", offsetof(__sk_buff, ifindex), offsetof(XdpBuff, skb.ifindex), 32),
    read("tc_index", offsetof(__sk_buff, tc_index), offsetof(XdpBuff, skb.tc_index), 16),
    control_block(),
    read("hash", offsetof(__sk_buff, hash), offsetof(XdpBuff, hash), 32),
    privileged(pointer("data", offsetof(__sk_buff, data), CtxValue::packet, offsetof(XdpBuff, data))),
    privileged(pointer("data_end", offsetof(__sk_buff, data_end), CtxValue::packet_end,
                       offsetof(XdpBuff, data_end))),
    zero("napi_id", offsetof(__sk_buff, napi_id)),
    zero("family", offsetof(__sk_buff, family)),
    zero_words("remote_ip4", offsetof(__sk_buff, remote_ip4), 4),
    zero_words("local_ip4", offsetof(__sk_buff, local_ip4), 4),
    zero_words("remote_ip6", offsetof(__sk_buff, remote_ip6), sizeof(__sk_buff::remote_ip6)),
    zero_words("local_ip6", offsetof(__sk_buff, local_ip6), sizeof(__sk_buff::local_ip6)),
    zero("remote_port", offsetof(__sk_buff, remote_port)),
    zero("local_port", offsetof(__sk_buff, local_port)),
    tstamp(),
    read("gso_segs", offsetof(__sk_buff, gso_segs), offsetof(XdpBuff, skb.gso_segs), 16),
    socket(),
    read("gso_size", offsetof(__sk_buff, gso_size), offsetof(XdpBuff, skb.gso_size), 16),
    whole("hwtstamp", offsetof(__sk_buff, hwtstamp), offsetof(XdpBuff, skb.hwtstamp), 8),
};

constexpr u32 kAttachTypes[] = {BPF_CGROUP_INET_INGRESS, BPF_CGROUP_INET_EGRESS};

/// Bit 0 of the result: the packet may pass. Bit 1, at egress: there is congestion.
constexpr ProgramType cgroup_type(u32 attach_type, i64 return_max) {
    return {
        .type = BPF_PROG_TYPE_CGROUP_SKB,
        .name = "cgroup_skb",
        .use_bit = kUseCgroupSkb,
        .ctx = kFields,
        .ctx_size = sizeof(__sk_buff),
        .packet_access = true,
        .packet_write = false,
        .legacy_loads = false,
        .return_min = 0,
        .return_max = return_max,
        .loadable = true,
        .attach_type =
            attach_type == BPF_CGROUP_INET_INGRESS ? std::nullopt : std::optional<u32>(attach_type),
        .attach_types = kAttachTypes,
        .skb_state = true,
        .network_view = true,
    };
}

} // namespace

const ProgramType kCgroupSkbType = cgroup_type(BPF_CGROUP_INET_INGRESS, 1);
const ProgramType kCgroupSkbEgressType = cgroup_type(BPF_CGROUP_INET_EGRESS, 3);

} // namespace xdplane
