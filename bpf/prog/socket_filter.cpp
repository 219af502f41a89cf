// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/prog/rows.h"
#include "bpf/prog/skb_fields.h"

namespace xdplane {
namespace {

using skb_fields::control_block;
using skb_fields::read;
using skb_fields::socket;
using skb_fields::vlan_present;
using skb_fields::zero;

// Linux refuses to socket filters: data, data_end, data_meta, tc_classid, family to local_port, flow_keys,
// tstamp, tstamp_type, wire_len, hwtstamp; so these have no rows. Only cb may be written. `len` is that on
// the wire: a filter judges what was sent, not what a capture kept of it. tc_index, napi_id, gso_segs and
// gso_size would be the third cache line's, which socket filters leave alone.
constexpr CtxField kFields[] = {
    read("len", offsetof(__sk_buff, len), offsetof(XdpBuff, wire_len), 32),
    read("pkt_type", offsetof(__sk_buff, pkt_type), offsetof(XdpBuff, pkt_type), 8),
    read("mark", offsetof(__sk_buff, mark), offsetof(XdpBuff, mark), 32),
    read("queue_mapping", offsetof(__sk_buff, queue_mapping), offsetof(XdpBuff, rx_queue), 32),
    read("protocol", offsetof(__sk_buff, protocol), offsetof(XdpBuff, protocol), 16),
    vlan_present(),
    read("vlan_tci", offsetof(__sk_buff, vlan_tci), offsetof(XdpBuff, vlan_tci), 16),
    read("vlan_proto", offsetof(__sk_buff, vlan_proto), offsetof(XdpBuff, vlan_proto), 16),
    read("priority", offsetof(__sk_buff, priority), offsetof(XdpBuff, priority), 32),
    read("ingress_ifindex", offsetof(__sk_buff, ingress_ifindex), offsetof(XdpBuff, ingress_ifindex), 32),
    read("ifindex", offsetof(__sk_buff, ifindex), offsetof(XdpBuff, ingress_ifindex), 32),
    zero("tc_index", offsetof(__sk_buff, tc_index)),
    control_block(),
    read("hash", offsetof(__sk_buff, hash), offsetof(XdpBuff, hash), 32),
    zero("napi_id", offsetof(__sk_buff, napi_id)),
    zero("gso_segs", offsetof(__sk_buff, gso_segs)),
    socket(),
    zero("gso_size", offsetof(__sk_buff, gso_size)),
};

} // namespace

const ProgramType kSocketFilterType = {
    .type = BPF_PROG_TYPE_SOCKET_FILTER,
    .name = "socket_filter",
    .use_bit = kUseSocketFilter,
    .ctx = kFields,
    .ctx_size = sizeof(__sk_buff),
    .packet_access = false,
    .packet_write = false,
    .legacy_loads = true,
    .return_min = kAnyReturnMin,
    .return_max = kAnyReturnMax,
    .loadable = true,
};

} // namespace xdplane
