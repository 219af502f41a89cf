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
    // The device that the packet was redirected to: what programs in a device map run for.
    field("egress_ifindex", offsetof(xdp_md, egress_ifindex), CtxValue::scalar, CtxAccess::direct,
          offsetof(XdpBuff, redirect_ifindex), 32),
};

constexpr ProgramType xdp_type(std::span<const CtxField> fields) {
    return {
        .type = BPF_PROG_TYPE_XDP,
        .name = "xdp",
        .use_bit = kUseXdp,
        .ctx = fields,
        .ctx_size = sizeof(xdp_md),
        .packet_access = true,
        .packet_write = true,
        .legacy_loads = false,
        .return_min = kAnyReturnMin,
        .return_max = kAnyReturnMax,
        .loadable = true,
    };
}

constexpr ProgramType devmap_type() {
    ProgramType row = xdp_type(kFields);
    row.attach_type = BPF_XDP_DEVMAP;
    return row;
}

} // namespace

// Linux refuses egress_ifindex to all programs but those of BPF_XDP_DEVMAP.
const ProgramType kXdpType = xdp_type(std::span(kFields).first(std::size(kFields) - 1));
const ProgramType kXdpDevmapType = devmap_type();

} // namespace xdplane
