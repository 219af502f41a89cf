// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/prog/rows.h"
#include "bpf/prog/skb_fields.h"

/// BPF_PROG_TYPE_SCHED_CLS and BPF_PROG_TYPE_SCHED_ACT: traffic control's programs, alike but for their name.
namespace xdplane {
namespace {

using namespace skb_fields;

constexpr CtxField queue_mapping() {
    CtxField row =
        write("queue_mapping", offsetof(__sk_buff, queue_mapping), offsetof(XdpBuff, skb.queue_mapping), 16);
    row.access = CtxAccess::queue_mapping;
    return row;
}

constexpr CtxField tstamp() {
    CtxField row = whole("tstamp", offsetof(__sk_buff, tstamp), offsetof(XdpBuff, skb.tstamp), 8);
    row.writable = true;
    return row;
}

// Linux refuses family to local_port and flow_keys, so these have no rows. tstamp is read and written as at
// egress: the receive time is not hidden from programs that do not ask for tstamp_type.
constexpr CtxField kFields[] = {
    length(),
    read("pkt_type", offsetof(__sk_buff, pkt_type), offsetof(XdpBuff, pkt_type), 8),
    write("mark", offsetof(__sk_buff, mark), offsetof(XdpBuff, mark), 32),
    queue_mapping(),
    read("protocol", offsetof(__sk_buff, protocol), offsetof(XdpBuff, protocol), 16),
    vlan_present(),
    read("vlan_tci", offsetof(__sk_buff, vlan_tci), offsetof(XdpBuff, vlan_tci), 16),
    read("vlan_proto", offsetof(__sk_buff, vlan_proto), offsetof(XdpBuff, vlan_proto), 16),
    write("priority", offsetof(__sk_buff, priority), offsetof(XdpBuff, priority), 32),
    read("ingress_ifindex", offsetof(__sk_buff, ingress_ifindex), offsetof(XdpBuff, ingress_ifindex), 32),
    read("ifindex", offsetof(__sk_buff, ifindex), offsetof(XdpBuff, skb.ifindex), 32),
    write("tc_index", offsetof(__sk_buff, tc_index), offsetof(XdpBuff, skb.tc_index), 16),
    control_block(),
    read("hash", offsetof(__sk_buff, hash), offsetof(XdpBuff, hash), 32),
    write("tc_classid", offsetof(__sk_buff, tc_classid), offsetof(XdpBuff, skb.tc_classid), 16),
    pointer("data", offsetof(__sk_buff, data), CtxValue::packet, offsetof(XdpBuff, data)),
    pointer("data_end", offsetof(__sk_buff, data_end), CtxValue::packet_end, offsetof(XdpBuff, data_end)),
    zero("napi_id", offsetof(__sk_buff, napi_id)),
    pointer("data_meta", offsetof(__sk_buff, data_meta), CtxValue::packet_meta, offsetof(XdpBuff, data_meta)),
    tstamp(),
    read("wire_len", offsetof(__sk_buff, wire_len), offsetof(XdpBuff, wire_len), 32),
    read("gso_segs", offsetof(__sk_buff, gso_segs), offsetof(XdpBuff, skb.gso_segs), 16),
    socket(),
    read("gso_size", offsetof(__sk_buff, gso_size), offsetof(XdpBuff, skb.gso_size), 16),
    whole("tstamp_type", offsetof(__sk_buff, tstamp_type), offsetof(XdpBuff, skb.tstamp_type), 1),
    whole("hwtstamp", offsetof(__sk_buff, hwtstamp), offsetof(XdpBuff, skb.hwtstamp), 8),
};

constexpr ProgramType sched_type(u32 type, std::string_view name, u32 use_bit) {
    return {
        .type = type,
        .name = name,
        .use_bit = use_bit,
        .ctx = kFields,
        .ctx_size = sizeof(__sk_buff),
        .packet_access = true,
        .packet_write = true,
        .legacy_loads = true,
        .return_min = kAnyReturnMin,
        .return_max = kAnyReturnMax,
        .loadable = true,
        .skb_state = true,
    };
}

} // namespace

const ProgramType kSchedClsType = sched_type(BPF_PROG_TYPE_SCHED_CLS, "sched_cls", kUseSchedCls);
const ProgramType kSchedActType = sched_type(BPF_PROG_TYPE_SCHED_ACT, "sched_act", kUseSchedAct);

} // namespace xdplane
