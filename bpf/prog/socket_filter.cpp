// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <cstddef>
#include <linux/bpf.h>

#include "bpf/prog/rows.h"
#include "bpf/run/packet.h"

namespace xdplane {
namespace {

constexpr CtxField read(std::string_view name, std::size_t begin, std::size_t offset, u8 width) {
    return {.name = name,
            .begin = static_cast<u16>(begin),
            .end = static_cast<u16>(begin + 4),
            .value = CtxValue::scalar,
            .access = CtxAccess::direct,
            .offset = static_cast<u16>(offset),
            .width = width,
            .writable = false,
            .narrow_allowed = true};
}

/// What Linux lets a socket filter read, and what has no meaning here.
constexpr CtxField zero(std::string_view name, std::size_t begin) {
    CtxField row = read(name, begin, 0, 32);
    row.access = CtxAccess::zero;
    return row;
}

constexpr CtxField control_block() {
    CtxField row = read("cb", offsetof(__sk_buff, cb), offsetof(XdpBuff, cb), 32);
    row.end = static_cast<u16>(row.begin + sizeof(__sk_buff::cb));
    row.writable = true;
    row.bytes = true;
    return row;
}
static_assert(sizeof(__sk_buff::cb) == sizeof(XdpBuff::cb));

// Linux refuses to socket filters: data, data_end, data_meta, tc_classid, family to local_port, flow_keys,
// tstamp, tstamp_type, wire_len, hwtstamp; so these have no rows. Neither has sk, a pointer to a socket that
// no packet has here. Only cb may be written.
constexpr CtxField kFields[] = {
    read("len", offsetof(__sk_buff, len), offsetof(XdpBuff, wire_len), 32),
    read("pkt_type", offsetof(__sk_buff, pkt_type), offsetof(XdpBuff, pkt_type), 8),
    read("mark", offsetof(__sk_buff, mark), offsetof(XdpBuff, mark), 32),
    read("queue_mapping", offsetof(__sk_buff, queue_mapping), offsetof(XdpBuff, rx_queue), 32),
    read("protocol", offsetof(__sk_buff, protocol), offsetof(XdpBuff, protocol), 16),
    read("vlan_present", offsetof(__sk_buff, vlan_present), offsetof(XdpBuff, vlan_present), 8),
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
