// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <cerrno>
#include <cstring>

#include "bpf/helpers/kfunc_rows.h"
#include "bpf/run/packet.h"

/// What the NIC said of a packet (Documentation/networking/xdp-rx-metadata.rst): 0, or -ENODATA where the
/// port or the capture did not say.
namespace xdplane {
namespace {

const XdpBuff& packet_of(u64 ctx) noexcept { return *reinterpret_cast<const XdpBuff*>(ctx); }
constexpr u64 kNoData = static_cast<u64>(i64{-ENODATA});

template<class T>
void put(u64 to, T value) noexcept {
    std::memcpy(reinterpret_cast<void*>(to), &value, sizeof value);
}

u64 rx_timestamp(u64 ctx, u64 timestamp, u64, u64, u64) noexcept {
    if (packet_of(ctx).timestamp_ns == 0) return kNoData;
    put<u64>(timestamp, packet_of(ctx).timestamp_ns);
    return 0;
}

/// Which headers went into the hash is not known: XDP_RSS_TYPE_NONE.
u64 rx_hash(u64 ctx, u64 hash, u64 type, u64, u64) noexcept {
    if (packet_of(ctx).hash == 0) return kNoData;
    put<u32>(hash, packet_of(ctx).hash);
    put<u32>(type, 0);
    return 0;
}

u64 rx_vlan_tag(u64 ctx, u64 protocol, u64 tci, u64, u64) noexcept {
    if (packet_of(ctx).vlan_present == 0) return kNoData;
    put<u16>(protocol, packet_of(ctx).vlan_proto);
    put<u16>(tci, packet_of(ctx).vlan_tci);
    return 0;
}

} // namespace

const HelperProto kKfuncXdpMetadataRxTimestamp = {.id = 0,
                                                  .name = "bpf_xdp_metadata_rx_timestamp",
                                                  .fn = rx_timestamp,
                                                  .ret = Ret::integer,
                                                  .args = {Arg::ctx, Arg::inout_fixed_mem},
                                                  .use = kUseXdp,
                                                  .fixed_sizes = {0, 8},
                                                  .unprivileged = false,
                                                  .is_kfunc = true};
const HelperProto kKfuncXdpMetadataRxHash = {.id = 0,
                                             .name = "bpf_xdp_metadata_rx_hash",
                                             .fn = rx_hash,
                                             .ret = Ret::integer,
                                             .args = {Arg::ctx, Arg::inout_fixed_mem, Arg::inout_fixed_mem},
                                             .use = kUseXdp,
                                             .fixed_sizes = {0, 4, 4},
                                             .unprivileged = false,
                                             .is_kfunc = true};
const HelperProto kKfuncXdpMetadataRxVlanTag = {
    .id = 0,
    .name = "bpf_xdp_metadata_rx_vlan_tag",
    .fn = rx_vlan_tag,
    .ret = Ret::integer,
    .args = {Arg::ctx, Arg::inout_fixed_mem, Arg::inout_fixed_mem},
    .use = kUseXdp,
    .fixed_sizes = {0, 2, 2},
    .unprivileged = false,
    .is_kfunc = true};

} // namespace xdplane
