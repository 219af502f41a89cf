// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <cstddef>
#include <linux/bpf.h>

#include "bpf/prog/rows.h"
#include "bpf/run/packet.h"

namespace xdplane {
namespace {

constexpr CtxField field(std::string_view name, std::size_t begin, CtxValue value, CtxAccess access,
                         std::size_t offset, u8 width) {
    return {.name = name,
            .begin = static_cast<u16>(begin),
            .end = static_cast<u16>(begin + 4),
            .value = value,
            .access = access,
            .offset = static_cast<u16>(offset),
            .width = width,
            .writable = false,
            .narrow_allowed = false}; // Linux: whole, aligned reads of 4 bytes only
}

// egress_ifindex has no row: Linux gives it to programs of BPF_XDP_DEVMAP alone and refuses the access
// elsewhere.
constexpr CtxField kFields[] = {
    field("data", offsetof(xdp_md, data), CtxValue::packet, CtxAccess::pointer, offsetof(XdpBuff, data), 64),
    field("data_end", offsetof(xdp_md, data_end), CtxValue::packet_end, CtxAccess::pointer,
          offsetof(XdpBuff, data_end), 64),
    field("data_meta", offsetof(xdp_md, data_meta), CtxValue::packet_meta, CtxAccess::pointer,
          offsetof(XdpBuff, data_meta), 64),
    field("ingress_ifindex", offsetof(xdp_md, ingress_ifindex), CtxValue::scalar, CtxAccess::direct,
          offsetof(XdpBuff, ingress_ifindex), 32),
    field("rx_queue_index", offsetof(xdp_md, rx_queue_index), CtxValue::scalar, CtxAccess::direct,
          offsetof(XdpBuff, rx_queue), 32),
};

} // namespace

const ProgramType kXdpType = {
    .type = BPF_PROG_TYPE_XDP,
    .name = "xdp",
    .use_bit = kUseXdp,
    .ctx = kFields,
    .ctx_size = sizeof(xdp_md),
    .packet_access = true,
    .packet_write = true,
    .legacy_loads = false,
    .return_min = kAnyReturnMin,
    .return_max = kAnyReturnMax,
    .loadable = true,
};

} // namespace xdplane
