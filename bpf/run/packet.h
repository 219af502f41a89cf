// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <array>
#include <cstddef>
#include <type_traits>

#include "bpf/base/types.h"

/// What programs run on: packets in bursts. Plain data, filled by a port or a capture file, read and changed
/// by programs through the offsets that lowering puts into their context accesses.
namespace xdplane {

/// Bytes in front of a packet that bpf_xdp_adjust_head and _meta may use (XDP_PACKET_HEADROOM).
inline constexpr u32 kHeadroom = 256;
/// The first bytes of the headroom belong to Linux's struct xdp_frame: data and data_meta stay behind them.
inline constexpr u32 kFrameHeader = 40;
/// Room for growth behind a packet that a port leaves where it can, as in a Linux page of 4096 bytes:
/// frame_end = max(hard_start + 4096 - 320, data_end).
inline constexpr u32 kFrameSize = 4096;
inline constexpr u32 kFrameTail = 320;

/// Verdicts of enum xdp_action.
enum Verdict : u32 { kAborted = 0, kDrop = 1, kPass = 2, kTx = 3, kRedirect = 4 };
inline constexpr u32 kVerdicts = 5;

/// What programs of Linux's socket buffers know of a packet beyond what XDP does: the part of struct sk_buff
/// that __sk_buff and the helpers show. Offsets count from XdpBuff::hard_start, so that they stay true when
/// data moves; see skb.h.
struct SkbState {
    static constexpr u32 kNoHeader = ~0U;

    u64 tstamp;         ///< __sk_buff::tstamp
    u64 hwtstamp;       ///< __sk_buff::hwtstamp
    u32 mac;            ///< offset of the link-layer header
    u32 network;        ///< offset of the network header
    u32 transport;      ///< offset of the transport header; kNoHeader: not known
    u32 csum;           ///< of everything from the network header on, where csum_kind is complete
    u32 ifindex;        ///< __sk_buff::ifindex
    u16 queue_mapping;  ///< __sk_buff::queue_mapping
    u16 tc_index;       ///< __sk_buff::tc_index
    u16 tc_classid;     ///< __sk_buff::tc_classid
    u16 gso_segs;       ///< __sk_buff::gso_segs
    u16 gso_size;       ///< __sk_buff::gso_size
    u8 tstamp_type;     ///< BPF_SKB_TSTAMP_...
    u8 csum_kind;       ///< enum class SkbCsum
    u8 csum_level;      ///< checksums beyond the first that are known to be right
    bool hash_known;    ///< XdpBuff::hash is one, even if it is 0
    bool encapsulation; ///< an outer header was added
};
static_assert(sizeof(SkbState) <= kCacheLine);

/// One packet, the context of every packet program (XDP reads it as struct xdp_md, the others as struct
/// __sk_buff; bpf/prog has the tables). The first cache line is what an XDP program touches; who fills a
/// packet leaves the third alone.
///
/// Invariant: hard_start + kFrameHeader <= data_meta <= data <= data_end <= frame_end; data_meta == data
/// means no metadata. Owner of the bytes: whoever filled the burst.
struct alignas(kCacheLine) XdpBuff {
    u8* data;
    u8* data_end;
    u8* data_meta;
    u8* hard_start;
    u8* frame_end;
    u32 wire_len; ///< bytes on the wire; more than data_end - data where a capture's snaplen cut the packet
    u32 ingress_ifindex;
    u32 rx_queue;
    u32 verdict;      ///< out: the program's return value, not yet checked against kVerdicts
    u64 timestamp_ns; ///< arrival: the capture's stamp in replay; 0 where the port has none

    u64 index;               ///< ordinal of the packet in its input; seeds bpf_get_prandom_u32 in replay
    void* origin;            ///< the port's own: an mbuf, a capture record
    u32 redirect_ifindex;    ///< out: target of XDP_REDIRECT, set by bpf_redirect; 0 if none
    u32 redirect_flags : 31; ///< out: struct Redirect (redirect.h)
    u32 skb_ready : 1;       ///< `skb` has been filled (begin_skb); 0 in a new packet
    u32 mark;
    u32 priority;
    u32 hash;
    u16 protocol; ///< EtherType in network byte order, as in __sk_buff
    u16 vlan_tci; ///< tag taken off by the port, host order; see vlan_present
    u16 vlan_proto;
    u8 vlan_present;
    u8 pkt_type; ///< PACKET_HOST...
    u32 cb[5];   ///< __sk_buff::cb

    SkbState skb; ///< garbage unless skb_ready

    [[nodiscard]] u32 length() const { return static_cast<u32>(data_end - data); }
};
static_assert(sizeof(XdpBuff) == 3 * kCacheLine && std::is_trivially_copyable_v<XdpBuff>);
static_assert(offsetof(XdpBuff, index) == kCacheLine && offsetof(XdpBuff, skb) == 2 * kCacheLine);

/// Packets that pass through a worker together: at most kBurst of them, in arrival order.
inline constexpr u32 kBurst = 64;
struct Burst {
    u32 count = 0;
    std::array<XdpBuff, kBurst> packets;
};

} // namespace xdplane
